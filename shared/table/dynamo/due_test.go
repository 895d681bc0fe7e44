package dynamo

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// seed writes rows without the package's calls, many in a request: authorizations from first to
// end. Those below due are due, and of the others half come due next year and half never.
func seed(t *testing.T, p *proxy, first, end, due int) {
	t.Helper()
	var puts []types.WriteRequest
	for i := first; i < end; i++ {
		n := binding.Authorization{ID: fmt.Sprint(i)}
		switch {
		case i < due:
			n.DueAt = base.Add(time.Duration(i) * time.Second)
		case i%2 == 0:
			n.DueAt = base.AddDate(1, 0, i%100)
		}
		record, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		row := engine.Row{
			Key: engine.AuthorizationKey(n.ID), Record: string(record), Version: "1", Format: engine.Format,
		}
		if !n.DueAt.IsZero() {
			row.DueAt = engine.SortableTime(n.DueAt)
		}
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: itemOf(row)}})
	}
	for batch := range slices.Chunk(puts, 25) { // as many as it takes
		_, err := p.driver.client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{p.driver.name: batch},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dueInPages lists what is due at base plus a day, and what that asked.
func dueInPages(
	t *testing.T, opened *engine.Table, p *proxy, limit int,
) (list []string, asked string) {
	t.Helper()
	asked = p.count(func() {
		cursor := ""
		for pages := 0; pages == 0 || cursor != "" && pages < 1000; pages++ {
			page, err := opened.DueBefore(t.Context(), base.AddDate(0, 0, 1), cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				list = append(list, e.Authorization)
			}
			cursor = page.Cursor
		}
	})
	return list, asked
}

func TestWhatIsDueCostsWhatIsDueAndNotTheTable(t *testing.T) {
	opened, p := open(t)
	const due = 100
	var want []string
	for i := range due {
		want = append(want, fmt.Sprint(i))
	}
	before := 0
	asked := map[int]string{}
	for _, size := range []int{1_000, 10_000} {
		seed(t, p, before, size, due)
		before = size
		for _, limit := range []int{30, 1000} {
			got, requests := dueInPages(t, opened, p, limit)
			if !slices.Equal(got, want) {
				t.Errorf("%d rows, pages of %d: got %q, want 0 to %d", size, limit, got, due-1)
			}
			if first := asked[limit]; first != "" && requests != first {
				t.Errorf("%d rows, pages of %d: asked %s, want %s as with fewer rows",
					size, limit, requests, first)
			}
			asked[limit] = requests
		}
	}
	for limit, want := range map[int]string{30: "16 Query", 1000: "4 Query"} { // 4 pages, 1 page
		if asked[limit] != want {
			t.Errorf("pages of %d asked %s, want %s", limit, asked[limit], want)
		}
	}
}

func TestACursorOfALaterTimeIsTheEnd(t *testing.T) {
	opened, p := open(t)
	seed(t, p, 0, 10, 10)
	page, err := opened.DueBefore(t.Context(), base.AddDate(0, 0, 1), "", 5)
	if err != nil || page.Cursor == "" {
		t.Fatalf("got error %v, or no cursor", err)
	}
	asked := p.count(func() {
		page, err := opened.DueBefore(t.Context(), base, page.Cursor, 5)
		if err != nil || len(page.Items) > 0 || page.Cursor != "" {
			t.Errorf("got %v, error %v, want the end", page, err)
		}
	})
	if asked != "" {
		t.Errorf("asked %s, want nothing", asked)
	}
}

// due is a row without a record, for the entry that the index has of it.
func due(key engine.Key) item {
	return itemOf(engine.Row{Key: key, DueAt: engine.SortableTime(base)})
}

func TestAnEntryOfTheIndexThatIsDamagedIsAnError(t *testing.T) {
	for name, change := range map[string]item{
		"half a binding": {
			pkAttribute: text(engine.AccountPK("a")), skAttribute: text(binding.Join("r")),
		},
		"no time":    {dueAtAttribute: text("0")},
		"not a time": {dueAtAttribute: text("0001-13-01T00:00:00.000000000Z")},
	} {
		t.Run(name, func(t *testing.T) {
			opened, p := open(t)
			row := due(engine.AuthorizationKey("1"))
			maps.Copy(row, change)
			put(t, p, row)
			_, err := opened.DueBefore(t.Context(), base, "", 10)
			unknown(t, "DueBefore", err)
		})
	}
}

// Other versions have work of their own in the index, and must not stop this version's sweep.
func TestAnEntryOfTheIndexOfAnUnknownKindIsSkipped(t *testing.T) {
	opened, p := open(t)
	for _, pk := range []string{
		"user#1", binding.Join(engine.IdentityKind, "a", "b", "c"), binding.Join("subscription", "1"),
	} {
		put(t, p, due(engine.Key{PK: pk, SK: "-"}))
	}
	at := base.Add(-time.Hour)
	a, err := opened.SaveAuthorization(t.Context(), binding.Authorization{ID: "1", DueAt: at})
	if err != nil {
		t.Fatal(err)
	}
	want := table.DueEntry{At: at, Authorization: a.ID}
	for _, limit := range []int{1, 10} {
		var got []table.DueEntry
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, err := opened.DueBefore(t.Context(), base, cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			got, cursor = append(got, page.Items...), page.Cursor
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("pages of %d: got %v, want %v", limit, got, want)
		}
	}
}

func TestAttributesThatThisVersionDoesNotKnowAreKept(t *testing.T) {
	opened, p := open(t)
	ctx, k := t.Context(), keyOfInstance("1")
	b, err := opened.SaveBinding(ctx, binding.Record{Key: k, DueAt: base})
	if err != nil {
		t.Fatal(err)
	}
	newer := p.scanned(t)[0]
	more := item{
		formatAttribute: number(3), "newText": text("字"), "newNumber": number(7),
		"newList": &types.AttributeValueMemberL{Value: []types.AttributeValue{number(1), text("a")}},
	}
	maps.Copy(newer, more)
	put(t, p, newer)
	if b, err = opened.Binding(ctx, k); err != nil {
		t.Fatal(err)
	}
	b.DueAt, b.CheckAttempts = time.Time{}, 3
	if b, err = opened.SaveBinding(ctx, b); err != nil {
		t.Fatal(err)
	}
	b.CheckAttempts++ // of what a save returned
	anew := binding.Record{Key: k, Version: b.Version, CheckAttempts: b.CheckAttempts}.WithUnknown(b)
	if _, err = opened.SaveBinding(ctx, anew); err != nil {
		t.Fatal(err)
	}
	more[formatAttribute] = number(engine.Format)
	got := p.scanned(t)[0]
	for name, want := range more {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if got[dueAtAttribute] != nil || !strings.Contains(textOf(got, recordAttribute), `"attempts":4`) {
		t.Errorf("got %v, want it never due and with the new record", got)
	}
}
