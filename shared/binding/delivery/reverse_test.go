package delivery_test

import (
	"testing"

	"bindery/shared/testkit"
)

// TestE16_ALateDeliveryOfAWayThereAndBackIsSuperseded: what was told last fits the late delivery,
// because the ref has gone somewhere and back.
func TestE16_ALateDeliveryOfAWayThereAndBackIsSuperseded(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "a")
	check(t, h.signed(push("d2", "main", "b", "a"))) // a push to b, undone by force
	check(t, h.signed(push("d1", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=a")

	check(t, h.signed(push("d4", "topic", "c", ""))) // created and deleted again
	check(t, h.signed(push("d3", "topic", "", "c")))
	want(t, "told then", h.receiver.told(), "heads/main=a heads/topic=")
	testkit.Want(t, "sync", h.row().SyncAt.IsZero(), true)
}

// TestE16_AWayThereAndBackInReverseLeavesTheReceiverRight also if it was told last of where the ref
// is now. The same delivery under another id is only a repeat.
func TestE16_AWayThereAndBackInReverseLeavesTheReceiverRight(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "a")
	check(t, h.signed(push("d1", "main", "x", "a")))
	check(t, h.signed(push("d1 again", "main", "x", "a")))
	testkit.Want(t, "events of a repeat", len(h.row().Events), 1)
	check(t, h.signed(push("d3", "main", "b", "a"))) // the way back
	check(t, h.signed(push("d2", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=a")
	want(t, "row", h.states(),
		"main=a forwarded, main=a ignored superseded, main=b ignored superseded")
	testkit.Want(t, "sync", h.row().SyncAt.IsZero(), true)

	check(t, h.signed(push("d5", "topic", "", "t")))
	check(t, h.signed(push("d6", "topic", "t", "")))
	check(t, h.signed(push("d8", "topic", "c", ""))) // created and deleted again
	check(t, h.signed(push("d7", "topic", "", "c")))
	want(t, "told then", h.receiver.told(), "heads/main=a heads/topic=t heads/topic=")
	h.set("heads/topic", "c")
	check(t, h.signed(push("d9", "topic", "", "c")))
	want(t, "told of what comes back", h.receiver.told(),
		"heads/main=a heads/topic=t heads/topic= heads/topic=c")
}
