package binding_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/testkit"
)

// DynamoDB takes rows of 400 KB. The names are of random letters, the worst case.
func TestTheHeadsOf5000RefsFitIntoARow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, length int) string {
		made := make([]byte, length)
		for i := range made {
			made[i] = letters[random.IntN(len(letters))]
		}
		return string(made)
	}
	words := []string{"feature", "fix", "release", "renovate", "user", "login", "build", "cache"}
	for name, c := range map[string]struct {
		ref  func(i int) string
		most int
	}{
		"names as people give them": {func(i int) string {
			ref := fmt.Sprintf("refs/heads/%s/ABC-%d", words[random.IntN(8)], i)
			for len(ref) < 60 {
				ref += "-" + words[random.IntN(8)]
			}
			return ref[:60]
		}, 250_000},
		"random names": {func(int) string {
			return "refs/heads/" + text("abcdefghijklmnopqrstuvwxyz", 49)
		}, 360_000},
	} {
		want := binding.Heads{Subscription: "id"}
		for i := range 5000 {
			head := binding.Head{Ref: c.ref(i), Commit: text("0123456789abcdef", 40)}
			want.List = append(want.List, head)
		}
		record, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", name, len(record))
		if len(record) > c.most {
			t.Errorf("%s: %d bytes, want at most %d", name, len(record), c.most)
		}
		var got binding.Heads
		if err := json.Unmarshal(record, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the heads aren't as they were, error %v", name, err)
		}
	}
}

func TestHeadsThatAreDamagedAreAnError(t *testing.T) {
	record, err := json.Marshal(binding.Heads{
		Subscription: "id", List: []binding.Head{{Ref: "refs/heads/main", Commit: "00ff"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{
		"", "{", "[]", `{"subscription":"id","refs":"AAAA"}`, `{"subscription":"id"}`,
		string(record[:len(record)-4]) + `"}`,
	} {
		var heads binding.Heads
		if err := json.Unmarshal([]byte(damaged), &heads); err == nil {
			t.Errorf("%q: got %v, want an error", damaged, heads)
		}
	}
	many := binding.Heads{Subscription: "id", List: make([]binding.Head, 500_000)}
	if _, err := json.Marshal(many); !errors.Is(err, binding.ErrTooManyHeads) {
		t.Errorf("more heads than fit into a row: %v", err)
	}
}

// A row has room for the heads of new refs until they are moved to the heads of the last sync. It
// forgets none of a ref, and has no place for one more.
func TestARowForgetsNoHeadOfARef(t *testing.T) {
	for _, length := range []int{10, 1024} {
		s := binding.Subscription{Stage: binding.SubscriptionActive}
		var moved []binding.Head
		added := 0
		branch := func(i int) string { return fmt.Sprint(i, strings.Repeat("<", length)) }
		forward := func(i int) binding.AddResult {
			result := s.Add(pushed(fmt.Sprint("d", i), branch(i), "a"), queueStart)
			s.Record(binding.ForwardResult{ID: fmt.Sprint("d", i), Taken: true}, noJitter)
			s.NoteHead(fmt.Sprint("merge ", i), "updated")
			return result
		}
		for forward(added) == binding.Added {
			if added++; added > binding.MaxRecentHeads {
				t.Fatal("a row has room for any number")
			}
		}
		text, _ := json.Marshal(s.Heads)
		if len(text) > 120_000 {
			t.Errorf("the heads take %d bytes", len(text))
		}
		testkit.Want(t, "sync", s.SyncAt, queueStart)
		for i := range added {
			if _, known := s.KnownHead("refs/heads/" + branch(i)); !known {
				t.Errorf("the head of ref %d of %d is forgotten", i, added)
			}
		}
		moved = s.OlderHeads()
		s.RemoveHeads(moved)
		testkit.Want(t, "moved", len(moved) > added/2 && len(moved) < added, true)
		testkit.Want(t, "one more then", forward(added), binding.Added)
		testkit.Want(t, "heads to move then", len(s.OlderHeads()), 0)
		if _, known := s.KnownHead(fmt.Sprint("merge ", added)); !known {
			t.Error("the newest state of a merge request is forgotten")
		}
	}
}
