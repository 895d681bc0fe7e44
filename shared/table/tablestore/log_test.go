package tablestore

import (
	"context"
	"maps"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// logCalls leave a log of two events.
func logCalls() []call {
	return []call{
		{"AppendLog", func(ctx context.Context, t *engine.Table) error {
			return t.AppendLog(ctx, "1", []binding.SourceEvent{{Number: 1}, {Number: 2}})
		}, "BatchWriteRow", 1},
		{"LoggedEvent", func(ctx context.Context, t *engine.Table) error {
			_, err := t.LoggedEvent(ctx, "1", 1)
			return known(err, table.ErrNotFound)
		}, "GetRow", 1},
		{"Log", func(ctx context.Context, t *engine.Table) error {
			_, err := t.Log(ctx, "1", 3, 10)
			return err
		}, "GetRange", 1},
		{"SaveSubscriptionHeads", func(ctx context.Context, t *engine.Table) error {
			_, err := t.SaveSubscriptionHeads(ctx, binding.Heads{Subscription: "1"})
			return known(err, table.ErrConflict)
		}, "PutRow", 1},
		{"SubscriptionHeads", func(ctx context.Context, t *engine.Table) error {
			_, err := t.SubscriptionHeads(ctx, "1")
			return known(err, table.ErrNotFound)
		}, "GetRow", 1},
	}
}

func TestALogIsReadAndDeletedInFewCalls(t *testing.T) {
	w := newHarness(t)
	ctx := t.Context()
	for number := int64(1); number <= binding.MaxLogged+3; number++ {
		err := w.table.AppendLog(ctx, "1", []binding.SourceEvent{{Number: number}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for below, want := range map[int64]int{
		binding.MaxLogged + 4: 2, // three from the ring's beginning, and the rest from its end
		binding.MaxLogged:     1, 20: 1,
	} {
		got := w.count(func() {
			if list, err := w.table.Log(ctx, "1", below, 10); err != nil || len(list) != 10 {
				t.Errorf("below %d: got %d events, error %v, want 10", below, len(list), err)
			}
		})
		if want := map[string]int{"GetRange": want}; !maps.Equal(got, want) {
			t.Errorf("below %d: asked %v, want %v", below, got, want)
		}
	}
	all, steps := false, 0
	for ; !all && steps < 100; steps++ {
		got := w.count(func() {
			var err error
			if all, err = w.table.DeleteLog(ctx, "1"); err != nil {
				t.Error(err)
			}
		})
		if want := map[string]int{"GetRange": 1, "DeleteRow": 23}; !all && !maps.Equal(got, want) {
			t.Errorf("asked %v, want %v", got, want)
		}
	}
	if want := binding.MaxLogged/23 + 1; steps != want {
		t.Errorf("%d steps deleted the log, want %d", steps, want)
	}
}
