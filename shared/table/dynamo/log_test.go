package dynamo

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/table"
	"bindery/shared/table/engine"
)

// logCalls leave a log of two events.
func logCalls(t *engine.Table) []call {
	return []call{
		{"AppendLog", func(ctx context.Context) error {
			return t.AppendLog(ctx, "1", sourceEventsOf(2))
		}, "1 BatchWriteItem"},
		{"LoggedEvent", func(ctx context.Context) error {
			_, err := t.LoggedEvent(ctx, "1", 1)
			return err
		}, "1 GetItem"},
		{"Log", func(ctx context.Context) error {
			_, err := t.Log(ctx, "1", 3, 10)
			return err
		}, "1 Query"},
		{"SaveSubscriptionHeads", func(ctx context.Context) error {
			_, err := t.SaveSubscriptionHeads(ctx, binding.Heads{Subscription: "1"})
			if errors.Is(err, table.ErrConflict) {
				return nil // there are some
			}
			return err
		}, "1 PutItem"},
		{"SubscriptionHeads", func(ctx context.Context) error {
			_, err := t.SubscriptionHeads(ctx, "1")
			return err
		}, "1 GetItem"},
	}
}

func sourceEventsOf(count int) (list []binding.SourceEvent) {
	for i := range count {
		list = append(list, binding.SourceEvent{ID: fmt.Sprint(i), Number: int64(i + 1)})
	}
	return list
}

func TestALogIsReadAndDeletedInFewCalls(t *testing.T) {
	opened, p := open(t)
	ctx := t.Context()
	for number := int64(1); number <= binding.MaxLogged+3; number++ {
		err := opened.AppendLog(ctx, "1", []binding.SourceEvent{{Number: number}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for below, want := range map[int64]string{
		binding.MaxLogged + 4: "2 Query", // three from the ring's beginning, and the rest from its end
		binding.MaxLogged:     "1 Query", 20: "1 Query",
	} {
		got := p.count(func() {
			if list, err := opened.Log(ctx, "1", below, 10); err != nil || len(list) != 10 {
				t.Errorf("below %d: got %d events, error %v, want 10", below, len(list), err)
			}
		})
		if got != want {
			t.Errorf("below %d: asked %s, want %s", below, got, want)
		}
	}
	all, steps := false, 0
	for ; !all && steps < 100; steps++ {
		got := p.count(func() {
			var err error
			if all, err = opened.DeleteLog(ctx, "1"); err != nil {
				t.Error(err)
			}
		})
		if want := "1 Query, 23 DeleteItem"; !all && got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	}
	if want := binding.MaxLogged/23 + 1; steps != want {
		t.Errorf("%d steps deleted the log, want %d", steps, want)
	}
}
