package vaulttest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"bindery/shared/vault"
)

// putAtOnce starts [Options.AtOnce] writers at the same moment, and returns the result of each.
func putAtOnce(
	t *testing.T, v watched, name vault.SecretName, generation int, text func(writer int) string,
) []error {
	t.Helper()
	start := make(chan struct{})
	errs := make([]error, v.options.AtOnce)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			<-start
			errs[i] = v.Put(t.Context(), name, generation, value(text(i)))
		})
	}
	close(start)
	all.Wait()
	return errs
}

func oneWins(t *testing.T, v watched) {
	name := newName(t, v)
	for generation := 1; generation <= 2; generation++ {
		text := func(writer int) string { return fmt.Sprintf("%d of writer %d", generation, writer) }
		winner := -1
		for i, err := range putAtOnce(t, v, name, generation, text) {
			switch {
			case err == nil && winner < 0:
				winner = i
			case err == nil:
				t.Errorf("generation %d: writers %d and %d both got nil", generation, winner, i)
			case !errors.Is(err, vault.ErrExists):
				t.Errorf("generation %d: writer %d got %v, want ErrExists", generation, i, err)
			}
		}
		if winner < 0 {
			t.Fatalf("generation %d: no writer got nil, want one", generation)
		}
		holds(t, v, name, generation, text(winner))
	}
}

func sameFromMany(t *testing.T, v watched) {
	name := newName(t, v)
	for generation := 1; generation <= 2; generation++ {
		same := func(int) string { return "the same" }
		for i, err := range putAtOnce(t, v, name, generation, same) {
			if err != nil {
				t.Errorf("generation %d: writer %d got %v, want nil", generation, i, err)
			}
		}
		holds(t, v, name, generation, "the same")
	}
}

// lateWriter puts a second generation while the secret is being deleted. Whichever comes first,
// nothing may be left.
func lateWriter(t *testing.T, v watched) {
	for range 10 {
		name := newName(t, v)
		put(t, v, name, 1, "first")
		start := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				<-start
				err := v.Put(t.Context(), name, 2, value("second"))
				if err != nil && !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("Put during Delete = %v, want nil or ErrNotFound", err)
				}
			})
			all.Go(func() {
				<-start
				if err := v.Delete(t.Context(), name); err != nil {
					t.Errorf("Delete during Put = %v, want nil", err)
				}
			})
		}
		close(start)
		all.Wait()
		missing(t, v, name, 1)
		missing(t, v, name, 2)
		putErr(t, v, name, 3, "third", vault.ErrNotFound)
	}
}
