package transition_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/file"
	"bindery/shared/vault/transition"
	"bindery/shared/vault/vaulttest"
)

const name = vaulttest.Name

// fixture is a transition between two vaults, each of whose calls is hooked.
type fixture struct {
	*transition.Vault
	to, from vault.Vault // without hooks
	// before is called before each call to one of the two, and after is its end.
	before func(call string) error
	after  func(call string) error
	calls  vaulttest.CallLog

	refreshed bool // generation 3 was stored
}

// replied is a vault whose replies may be lost.
type replied struct {
	vault.Vault
	after func(call string) error
}

func (v replied) Put(ctx context.Context, n vault.SecretName, g int, value secret.Text) error {
	return errors.Join(v.Vault.Put(ctx, n, g, value), v.after("Put"))
}

func (v replied) Delete(ctx context.Context, n vault.SecretName) error {
	return errors.Join(v.Vault.Delete(ctx, n), v.after("Delete"))
}

func inMemory(t *testing.T) vault.Vault {
	t.Helper()
	key, err := file.ParseKey(secret.New(strings.Repeat("a", 64)))
	if err != nil {
		t.Fatal(err)
	}
	wrapper, err := file.NewWrapper(key)
	if err != nil {
		t.Fatal(err)
	}
	return envelope.New(envelope.Options{
		Store: new(vaulttest.Rows), Wrapper: wrapper, Now: time.Now,
		Owner: func(secret.Text) string { return "" },
	})
}

func newFixture(t *testing.T, toIsQuicker bool) *fixture {
	t.Helper()
	f := &fixture{to: inMemory(t), from: inMemory(t)}
	hooked := func(which string, v vault.Vault) vault.Vault {
		v = replied{v, func(call string) error {
			if f.after == nil {
				return nil
			}
			return f.after(which + call)
		}}
		return vault.WithBeforeCall(v, func(_ context.Context, call string) (func(), error) {
			f.calls.Add(which + call)
			if f.before == nil {
				return nil, nil
			}
			return nil, f.before(which + call)
		})
	}
	f.Vault = transition.New(transition.Options{
		To: hooked("to.", f.to), From: hooked("from.", f.from), ToIsQuicker: toIsQuicker,
	})
	return f
}

func text(generation int) secret.Text { return secret.New(fmt.Sprint("value ", generation)) }

// starts puts a secret with generations into From.
func (f *fixture) starts(t *testing.T, generations int) {
	t.Helper()
	for g := 1; g <= generations; g++ {
		if err := f.from.Put(t.Context(), name, g, text(g)); err != nil {
			t.Fatal(err)
		}
	}
}

func holds(t *testing.T, v vault.Vault, generations ...int) {
	t.Helper()
	for _, g := range generations {
		if got, err := v.Get(t.Context(), name, g); err != nil || !got.Equal(text(g)) {
			t.Errorf("generation %d is another value, or %v", g, err)
		}
	}
}

func missing(t *testing.T, v vault.Vault, generation int) {
	t.Helper()
	if _, err := v.Get(t.Context(), name, generation); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("generation %d: got %v, want ErrNotFound", generation, err)
	}
}

// both runs a test in both orders of reading.
func both(t *testing.T, test func(t *testing.T, toIsQuicker bool)) {
	for _, toIsQuicker := range []bool{true, false} {
		t.Run(fmt.Sprint("toIsQuicker=", toIsQuicker), func(t *testing.T) { test(t, toIsQuicker) })
	}
}

func TestTheContract(t *testing.T) {
	both(t, func(t *testing.T, toIsQuicker bool) {
		vaulttest.Run(t, func(t *testing.T) vault.Vault { return newFixture(t, toIsQuicker).Vault })
	})
	t.Run("secrets that stay", func(t *testing.T) {
		vaulttest.Run(t, func(t *testing.T) vault.Vault {
			f := newFixture(t, true)
			return staying{f.Vault, f.from}
		})
	})
}

// staying is a vault whose secrets are in the old one.
type staying struct {
	*transition.Vault
	from vault.Vault
}

func (v staying) Put(ctx context.Context, n vault.SecretName, g int, value secret.Text) error {
	if g == 1 {
		return v.from.Put(ctx, n, g, value)
	}
	return v.Vault.Put(ctx, n, g, value)
}

func TestItListsBoth(t *testing.T) {
	f := newFixture(t, true)
	vaulttest.Lists(t, staying{f.Vault, f.from}, time.Now, func() {})
	if err := f.to.Put(t.Context(), name, 1, text(1)); err != nil {
		t.Fatal(err)
	}
	names, err := vaulttest.Names(t.Context(), f.Vault)
	if err != nil || len(names) != 400 || !slices.Contains(names, name) {
		t.Errorf("lists %d secrets, %v; want 399 of the old vault and one of the new", len(names), err)
	}
	page, err := f.ListUnmoved(t.Context(), "")
	if err != nil || len(page.Secrets) != 100 || slices.ContainsFunc(page.Secrets,
		func(s vault.Listed) bool { return s.Name == name }) {
		t.Errorf("unmoved are %d on the first page, %v, want only those of the old vault",
			len(page.Secrets), err)
	}
}

func TestASecretMoves(t *testing.T) {
	both(t, func(t *testing.T, toIsQuicker bool) {
		for _, c := range []struct{ generations, used int }{{1, 1}, {2, 1}, {2, 2}, {7, 7}, {7, 6}} {
			f := newFixture(t, toIsQuicker)
			f.starts(t, c.generations)
			for _, want := range []bool{true, false} {
				moved, err := f.Move(t.Context(), name, c.used)
				if moved != want || err != nil {
					t.Errorf("%v: Move = %v, %v, want %v", c, moved, err, want)
				}
			}
			for g := max(1, c.used-1); g <= c.generations; g++ {
				holds(t, f.to, g)
				holds(t, f.Vault, g)
			}
			missing(t, f.from, c.generations)
			if newest, err := f.Newest(t.Context(), name); newest != c.generations || err != nil {
				t.Errorf("%v: Newest = %d, %v", c, newest, err)
			}
			if err := f.Vault.Put(t.Context(), name, c.generations+1, text(8)); err != nil {
				t.Errorf("%v: the next refresh = %v", c, err)
			}
		}
	})
}

func TestAPlaceholderIsNoGeneration(t *testing.T) {
	f := newFixture(t, true)
	f.starts(t, 7)
	if _, err := f.Move(t.Context(), name, 7); err != nil {
		t.Fatal(err)
	}
	missing(t, f.Vault, 1)
	missing(t, f.Vault, 5)
	placeholder, err := f.to.Get(t.Context(), name, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Vault.Put(t.Context(), name, 8, placeholder); !errors.Is(err, vault.ErrValue) {
		t.Errorf("Put of a placeholder = %v, want ErrValue", err)
	}
	// And back again.
	back := transition.New(transition.Options{To: f.from, From: f.to})
	if moved, err := back.Move(t.Context(), name, 7); !moved || err != nil {
		t.Errorf("Move = %v, %v, want true", moved, err)
	}
	holds(t, f.from, 6, 7)
	missing(t, f.to, 7)
}

var errCrash = errors.New("crashed")

// crashAt returns a hook that fails from the nth call on.
func crashAt(n int) func(string) error {
	return func(string) error {
		if n--; n < 0 {
			return errCrash
		}
		return nil
	}
}

// A move crashes at any call, or loses any reply. At every time each generation is read, a refresh
// is stored, and the next move completes it.
func TestD7_AMoveThatCrashesAtAnyCallLosesAndLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, toIsQuicker bool) {
		for _, lost := range []bool{false, true} {
			for _, refresh := range []bool{false, true} {
				for _, deletes := range []bool{false, true} {
					crashes(t, toIsQuicker, lost, refresh, deletes)
				}
			}
		}
	})
}

func crashes(t *testing.T, toIsQuicker, lost, refresh, deletes bool) {
	t.Helper()
	for n := 0; ; n++ {
		f := newFixture(t, toIsQuicker)
		f.starts(t, 3)
		if lost {
			f.after = crashAt(n)
		} else {
			f.before = crashAt(n)
		}
		_, err := f.Move(t.Context(), name, 3)
		f.before, f.after = nil, nil
		completed := err == nil
		newest := 3
		holds(t, f.Vault, 2, 3)
		if refresh {
			newest = 4
			err := f.Vault.Put(t.Context(), name, 4, text(4))
			again := f.Vault.Put(t.Context(), name, 4, text(4))
			other := f.Vault.Put(t.Context(), name, 4, text(5))
			if err != nil || again != nil || !errors.Is(other, vault.ErrExists) {
				t.Errorf("crash %d: a refresh = %v, again %v, another %v", n, err, again, other)
			}
			holds(t, f.Vault, 2, 3, 4)
		} else {
			missing(t, f.Vault, 4)
		}
		if got, err := f.Newest(t.Context(), name); got != newest || err != nil {
			t.Errorf("crash %d: Newest = %d, %v, want %d", n, got, err, newest)
		}
		if deletes {
			if err := f.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			for _, one := range []vault.Vault{f.to, f.from} {
				if names, err := vaulttest.Names(t.Context(), one); err != nil || len(names) > 0 {
					t.Errorf("crash %d: left over: %v, %v", n, names, err)
				}
			}
		} else {
			if _, err := f.Move(t.Context(), name, 3); err != nil {
				t.Errorf("crash %d: the next move = %v", n, err)
			}
			holds(t, f.to, 2, 3, newest)
			missing(t, f.from, 3)
		}
		if completed {
			return
		}
	}
}

// While one call is made of several, the other is made completely between any two of them.
func TestAnotherCallBetweenAnyTwoOfAMove(t *testing.T) {
	type op struct {
		what string
		do   func(*testing.T, *fixture)
	}
	move := op{"move", func(t *testing.T, f *fixture) {
		if _, err := f.Move(t.Context(), name, 2); err != nil {
			t.Errorf("Move = %v", err)
		}
	}}
	ops := []op{
		{"read", func(t *testing.T, f *fixture) { holds(t, f.Vault, 1, 2) }},
		{"refresh", func(t *testing.T, f *fixture) {
			if err := f.Vault.Put(t.Context(), name, 3, text(3)); err != nil {
				t.Errorf("Put = %v", err)
			}
			holds(t, f.Vault, 1, 2, 3)
			f.refreshed = true
		}},
		{"newest", func(t *testing.T, f *fixture) {
			if newest, err := f.Newest(t.Context(), name); newest != 2 || err != nil {
				t.Errorf("Newest = %d, %v, want 2", newest, err)
			}
		}},
		move,
	}
	for _, o := range ops {
		for _, pair := range [][2]op{{move, o}, {o, move}} {
			t.Run(pair[0].what+" around "+pair[1].what, func(t *testing.T) {
				both(t, func(t *testing.T, toIsQuicker bool) {
					between(t, toIsQuicker, pair[0].do, pair[1].do)
				})
			})
		}
	}
}

// between runs inner before the nth call of outer, for every n.
func between(t *testing.T, toIsQuicker bool, outer, inner func(*testing.T, *fixture)) {
	for n := 0; ; n++ {
		f := newFixture(t, toIsQuicker)
		f.starts(t, 2)
		ran, left := false, n
		f.before = func(string) error {
			if left--; left < 0 && !ran {
				ran = true
				inner(t, f)
			}
			return nil
		}
		outer(t, f)
		f.before = nil
		if !ran {
			return
		}
		if _, err := f.Move(t.Context(), name, 2); err != nil {
			t.Fatal(err)
		}
		holds(t, f.to, 1, 2)
		if f.refreshed {
			holds(t, f.to, 3)
		}
		if names, err := vaulttest.Names(t.Context(), f.from); err != nil || len(names) > 0 {
			t.Errorf("call %d: left over: %v, %v", n, names, err)
		}
		if t.Failed() {
			t.Fatalf("at call %d of %v", n, f.calls.String())
		}
	}
}

func TestTheCallsOfEachMethod(t *testing.T) {
	f := newFixture(t, true)
	if err := f.to.Put(t.Context(), name, 1, text(1)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		call func() error
		want string
	}{
		{"Get", func() error { _, err := f.Get(t.Context(), name, 1); return err }, "[to.Get]"},
		{"Put", func() error { return f.Vault.Put(t.Context(), name, 2, text(2)) }, "[from.Put to.Put]"},
		{
			"Newest", func() error { _, err := f.Newest(t.Context(), name); return err },
			"[from.Newest to.Newest]",
		},
		{"Delete", func() error { return f.Delete(t.Context(), name) }, "[from.Delete to.Delete]"},
	} {
		f.calls.Reset()
		if err := c.call(); err != nil {
			t.Errorf("%s = %v", c.what, err)
		}
		if got := f.calls.String(); got != c.want {
			t.Errorf("%s made %s, want %s", c.what, got, c.want)
		}
	}
}

// From says that a generation exists and then doesn't show it, as a service may for a moment. The
// refresh isn't stored a second time.
func TestAGenerationThatIsNotVisibleYetIsNotStoredTwice(t *testing.T) {
	f := newFixture(t, true)
	f.starts(t, 2)
	f.before = func(call string) error {
		if call == "from.Get" {
			return vault.ErrNotFound
		}
		return nil
	}
	if err := f.Vault.Put(t.Context(), name, 2, text(9)); !errors.Is(err, vault.ErrExists) {
		t.Errorf("Put = %v, want ErrExists", err)
	}
	if moved, err := f.Move(t.Context(), name, 2); moved || err == nil {
		t.Errorf("Move = %v, %v, want an error", moved, err)
	}
	f.before = nil
	missing(t, f.to, 2)
	holds(t, f.Vault, 1, 2)
}
