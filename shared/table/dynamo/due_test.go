package dynamo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// seed writes rows past the package, many in a call: of the notes from first to end, those below
// due have been due for a while, and of the others half come due next year and half never.
func seed(t *testing.T, opened *Table, first, end, due int) {
	t.Helper()
	var puts []types.WriteRequest
	for i := first; i < end; i++ {
		n := table.Note{Secret: fmt.Sprint(i)}
		switch {
		case i < due:
			n.DueAt = base.Add(time.Duration(i) * time.Second)
		case i%2 == 0:
			n.DueAt = base.AddDate(1, 0, i%100)
		}
		row, err := encode(rowkey.Note(n.Secret), n)
		if err != nil {
			t.Fatal(err)
		}
		row[versionAttribute] = text("1")
		addDue(row, n.DueAt)
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: row}})
	}
	for batch := range slices.Chunk(puts, 25) { // as many as it takes
		_, err := opened.client.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{opened.name: batch},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dueInPages lists what is due at base plus a day, and what that asked.
func dueInPages(t *testing.T, opened *Table, p *proxy, limit int) (list []string, asked string) {
	t.Helper()
	asked = p.count(func() {
		cursor := ""
		for pages := 0; pages == 0 || cursor != "" && pages < 1000; pages++ {
			page, err := opened.DueBefore(t.Context(), base.AddDate(0, 0, 1), cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				list = append(list, e.Note)
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
		seed(t, opened, before, size, due)
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

// A page of DynamoDB's may end before the limit, after a megabyte, in one shard sooner than in
// another.
func TestShardsArePutInOneOrderWhereverTheirPagesEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var whole [rowkey.Shards][]string
		var want []string
		for i := range random.IntN(30) {
			at := fmt.Sprintf("%03d", i)
			shard := random.IntN(rowkey.Shards)
			whole[shard] = append(whole[shard], at)
			want = append(want, at)
		}
		limit, last := 1+random.IntN(10), ""
		var got []string
		for range 200 {
			var parts []part
			for _, all := range whole {
				parts = append(parts, pageOf(random, all, last, limit))
			}
			var items []item
			if items, last = merge(parts, limit); len(items) > limit {
				t.Fatalf("round %d: a page of %d, want at most %d", round, len(items), limit)
			}
			for _, i := range items {
				got = append(got, textOf(i, dueAtAttribute))
			}
			if last == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d, pages of %d: got %v, want %v", round, limit, got, want)
		}
	}
}

// pageOf is what a shard with these sort keys could answer.
func pageOf(random *rand.Rand, all []string, last string, limit int) part {
	rest := slices.DeleteFunc(slices.Clone(all), func(at string) bool { return at <= last })
	n := min(limit, 1+random.IntN(6))
	var p part
	if n <= len(rest) {
		p.more, rest = rest[n-1], rest[:n]
	}
	for _, at := range rest {
		p.items = append(p.items, item{dueAtAttribute: text(at)})
	}
	return p
}

func TestACursorOfALaterTimeIsTheEnd(t *testing.T) {
	opened, p := open(t)
	seed(t, opened, 0, 10, 10)
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

func TestAnIndexEntryThatIsNotOursIsAnError(t *testing.T) {
	for name, change := range map[string]item{
		"a holder":       {pkAttribute: text(table.Join(rowkey.HolderKind, "a", "b", "c"))},
		"another's row":  {pkAttribute: text("user#1")},
		"half a binding": {pkAttribute: text(rowkey.Account("a")), skAttribute: text(table.Join("r"))},
		"no time":        {dueAtAttribute: text("0")},
		"not a time":     {dueAtAttribute: text("0001-13-01T00:00:00.000000000Z")},
	} {
		t.Run(name, func(t *testing.T) {
			opened, _ := open(t)
			row := itemOf(rowkey.Note("1"))
			addDue(row, base)
			for attribute, value := range change {
				row[attribute] = value
			}
			row[dueShardAttribute] = number(0)
			put(t, opened, row)
			_, err := opened.DueBefore(t.Context(), base, "", 10)
			unknown(t, "DueBefore", err)
		})
	}
}
