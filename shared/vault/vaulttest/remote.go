package vaulttest

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Name is the secret that the tests of a [Remote] use.
const Name = vault.SecretName("0123456789abcdef0123456789abcdef")

// Remote is a vault on a fake service. F is the type of the service's faults. The services of both
// clouds have the same names of operations: CreateSecret, PutSecretValue, GetSecretValue,
// DeleteSecret, ListSecrets.
type Remote[F any] struct {
	Vault   vault.Vault
	Service Service[F]
	// Waits returns how often the vault has waited.
	Waits func() int
	// Current reads any secret, such as an operator's, by its full name.
	Current func(ctx context.Context, name string) (secret.Text, error)
	// FullName is the full name of the secret [Name].
	FullName string
}

// Service is the interface of a fake service for tests.
type Service[F any] interface {
	// Calls counts the calls of each operation.
	Calls() map[string]int
	// Names returns the secrets that could still be read or restored.
	Names() []string
	// Fail makes the next n calls of the operation fail.
	Fail(operation string, n int, fault F)
}

// Put puts a generation of [Name].
func (r Remote[F]) Put(t *testing.T, generation int, text string) {
	t.Helper()
	if err := r.Vault.Put(t.Context(), Name, generation, secret.New(text)); err != nil {
		t.Fatalf("Put(generation %d) = %v, want nil", generation, err)
	}
}

// Holds checks that a generation of [Name] has the value.
func (r Remote[F]) Holds(t *testing.T, generation int, text string) {
	t.Helper()
	got, err := r.Vault.Get(t.Context(), Name, generation)
	if err != nil || !got.Equal(secret.New(text)) {
		t.Errorf("Get(generation %d) is another value, or %v", generation, err)
	}
}

// Unclear checks that the error says nothing about the outcome.
func Unclear(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil || sentinel(err) {
		t.Errorf("%s = %v, want an error that isn't one of the contract's", call, err)
	}
}

// Call is one of a vault's calls about [Name].
type Call struct {
	Name, Operation string
	// Before is the generation that must exist for the call to succeed, 0 for none.
	Before int
	Do     func(context.Context, vault.Vault, secret.Text) error
}

// Calls returns all of a vault's calls.
func Calls() []Call {
	put := func(generation int) func(context.Context, vault.Vault, secret.Text) error {
		return func(ctx context.Context, v vault.Vault, s secret.Text) error {
			return v.Put(ctx, Name, generation, s)
		}
	}
	return []Call{
		{"Put(1)", "CreateSecret", 0, put(1)},
		{"Put(2)", "PutSecretValue", 1, put(2)},
		{"Get", "GetSecretValue", 1, func(ctx context.Context, v vault.Vault, _ secret.Text) error {
			_, err := v.Get(ctx, Name, 1)
			return err
		}},
		{"Delete", "DeleteSecret", 1, func(ctx context.Context, v vault.Vault, _ secret.Text) error {
			return v.Delete(ctx, Name)
		}},
		{"Newest", "GetSecretValue", 1, func(ctx context.Context, v vault.Vault, _ secret.Text) error {
			_, err := v.Newest(ctx, Name)
			return err
		}},
		{"List", "ListSecrets", 0, func(ctx context.Context, v vault.Vault, _ secret.Text) error {
			_, err := v.List(ctx, "")
			return err
		}},
	}
}

// EachCallIsOneRequest checks that each call makes one request, even if the value exists already.
func EachCallIsOneRequest[F any](t *testing.T, r Remote[F]) {
	t.Helper()
	r.Put(t, 1, "first")
	r.Put(t, 2, "second")
	r.Put(t, 2, "second") // the service itself knows that it is the same
	r.Holds(t, 1, "first")
	if newest, err := r.Vault.Newest(t.Context(), Name); newest != 2 || err != nil {
		t.Errorf("Newest = %d, %v, want 2", newest, err)
	}
	page, err := r.Vault.List(t.Context(), "")
	if len(page.Secrets) != 1 || page.Cursor != "" || err != nil {
		t.Errorf("List = %v, %v, want the one secret", page, err)
	}
	if err := r.Vault.Delete(t.Context(), Name); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"CreateSecret": 1, "PutSecretValue": 2, "GetSecretValue": 2, "DeleteSecret": 1,
		"ListSecrets": 1,
	}
	if got := r.Service.Calls(); !maps.Equal(got, want) || r.Waits() > 0 {
		t.Errorf("got requests %v and %d waits, want %v and none", got, r.Waits(), want)
	}
}

// IsTriedThreeTimes tests each call with faults that pass. waits is how often the vault itself
// waits meanwhile.
func IsTriedThreeTimes[F any](
	t *testing.T, open func(*testing.T) Remote[F], waits int, faults map[string]F,
) {
	each(t, open, faults, "first", func(t *testing.T, r Remote[F], c Call, fault F) {
		before := r.Service.Calls()[c.Operation]
		r.Service.Fail(c.Operation, 3, fault)
		Unclear(t, c.Name, c.Do(t.Context(), r.Vault, secret.New("value")))
		if got := r.Service.Calls()[c.Operation] - before; got != 3 || r.Waits() != waits {
			t.Errorf("tried %d times with %d waits, want 3 with %d", got, r.Waits(), waits)
		}
		r.Service.Fail(c.Operation, 2, fault)
		if err := c.Do(t.Context(), r.Vault, secret.New("value")); err != nil {
			t.Errorf("%s, which fails twice = %v, want nil", c.Name, err)
		}
	})
}

// IsTriedOnce tests each call with faults that don't pass.
func IsTriedOnce[F any](
	t *testing.T, open func(*testing.T) Remote[F], faults map[string]F,
) {
	each(t, open, faults, "first", func(t *testing.T, r Remote[F], c Call, fault F) {
		before := r.Service.Calls()[c.Operation]
		r.Service.Fail(c.Operation, 1, fault)
		Unclear(t, c.Name, c.Do(t.Context(), r.Vault, secret.New("value")))
		if got := r.Service.Calls()[c.Operation] - before; got != 1 {
			t.Errorf("tried %d times, want once", got)
		}
	})
}

// each runs the test for each call and fault, in the state in which the call would succeed.
func each[F any](
	t *testing.T, open func(*testing.T) Remote[F], faults map[string]F, text string,
	test func(t *testing.T, r Remote[F], c Call, fault F),
) {
	t.Helper()
	for what, fault := range faults {
		for _, c := range Calls() {
			t.Run(c.Name+" "+what, func(t *testing.T) {
				r := open(t)
				if c.Before > 0 {
					r.Put(t, c.Before, text)
				}
				test(t, r, c, fault)
			})
		}
	}
}

// ForeignValue is the value of a secret that Bindery didn't create.
const ForeignValue = "foreign"

// LeavesAlone tests a secret with the name [Name] that another program created, with the value
// [ForeignValue].
func LeavesAlone[F any](t *testing.T, r Remote[F]) {
	t.Helper()
	err := r.Vault.Put(t.Context(), Name, 1, secret.New("value"))
	if !errors.Is(err, vault.ErrExists) {
		t.Errorf("Put = %v, want ErrExists", err)
	}
	if _, err = r.Vault.Get(t.Context(), Name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	_, err = r.Vault.Newest(t.Context(), Name)
	Unclear(t, "Newest", err)
	left, err := r.Current(t.Context(), r.FullName)
	if err != nil || !left.Equal(secret.New(ForeignValue)) {
		t.Errorf("the secret has another value than before, or %v", err)
	}
}

// DeletesScheduled tests a secret with generation 1 that its operator has scheduled for deletion.
// It returns the error of putting generation 1 again.
func DeletesScheduled[F any](t *testing.T, r Remote[F]) error {
	t.Helper()
	if _, err := r.Vault.Get(t.Context(), Name, 1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
	if _, err := r.Vault.Newest(t.Context(), Name); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Newest = %v, want ErrNotFound", err)
	}
	err := r.Vault.Put(t.Context(), Name, 2, secret.New("second"))
	if !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Put(2) = %v, want ErrNotFound", err)
	}
	if r.Waits() > 0 {
		t.Errorf("waited %d times for a secret that can't appear, want 0", r.Waits())
	}
	again := r.Vault.Put(t.Context(), Name, 1, secret.New("first"))
	Unclear(t, "Put(1)", again)
	if err := r.Vault.Delete(t.Context(), Name); err != nil {
		t.Errorf("Delete = %v, want nil", err)
	}
	if left := r.Service.Names(); len(left) > 0 {
		t.Errorf("could still be restored: %v", left)
	}
	return again
}

// BelievesNoOther answers each call with replies of status 200 that aren't the service's. open
// returns a vault on those replies, and proves reports for which call a reply proves something
// nevertheless.
func BelievesNoOther(
	t *testing.T, open func(*testing.T, http.Handler) vault.Vault, replies map[string]string,
	proves func(what string, c Call) bool,
) {
	t.Helper()
	for what, reply := range replies {
		t.Run(what, func(t *testing.T) {
			v := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(reply))
			}))
			for _, c := range Calls() {
				if !proves(what, c) {
					Unclear(t, c.Name, c.Do(t.Context(), v, secret.New("value")))
				}
			}
		})
	}
}
