package dynamo

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// bulky is a record whose JSON is of about so many bytes, quotes and letters of three bytes among
// them.
func bulky(instance string, size int) binding.Record {
	const piece = `"字\` + "\n"
	inJSON := len(`\"字\\\n`)
	return binding.Record{
		Key: keyOfInstance(instance), DueAt: base,
		Organization: strings.Repeat(piece, size/inJSON),
	}
}

func TestARecordOf100KBIsKept(t *testing.T) {
	opened, p := open(t)
	saved, err := opened.SaveBinding(t.Context(), bulky("1", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	got, err := opened.Binding(t.Context(), saved.Key)
	if err != nil || got.Organization != saved.Organization || got.Version != saved.Version {
		t.Errorf("got %d bytes in version %q, error %v, want %d in %q",
			len(got.Organization), got.Version, err, len(saved.Organization), saved.Version)
	}
	asked := p.count(func() {
		due, err := opened.DueBefore(t.Context(), base, "", 10)
		if want := (table.DueEntry{At: base, Binding: saved.Key}); err != nil ||
			len(due.Items) != 1 || due.Items[0] != want {
			t.Errorf("due: got %v, error %v, want %v", due.Items, err, want)
		}
	})
	if asked != "4 Query" {
		t.Errorf("a large record that is due: asked %s, want 4 Query", asked)
	}
}

func TestAnInstanceOfMoreThanAMegabyteIsListedWhole(t *testing.T) {
	opened, _ := open(t)
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		b := bulky("1", 300_000)
		b.Platform = platform
		if _, err := opened.SaveBinding(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	list, err := opened.InstanceBindings(t.Context(), "a", "r", "1")
	if err != nil || len(list) != 5 {
		t.Errorf("got %d rows, error %v, want 5", len(list), err)
	}
	seen, cursor := 0, ""
	for pages := 0; pages == 0 || cursor != "" && pages < 10; pages++ {
		page, err := opened.AccountBindings(t.Context(), "a", cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		seen, cursor = seen+len(page.Items), page.Cursor
	}
	if seen != 5 {
		t.Errorf("the account: got %d rows, want 5", seen)
	}
}

func TestARecordThatCantBeWrittenChangesNothing(t *testing.T) {
	opened, p := open(t)
	ctx, never := t.Context(), base.AddDate(10_000, 0, 0) // JSON has no such year
	first, err := opened.SaveBinding(ctx, binding.Record{Key: keyOfInstance("1"), DueAt: base})
	if err != nil {
		t.Fatal(err)
	}
	tooLong, tooLate := bulky("1", 500_000), first
	tooLong.Version, tooLate.DueAt = first.Version, never
	for _, b := range []binding.Record{tooLong, tooLate} {
		_, err = opened.SaveBinding(ctx, b)
		unknown(t, "SaveBinding", err)
	}
	entry := binding.IdentityEntry{Binding: first.Key, At: never}
	unknown(t, "SaveIdentityEntry", opened.SaveIdentityEntry(ctx, entry))
	unknown(t, "AppendHistory", opened.AppendHistory(ctx, first.Key, []binding.Event{
		{ID: "1", At: base}, {ID: "2", At: never},
	}))
	if got := p.scanned(t); len(got) != 1 || textOf(got[0], versionAttribute) != first.Version {
		t.Errorf("got %d rows, want only the first save's", len(got))
	}
}

// put writes attributes past the package.
func put(t *testing.T, p *proxy, row item) {
	t.Helper()
	in := &dynamodb.PutItemInput{TableName: &p.driver.name, Item: row}
	if _, err := p.driver.client.PutItem(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedRowIsAnErrorAndNotOverwritten(t *testing.T) {
	opened, p := open(t)
	ctx, k := t.Context(), keyOfInstance("1")
	of := binding.IdentityKey{ID: "1"}
	for name, attributes := range map[string]item{
		"no record":     {versionAttribute: text("1")},
		"half a record": {versionAttribute: text("1"), recordAttribute: text("{")},
		"no version":    {recordAttribute: text("{}")},
		"a number":      {versionAttribute: number(1), recordAttribute: text("{}")},
	} {
		damaged := keyItem(engine.BindingKey(k))
		maps.Copy(damaged, attributes)
		put(t, p, damaged)
		_, err := opened.Binding(ctx, k)
		unknown(t, name+": Binding", err)
		_, err = opened.InstanceBindings(ctx, k.Account, k.Region, k.Instance)
		unknown(t, name+": InstanceBindings", err)
		_, err = opened.AccountBindings(ctx, k.Account, "", 10)
		unknown(t, name+": AccountBindings", err)
		_, err = opened.AllBindings(ctx, "", 10)
		unknown(t, name+": AllBindings", err)
		if _, err := opened.SaveBinding(ctx, binding.Record{Key: k}); !errors.Is(err, table.ErrConflict) {
			t.Errorf("%s: SaveBinding: got error %v, want %v", name, err, table.ErrConflict)
		}
	}
	put(t, p, keyItem(engine.IdentityEntryKey(binding.IdentityEntry{Of: of, Binding: k})))
	put(t, p, keyItem(engine.Key{PK: engine.HistoryPK(k), SK: binding.Event{}.Position()}))
	_, err := opened.ListIdentityEntries(ctx, of, "", 10)
	unknown(t, "ListIdentityEntries", err)
	_, err = opened.ListHistory(ctx, k, table.OldestFirst, "", 10)
	unknown(t, "ListHistory", err)
}

func TestD4_ARowHoldsItsRecordAndNothingElse(t *testing.T) {
	const canary = "canary-3fW8"
	opened, p := open(t)
	ctx, k := t.Context(), keyOfInstance("1")
	// A problem is kept with a record, and its cause may quote anything.
	trouble := problem.New(problem.TokenRejected).From(errors.New(canary))
	_, err := opened.SaveBinding(ctx, binding.Record{
		Key: k, DueAt: base, Problem: trouble, Warnings: []problem.Problem{*trouble},
	})
	_, err2 := opened.SaveAuthorization(ctx, binding.Authorization{
		ID: "1", DueAt: base, Problem: trouble,
	})
	err3 := opened.SaveIdentityEntry(ctx, binding.IdentityEntry{
		Of: binding.IdentityKey{ID: "1"}, Binding: k, At: base,
	})
	err4 := opened.AppendHistory(ctx, k, []binding.Event{{ID: "1", At: base, Problem: trouble}})
	_, err5 := opened.SaveSubscription(ctx, binding.Subscription{
		ID: "1", DueAt: base, Problem: trouble,
	})
	_, err6 := opened.SaveSubscriptionEntry(ctx, binding.SubscriptionEntry{
		Binding: k, RepositoryID: "1", Subscription: "1",
	})
	err7 := opened.AppendLog(ctx, "1", sourceEventsOf(1))
	_, err8 := opened.SaveSubscriptionHeads(ctx, binding.Heads{Subscription: "1"})
	_, err9 := opened.SaveRunLease(ctx, binding.RunLease{Schedule: "1"})
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		engine.BindingKind:       "dueAt dueShard format pk record sk version",
		engine.AuthorizationKind: "dueAt dueShard format pk record sk version",
		engine.IdentityKind:      "at pk record sk",
		engine.HistoryKind:       "pk record sk",
		engine.SubscriptionKind:  "dueAt dueShard format pk record sk version",
		engine.SubscribedKind:    "format pk record sk version",
		engine.SourceKind:        "pk record sk",
		engine.HeadsKind:         "format pk record sk version",
		engine.LeaseKind:         "format pk record sk version",
	}
	rows := p.scanned(t)
	for _, row := range rows {
		kind := engine.Split(textOf(row, pkAttribute))[0]
		names := strings.Join(slices.Sorted(maps.Keys(row)), " ")
		if names != want[kind] {
			t.Errorf("%s has the attributes %q, want %q", kind, names, want[kind])
		}
		raw, err := json.Marshal(row)
		if err != nil || strings.Contains(string(raw), canary) {
			t.Errorf("%s: error %v, or it shows a cause", kind, err)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("got %d rows, want one of each of %d kinds", len(rows), len(want))
	}
}

// cursorOf writes a cursor as the engine does.
func cursorOf(list string, last engine.Key) string {
	encoded, _ := json.Marshal(map[string]string{ // strings never fail
		"list": list, "at": engine.SortableTime(base), "pk": last.PK, "sk": last.SK,
	})
	return base64.RawURLEncoding.EncodeToString(encoded)
}

func TestAMadeUpCursorIsRefused(t *testing.T) {
	opened, p := open(t)
	ctx, k := t.Context(), keyOfInstance("1")
	long := strings.Repeat("x", 1024+1)
	asked := p.count(func() {
		for _, last := range []engine.Key{{PK: "x", SK: long}, {PK: "x"}, {SK: "x"}} {
			_, err := opened.AccountBindings(ctx, "a", cursorOf(engine.AccountPK("a"), last), 10)
			_, err2 := opened.AllBindings(ctx, cursorOf(binding.Join("all"), last), 10)
			_, err3 := opened.DueBefore(ctx, base, cursorOf(binding.Join("due"), last), 10)
			_, err4 := opened.ListHistory(ctx, k, 0, binding.Event{ID: long}.Position(), 10)
			for i, err := range []error{err, err2, err3, err4} {
				if !errors.Is(err, table.ErrCursor) {
					t.Errorf("list %d: got error %v, want %v", i, err, table.ErrCursor)
				}
			}
		}
	})
	if asked != "" {
		t.Errorf("asked %s, want nothing", asked)
	}
}

func TestALimitBelowOneIsOne(t *testing.T) {
	opened, _ := open(t)
	for i := range 2 {
		b := binding.Record{Key: keyOfInstance(fmt.Sprint(i)), DueAt: base}
		if _, err := opened.SaveBinding(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{0, -1} {
		page, err := opened.AccountBindings(t.Context(), "a", "", limit)
		if err != nil || len(page.Items) != 1 || page.Cursor == "" {
			t.Errorf("limit %d: got %d rows, error %v, want one", limit, len(page.Items), err)
		}
		due, err := opened.DueBefore(t.Context(), base, "", limit)
		if err != nil || len(due.Items) != 1 || due.Cursor == "" {
			t.Errorf("due, limit %d: got %d rows, error %v, want one", limit, len(due.Items), err)
		}
	}
}
