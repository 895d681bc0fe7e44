package delivery_test

import (
	"testing"

	"bindery/shared/testkit"
)

// Deliveries in the wrong order fit into each other if a ref has gone somewhere and back.
func TestALateDeliveryOfAWayThereAndBackIsSuperseded(t *testing.T) {
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

func TestARefThatReturnsIsToldEachTime(t *testing.T) {
	h := newHarness(t)
	for i, commit := range []string{"b", "a", "b", "", "b"} {
		before := h.heads["heads/main"]
		h.set("heads/main", commit)
		check(t, h.signed(push(string(rune('c'+i)), "main", before, commit)))
	}
	want(t, "told", h.receiver.told(),
		"heads/main=b heads/main=a heads/main=b heads/main= heads/main=b")
}
