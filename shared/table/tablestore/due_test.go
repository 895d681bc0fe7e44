package tablestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// seed makes notes, some due and some not yet, and others that never are.
func seed(t *testing.T, w *world, due, later, never int) {
	t.Helper()
	for i := range due + later + never {
		n := table.Note{Secret: fmt.Sprintf("%04d", i)}
		switch {
		case i < due:
			n.DueAt = base.Add(time.Duration(i) * time.Second)
		case i < due+later:
			n.DueAt = base.AddDate(10, 0, i)
		}
		if _, err := w.table.SaveNote(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheIndexHoldsWhatComesDueAndNothingElse(t *testing.T) {
	w := newWorld(t)
	seed(t, w, 5, 7, 20)
	if got := w.service.Rows(tableName + dueIndex); got != 12 {
		t.Errorf("the index has %d entries, want 12", got)
	}
	if err := w.table.SaveIdentityEntry(t.Context(), table.IdentityEntry{Authorization: "1", At: base}); err != nil {
		t.Error(err)
	}
	if got := w.service.Rows(tableName); got != 33 {
		t.Errorf("the table has %d rows, want 33", got)
	}
}

func TestReadingWhatIsDueCostsWhatIsDue(t *testing.T) {
	w := newWorld(t)
	seed(t, w, 20, 30, 50)
	for limit, want := range map[int]int{20: 2 * rowkey.Shards, 1000: rowkey.Shards} {
		asked := w.count(func() {
			var got []table.DueEntry
			for cursor := ""; ; {
				page, err := w.table.DueBefore(t.Context(), base.AddDate(1, 0, 0), cursor, limit)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page.Items...)
				if cursor = page.Cursor; cursor == "" {
					break
				}
			}
			if len(got) != 20 {
				t.Errorf("got %d entries, want 20", len(got))
			}
		})
		if asked["GetRange"] > want || len(asked) != 1 {
			t.Errorf("pages of %d: asked %v, want %d GetRange at most", limit, asked, want)
		}
	}
}

func TestAnEntryOfAnIndexThatLagsIsAHint(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n, err := w.table.SaveNote(ctx, table.Note{Secret: "1", DueAt: base})
	if err != nil {
		t.Fatal(err)
	}
	w.service.Lag(true)
	if err := w.table.DeleteNote(ctx, n); err != nil {
		t.Fatal(err)
	}
	if _, err := w.table.SaveNote(ctx, table.Note{Secret: "2", DueAt: base}); err != nil {
		t.Fatal(err)
	}
	page, err := w.table.DueBefore(ctx, base, "", 10)
	if err != nil || len(page.Items) != 1 || page.Items[0].Note != "1" {
		t.Errorf("behind: got %v, error %v, want the row that is gone", page.Items, err)
	}
	// The row decides, and is read as it is.
	if _, err := w.table.Note(ctx, "1"); !errors.Is(err, table.ErrNotFound) {
		t.Errorf("the row that is gone: got error %v, want %v", err, table.ErrNotFound)
	}
	if _, err := w.table.Note(ctx, "2"); err != nil {
		t.Errorf("the new row: %v", err)
	}
	w.service.Lag(false)
	page, err = w.table.DueBefore(ctx, base, "", 10)
	if err != nil || len(page.Items) != 1 || page.Items[0].Note != "2" {
		t.Errorf("caught up: got %v, error %v, want the new row", page.Items, err)
	}
}

func entryOf(at string) row {
	return row{key: rowkey.Key{PK: "pk", SK: at}, columns: map[string]any{dueAtColumn: at}}
}

// A page of the service's may end before the limit, after 4 MB, in one shard sooner than in
// another.
func TestShardsArePutInOneOrderWhereverTheirPagesEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		var whole [rowkey.Shards][]row
		var want, got []string
		for i := range random.IntN(30) {
			at := fmt.Sprintf("%03d", i)
			shard := random.IntN(rowkey.Shards)
			whole[shard], want = append(whole[shard], entryOf(at)), append(want, at)
		}
		limit, last := 1+random.IntN(10), place{}
		for range 200 {
			var parts []part
			for _, all := range whole {
				parts = append(parts, partOf(random, all, last, limit))
			}
			var found []row
			if found, last = merge(parts, limit); len(found) > limit {
				t.Fatalf("round %d: a page of %d, want at most %d", round, len(found), limit)
			}
			for _, r := range found {
				got = append(got, r.text(dueAtColumn))
			}
			if last == (place{}) {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d, pages of %d: got %v, want %v", round, limit, got, want)
		}
	}
}

// partOf is what a shard with these rows could answer.
func partOf(random *rand.Rand, all []row, last place, limit int) part {
	rest := slices.DeleteFunc(slices.Clone(all), func(r row) bool {
		return comparePlaces(placeOf(r), last) <= 0
	})
	n := min(limit, 1+random.IntN(6), len(rest))
	return part{rest[:n], n < len(rest)}
}

func TestACursorOfALaterTimeIsTheEnd(t *testing.T) {
	w := newWorld(t)
	seed(t, w, 10, 10, 0)
	page, err := w.table.DueBefore(t.Context(), base.AddDate(20, 0, 0), "", 12)
	if err != nil || page.Cursor == "" {
		t.Fatalf("got error %v, or no cursor", err)
	}
	asked := w.count(func() {
		page, err := w.table.DueBefore(t.Context(), base, page.Cursor, 5)
		if err != nil || len(page.Items) > 0 || page.Cursor != "" {
			t.Errorf("got %v, error %v, want the end", page, err)
		}
	})
	if len(asked) > 0 {
		t.Errorf("asked %v, want nothing", asked)
	}
}

// put writes a row that this package would not.
func put(t *testing.T, w *world, k rowkey.Key, columns map[string]any) {
	t.Helper()
	if _, err := w.table.put(t.Context(), row{k, columns}, always()); err != nil {
		t.Fatal(err)
	}
}

func TestAnIndexEntryThatIsNotOursIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		key rowkey.Key
		at  string
	}{
		"a holder": {
			rowkey.Key{PK: table.Join(rowkey.HolderKind, "a"), SK: "1"}, rowkey.SortableTime(base),
		},
		"another's row":  {rowkey.Key{PK: "user#1", SK: "-"}, rowkey.SortableTime(base)},
		"half a binding": {rowkey.Key{PK: rowkey.Account("a"), SK: table.Join("r")}, rowkey.SortableTime(base)},
		"no time":        {rowkey.Note("1"), "0"},
		"not a time":     {rowkey.Note("1"), "0001-13-01T00:00:00.000000000Z"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			put(t, w, c.key, map[string]any{dueShardColumn: int64(0), dueAtColumn: c.at})
			_, err := w.table.DueBefore(t.Context(), base, "", 10)
			unknown(t, "DueBefore", err)
		})
	}
}

func TestARowThatIsNotOursIsAnError(t *testing.T) {
	for name, columns := range map[string]map[string]any{
		"no record":   {versionColumn: "1"},
		"no JSON":     {versionColumn: "1", recordColumn: "{"},
		"no version":  {recordColumn: "{}"},
		"another":     {versionColumn: "1", recordColumn: "[]"},
		"no text":     {versionColumn: int64(1), recordColumn: "{}"},
		"wrong types": {versionColumn: "1", recordColumn: `{"generation":"1"}`},
	} {
		w := newWorld(t)
		put(t, w, rowkey.Note("1"), columns)
		_, err := w.table.Note(t.Context(), "1")
		unknown(t, name, err)
	}
}

func TestATableIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	if _, err := w.table.SaveNote(t.Context(), table.Note{Secret: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), w.client, tableName); err != nil {
		t.Errorf("over itself: %v", err)
	}
	if _, err := w.table.Note(t.Context(), "1"); err != nil {
		t.Errorf("a row from before: %v", err)
	}
	if err := Create(t.Context(), w.client, "no-name"); err == nil {
		t.Error("a name that the service doesn't take: no error")
	}
}

func TestATableOfAnotherShapeIsRefused(t *testing.T) {
	for name, change := range map[string]func(*sdk.CreateTableRequest){
		"other keys": func(r *sdk.CreateTableRequest) {
			r.TableMeta.SchemaEntry = r.TableMeta.SchemaEntry[:1]
		},
		"keys of another type": func(r *sdk.CreateTableRequest) {
			number := sdk.PrimaryKeyType_INTEGER
			r.TableMeta.SchemaEntry[1].Type = &number
		},
		"no index": func(r *sdk.CreateTableRequest) { r.IndexMetas = nil },
		"an index by others": func(r *sdk.CreateTableRequest) {
			r.IndexMetas[0].Primarykey = []string{"sk"}
		},
	} {
		w := newWorld(t)
		request := description("other_one")
		change(request)
		err := w.client.call(t.Context(), func(c *sdk.TableStoreClient) error {
			_, err := c.CreateTable(request)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := Create(t.Context(), w.client, "other_one"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
