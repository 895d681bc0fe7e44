package subscription_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/testkit"
)

// TestARefThatAListLeavesOutIsNotDeleted: a list of pages shifts while it is read. The platform
// says whether the ref is there, or the next sync asks again.
func TestARefThatAListLeavesOutIsNotDeleted(t *testing.T) {
	h := newHarness(t)
	h.forge.set("1", func(r *repository) { r.refs["heads/old"] = "b1" })
	h.mustPut()
	h.forge.set("1", func(r *repository) { r.unlisted = "heads/old" })
	h.mustSync()
	testkit.Want(t, "events", h.events(), "")
	h.forge.set("1", func(r *repository) { r.refs["heads/old"] = "b2" })
	h.mustSync()
	testkit.Want(t, "events when it moved", h.events(), "heads/old b1>b2 caught up")

	h.forge.set("1", func(r *repository) { delete(r.refs, "heads/old") })
	h.forge.before = func(call string) (error, error) {
		if call == "Commit" {
			return nil, errDown
		}
		return nil, nil
	}
	h.mustSync()
	testkit.Want(t, "events in doubt", h.events(), "heads/old b1>b2 caught up")
	h.forge.before = nil
	h.later(11 * time.Minute)
	testkit.Want(t, "events then", h.events(), "heads/old b1>b2 caught up, heads/old b2> caught up")
}

// TestMoreRefsThanARowHasRoomForAreToldOnce: they change between two runs.
func TestMoreRefsThanARowHasRoomForAreToldOnce(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	const batches, batch = 3, 60 // of them wait at once
	const refs = batches * batch
	for b := range batches {
		var names []string
		for i := range batch {
			names = append(names, fmt.Sprintf("heads/b%d.%02d", b, i))
		}
		h.forge.set("1", func(r *repository) {
			for _, name := range names {
				r.refs[name] = "b1"
			}
		})
		h.edit(func(row *binding.Subscription) {
			for _, name := range names {
				row.Add(binding.SourceEvent{
					ID: name, Type: binding.SourcePushed, State: binding.EventWaiting, Ref: "refs/" + name,
					Commit: hash("b1"),
				}, h.clock.Now())
			}
		})
		if _, _, err := h.deliveries.Forward(t.Context(), h.row()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		h.later(11 * time.Minute)
	}
	testkit.Want(t, "taken by the receiver", h.sent, refs)
	testkit.Want(t, "numbered", h.row().EventCount, int64(refs))
}

// TestTheFirstHeadsOfAnEndedSubscriptionAreNotLeftOver: it ends while they are saved.
func TestTheFirstHeadsOfAnEndedSubscriptionAreNotLeftOver(t *testing.T) {
	h := newHarness(t)
	id := ""
	h.setHook(func(call string) error {
		if call == "SaveSubscriptionHeads" {
			h.setHook(nil)
			id = h.row().ID
			if _, err := h.Delete(t.Context(), h.target("i-1", "1")); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	_, _, _ = h.put(all)
	h.settled("deleted")
	_, err := h.rows.SubscriptionHeads(t.Context(), id)
	testkit.Want(t, "no heads", errors.Is(err, table.ErrNotFound), true)
}

// TestTooManyBranchesLeaveTheTagsWatched: their names don't fit into a row. When they do again they
// are taken as they are, but for those whose heads the row has.
func TestTooManyBranchesLeaveTheTagsWatched(t *testing.T) {
	h := newHarness(t)
	h.mustPut()
	h.forge.set("1", func(r *repository) {
		for i := range 3000 {
			name := "heads/"
			for part := range 3 { // 96 random bytes
				sum := sha256.Sum256([]byte(fmt.Sprint(i, part)))
				name += hex.EncodeToString(sum[:])
			}
			r.refs[name] = "b1"
		}
	})
	testkit.Want(t, "not watched", h.mustSync().RefsNotWatched, true)
	testkit.Want(t, "events", h.events(), "")
	h.forge.set("1", func(r *repository) { r.refs["tags/v1"] = "e1" })
	h.mustSync()
	testkit.Want(t, "events of tags", h.events(), "tags/v1 >e1 caught up")
	h.forge.set("1", func(r *repository) {
		for ref := range r.refs {
			if strings.HasPrefix(ref, "heads/") && !strings.HasPrefix(ref, "heads/0") {
				delete(r.refs, ref)
			}
		}
		r.refs["tags/v2"] = "e2"
	})
	testkit.Want(t, "not watched when they fit", h.mustSync().RefsNotWatched, false)
	testkit.Want(t, "events then", h.events(),
		"tags/v1 >e1 caught up, heads/main c1> caught up, tags/v2 >e2 caught up")
}
