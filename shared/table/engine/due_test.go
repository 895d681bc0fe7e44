package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/table"
)

func TestAnEntryOfTheIndexSaysWhatIsDue(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	k := table.Key{Account: "a", Region: "r", Instance: "9:i", Platform: "gitlab"}
	for _, want := range []struct {
		key   Key
		entry table.DueEntry
	}{
		{BindingKey(k), table.DueEntry{At: at, Binding: k}},
		{AuthorizationKey("id"), table.DueEntry{At: at, Authorization: "id"}},
	} {
		got, known, err := DueEntry(Place{SortableTime(at), want.key})
		if err != nil || !known || got != want.entry {
			t.Errorf("got %v, known %v, error %v, want %v", got, known, err, want.entry)
		}
	}
	if _, _, err := DueEntry(Place{SortableTime(at), Key{PK: AccountPK("a"), SK: "r"}}); err == nil {
		t.Error("half a binding: no error")
	}
	for _, text := range []string{"", "0", strings.Repeat("9", SortableTimeLength)} {
		if _, _, err := DueEntry(Place{text, AuthorizationKey("s")}); err == nil {
			t.Errorf("due at %q: no error", text)
		}
	}
}

func TestEntriesOfUnknownKindsAreSkipped(t *testing.T) {
	at := SortableTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	places := []Place{{at, AuthorizationKey("1")}}
	for _, key := range []Key{
		{PK: HistoryPK(table.Key{}), SK: "1"},
		{PK: table.Join("subscription", "1"), SK: OnlyRow},
		{PK: table.Join("note", "1"), SK: OnlyRow}, // of versions from before format 2
		{PK: table.Join(IdentityKind, "a", "b", "c"), SK: "x"},
		{PK: "user#1", SK: OnlyRow},
		{},
	} {
		places = append(places, Place{at, key})
	}
	places = append(places, Place{"whenever", Key{PK: "user#1", SK: OnlyRow}})
	places = append(places, Place{at, AuthorizationKey("2")})
	list, err := dueEntries(places)
	if err != nil || len(list) != 2 || list[0].Authorization != "1" || list[1].Authorization != "2" {
		t.Errorf("got %v, error %v, want the two authorizations", list, err)
	}
}

// A page of a service may end before the limit, after some megabytes, in one shard sooner than in
// another.
func TestShardsArePutInOneOrderWhereverTheirPagesEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var whole [Shards][]Place
		var want, got []Place
		for i := range random.IntN(30) {
			// Some are due at the same time, and only their keys say which comes first.
			p := Place{fmt.Sprintf("%03d", i/2), Key{"pk", fmt.Sprint(i % 2)}}
			shard := random.IntN(Shards)
			whole[shard], want = append(whole[shard], p), append(want, p)
		}
		limit, last := 1+random.IntN(10), Place{}
		for range 200 {
			var parts []part
			for _, all := range whole {
				parts = append(parts, partOf(random, all, last, limit))
			}
			var found []Place
			if found, last = merge(parts, limit); len(found) > limit {
				t.Fatalf("round %d: a page of %d, want at most %d", round, len(found), limit)
			}
			if got = append(got, found...); last == (Place{}) {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d, pages of %d: got %v, want %v", round, limit, got, want)
		}
	}
}

// partOf is what a shard with these rows could answer. DynamoDB may say that there is more where
// there is nothing more.
func partOf(random *rand.Rand, all []Place, last Place, limit int) part {
	rest := slices.DeleteFunc(slices.Clone(all), func(p Place) bool {
		return comparePlaces(p, last) <= 0
	})
	n := min(limit, 1+random.IntN(6), len(rest))
	more := n < len(rest) || (n > 0 && random.IntN(2) == 0)
	return part{rest[:n], more}
}
