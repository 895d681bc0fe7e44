package binding_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// jostle makes calls give way to others now and then.
func (b *harness) jostle() {
	b.before.set(func(context.Context, string) (func(), error) {
		for range rand.IntN(4) {
			runtime.Gosched()
		}
		return runtime.Gosched, nil
	})
}

// TestManyAtOnceLeaveOneBindingWhole lets many bind, unbind and sweep the same binding at once.
func TestManyAtOnceLeaveOneBindingWhole(t *testing.T) {
	const actors, rounds = 16, 8
	b := newHarness(t)
	b.mustBind("i-1", aliceToken)
	b.jostle()
	for range rounds {
		var all sync.WaitGroup
		for i := range actors {
			all.Go(func() {
				if err := b.oneOf(i); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		b.clock().Advance(ledger.OrphanGracePeriod) // what this round has left is swept in the next
	}
	b.before.clear()
	was := b.opens("i-1")
	b.settled()
	testkit.Want(t, "identity in the end", b.opens("i-1"), was)
	if err := checkHistory(b.store.table, b.row("i-1", provider.GitLab)); err != nil {
		t.Error(err)
	}
}

// oneOf does what the i-th of many does. To lose against another is no fault.
func (b *harness) oneOf(i int) error {
	ctx := context.Background()
	var err error
	switch i % 4 {
	case 0:
		_, err = b.Connect.BindToken(ctx, b.gitLab("i-1", aliceOther))
	case 1:
		_, err = b.Connect.BindToken(ctx, b.gitLab("i-1", bobToken))
	case 2:
		_, err = b.Connect.Unbind(ctx, gitLabEnd("i-1", false))
	default:
		var done maintenance.RunResult
		if done, err = b.Maintenance.Run(ctx); done.Failed > 0 {
			return fmt.Errorf("a sweep failed at %d entries", done.Failed)
		}
	}
	if problem.Is(err, problem.Conflict) {
		return nil
	}
	return err
}

// TestOfManyBindsWithOneTagOneWins is the promise of If-Match.
func TestOfManyBindsWithOneTagOneWins(t *testing.T) {
	const actors = 8
	b := newHarness(t)
	stamp := b.mustBind("i-1", aliceToken).Record.Revision
	b.jostle()
	won := make(chan bool, actors)
	var all sync.WaitGroup
	for range actors {
		all.Go(func() {
			in := b.gitLab("i-1", bobToken)
			in.Match = binding.Match{ETags: []string{stamp}}
			_, err := b.Connect.BindToken(context.Background(), in)
			won <- err == nil
			if err != nil && !problem.Is(err, problem.Conflict) &&
				!problem.Is(err, problem.PreconditionFailed) {
				t.Errorf("got %v, want a conflict", err)
			}
		})
	}
	all.Wait()
	close(won)
	count := 0
	for w := range won {
		if w {
			count++
		}
	}
	testkit.Want(t, "winners", count, 1)
	b.before.clear()
	b.settled()
}

// TestBindingsDoNotGetInEachOthersWay binds many instances at once, with one and the same token.
func TestBindingsDoNotGetInEachOthersWay(t *testing.T) {
	const actors = 12
	b := newHarness(t)
	b.jostle()
	each := func(do func(id string) error) {
		var all sync.WaitGroup
		for i := range actors {
			all.Go(func() {
				if err := do(fmt.Sprint("i-", i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	each(func(id string) error {
		_, err := b.Connect.BindToken(context.Background(), b.gitLab(id, aliceToken))
		return err
	})
	each(func(id string) error {
		if id == "i-0" {
			return nil
		}
		_, err := b.Connect.Unbind(context.Background(), gitLabEnd(id, true))
		return err
	})
	b.before.clear()
	testkit.Want(t, "the token that one still holds is taken", b.taken(aliceToken), true)
	b.settled()
	testkit.Want(t, "secrets", len(b.secrets()), 1)
	page, err := b.store.table.AllBindings(context.Background(), "", ledger.PageSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range page.Items {
		testkit.Want(t, "key", rec.Key, binding.Key{
			Account: user.Account, Region: "cn-hangzhou", Instance: rec.Instance,
			Platform: provider.GitLab,
		})
	}
}
