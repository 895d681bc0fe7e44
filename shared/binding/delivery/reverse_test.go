package delivery_test

import (
	"fmt"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/provider"
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

// TestE16_ALateCreationOfADeletedRefIsSuperseded also where the platform doesn't say what was
// deleted, as for a tag of GitHub and GitLab.
func TestE16_ALateCreationOfADeletedRefIsSuperseded(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d2", "topic", "", ""))) // the deletion
	check(t, h.signed(push("d1", "topic", "", "c")))
	check(t, h.signed(push("d2 again", "topic", "", "")))
	want(t, "told", h.receiver.told(), "heads/topic=")
	h.set("heads/topic", "c")
	check(t, h.signed(push("d3", "topic", "", "c")))
	want(t, "told of what comes back", h.receiver.told(), "heads/topic= heads/topic=c")
}

// TestE2_AnOldDeliveryThatComesAgainTellsNothing although its id and the ref's head are not in the
// row any more: as many events came since as it remembers.
func TestE2_AnOldDeliveryThatComesAgainTellsNothing(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "bb")
	old := []provider.Delivery{
		push("d1", "main", "aa", "bb"), push("d2", "topic", "", "cc"), push("d3", "topic", "cc", ""),
	}
	for _, d := range old {
		check(t, h.signed(d))
	}
	h.synced("main", "bb")
	h.edit(func(row *binding.Subscription) {
		row.Events, row.Heads, row.Seen = nil, nil, nil
		for n := range binding.MaxSeen {
			row.Seen = append(row.Seen, fmt.Sprint("later ", n))
		}
	})
	told := h.receiver.told()
	for _, d := range old {
		check(t, h.signed(d))
		want(t, "told again", h.receiver.told(), told)
	}
	h.set("heads/new", "ee")
	check(t, h.signed(push("d4", "new", "", "ee")))
	h.set("heads/main", "ff")
	check(t, h.signed(push("d5", "main", "bb", "ff")))
	want(t, "told then", h.receiver.told(), told+" heads/new=ee heads/main=ff")
}
