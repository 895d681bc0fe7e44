package tablestore

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// seed makes rows: some are due, some will be, and some never are.
func seed(t *testing.T, w *harness, due, later, never int) {
	t.Helper()
	for i := range due + later + never {
		n := binding.Authorization{ID: fmt.Sprintf("%04d", i)}
		switch {
		case i < due:
			n.DueAt = base.Add(time.Duration(i) * time.Second)
		case i < due+later:
			n.DueAt = base.AddDate(10, 0, i)
		}
		if _, err := w.table.SaveAuthorization(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheIndexHoldsWhatComesDueAndNothingElse(t *testing.T) {
	w := newHarness(t)
	seed(t, w, 5, 7, 20)
	if got := w.service.Rows(tableName + dueIndex); got != 12 {
		t.Errorf("the index has %d entries, want 12", got)
	}
	entry := binding.IdentityEntry{Authorization: "1", At: base}
	if err := w.table.SaveIdentityEntry(t.Context(), entry); err != nil {
		t.Error(err)
	}
	if got := w.service.Rows(tableName); got != 33 {
		t.Errorf("the table has %d rows, want 33", got)
	}
}

func TestReadingWhatIsDueCostsWhatIsDue(t *testing.T) {
	w := newHarness(t)
	seed(t, w, 20, 30, 50)
	for limit, want := range map[int]int{20: 2 * engine.Shards, 1000: engine.Shards} {
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
	w := newHarness(t)
	ctx := t.Context()
	n, err := w.table.SaveAuthorization(ctx, binding.Authorization{ID: "1", DueAt: base})
	if err != nil {
		t.Fatal(err)
	}
	w.service.Lag(true)
	if err := w.table.DeleteAuthorization(ctx, n); err != nil {
		t.Fatal(err)
	}
	second := binding.Authorization{ID: "2", DueAt: base}
	if _, err := w.table.SaveAuthorization(ctx, second); err != nil {
		t.Fatal(err)
	}
	page, err := w.table.DueBefore(ctx, base, "", 10)
	if err != nil || len(page.Items) != 1 || page.Items[0].Authorization != "1" {
		t.Errorf("behind: got %v, error %v, want the row that is gone", page.Items, err)
	}
	// The row decides, and is read as it is.
	if _, err := w.table.Authorization(ctx, "1"); !errors.Is(err, table.ErrNotFound) {
		t.Errorf("the row that is gone: got error %v, want %v", err, table.ErrNotFound)
	}
	if _, err := w.table.Authorization(ctx, "2"); err != nil {
		t.Errorf("the new row: %v", err)
	}
	w.service.Lag(false)
	page, err = w.table.DueBefore(ctx, base, "", 10)
	if err != nil || len(page.Items) != 1 || page.Items[0].Authorization != "2" {
		t.Errorf("caught up: got %v, error %v, want the new row", page.Items, err)
	}
}

func TestACursorOfALaterTimeIsTheEnd(t *testing.T) {
	w := newHarness(t)
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
func put(t *testing.T, w *harness, k engine.Key, c columns) {
	t.Helper()
	err := w.client.call(t.Context(), func(client *sdk.TableStoreClient) error {
		change := &sdk.PutRowChange{TableName: tableName, PrimaryKey: primaryOf(k)}
		for name, value := range c {
			change.AddColumn(name, value)
		}
		change.Condition = conditionOf(engine.Condition{})
		_, err := client.PutRow(&sdk.PutRowRequest{PutRowChange: change})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// columnsOfRow are a row's columns as they are stored.
func columnsOfRow(t *testing.T, w *harness, k engine.Key) (c columns) {
	t.Helper()
	err := w.client.call(t.Context(), func(client *sdk.TableStoreClient) error {
		got, err := client.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
			TableName: tableName, PrimaryKey: primaryOf(k), MaxVersion: 1,
		}})
		if err == nil {
			c = columnsOf(&got.PrimaryKey, got.Columns)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnEntryOfTheIndexThatIsDamagedIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		key engine.Key
		at  string
	}{
		"half a binding": {
			engine.Key{PK: engine.AccountPK("a"), SK: binding.Join("r")}, engine.SortableTime(base),
		},
		"no time":    {engine.AuthorizationKey("1"), "0"},
		"not a time": {engine.AuthorizationKey("1"), "0001-13-01T00:00:00.000000000Z"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t)
			put(t, w, c.key, columns{dueShardColumn: int64(0), dueAtColumn: c.at})
			_, err := w.table.DueBefore(t.Context(), base, "", 10)
			unknown(t, "DueBefore", err)
		})
	}
}

// Other versions have work of their own in the index, and must not stop this version's sweep.
func TestAnEntryOfTheIndexOfAnUnknownKindIsSkipped(t *testing.T) {
	w := newHarness(t)
	for _, pk := range []string{
		"user#1", binding.Join(engine.IdentityKind, "a"), binding.Join("subscription", "1"),
	} {
		put(t, w, engine.Key{PK: pk, SK: "-"}, columns{
			dueShardColumn: int64(0), dueAtColumn: engine.SortableTime(base),
		})
	}
	at := base.Add(-time.Hour)
	if _, err := w.table.SaveAuthorization(
		t.Context(), binding.Authorization{ID: "1", DueAt: at},
	); err != nil {
		t.Fatal(err)
	}
	want := table.DueEntry{At: at, Authorization: "1"}
	for _, limit := range []int{1, 10} {
		var got []table.DueEntry
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, err := w.table.DueBefore(t.Context(), base, cursor, limit)
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

func TestColumnsThatThisVersionDoesNotKnowAreKept(t *testing.T) {
	w := newHarness(t)
	ctx, k := t.Context(), keyOfInstance("1")
	b, err := w.table.SaveBinding(ctx, binding.Record{Key: k, DueAt: base})
	if err != nil {
		t.Fatal(err)
	}
	key, more := engine.BindingKey(k), columns{"newText": "字", "newNumber": int64(7)}
	newer := columnsOfRow(t, w, key)
	delete(newer, pkColumn)
	delete(newer, skColumn)
	maps.Copy(newer, more)
	newer[formatColumn] = int64(3)
	put(t, w, key, newer)
	if b, err = w.table.Binding(ctx, k); err != nil {
		t.Fatal(err)
	}
	b.DueAt, b.CheckAttempts = time.Time{}, 3
	if b, err = w.table.SaveBinding(ctx, b); err != nil {
		t.Fatal(err)
	}
	b.CheckAttempts++ // of what a save returned
	anew := binding.Record{Key: k, Version: b.Version, CheckAttempts: b.CheckAttempts}.WithUnknown(b)
	if _, err = w.table.SaveBinding(ctx, anew); err != nil {
		t.Fatal(err)
	}
	got := columnsOfRow(t, w, key)
	more[formatColumn] = int64(engine.Format)
	for name, want := range more {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
	if got[dueAtColumn] != nil || !strings.Contains(textOf(got, recordColumn), `"attempts":4`) {
		t.Errorf("got %v, want it never due and with the new record", got)
	}
}

func TestARowThatIsNotOursIsAnError(t *testing.T) {
	for name, c := range map[string]columns{
		"no record":   {versionColumn: "1"},
		"no JSON":     {versionColumn: "1", recordColumn: "{"},
		"no version":  {recordColumn: "{}"},
		"another":     {versionColumn: "1", recordColumn: "[]"},
		"no text":     {versionColumn: int64(1), recordColumn: "{}"},
		"wrong types": {versionColumn: "1", recordColumn: `{"stage":1}`},
	} {
		w := newHarness(t)
		put(t, w, engine.AuthorizationKey("1"), c)
		_, err := w.table.Authorization(t.Context(), "1")
		unknown(t, name, err)
	}
}

func TestATableIsMadeOnce(t *testing.T) {
	w := newHarness(t)
	if _, err := w.table.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), w.client, tableName); err != nil {
		t.Errorf("over itself: %v", err)
	}
	if _, err := w.table.Authorization(t.Context(), "1"); err != nil {
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
		w := newHarness(t)
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
