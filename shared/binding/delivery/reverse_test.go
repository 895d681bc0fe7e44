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
