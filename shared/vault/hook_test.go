package vault_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// recorder is a vault that records which of its methods were called, and fails all of them.
type recorder struct{ calls *[]string }

var errInner = errors.New("of the vault itself")

func (s recorder) record(call string) error {
	*s.calls = append(*s.calls, call)
	return errInner
}

func (s recorder) Put(context.Context, vault.SecretName, int, secret.Text) error {
	return s.record("made Put")
}

func (s recorder) Get(context.Context, vault.SecretName, int) (secret.Text, error) {
	return secret.New("got"), s.record("made Get")
}

func (s recorder) Delete(context.Context, vault.SecretName) error { return s.record("made Delete") }

func (s recorder) Newest(context.Context, vault.SecretName) (int, error) {
	return 7, s.record("made Newest")
}

func (s recorder) List(context.Context, string) (vault.Page, error) {
	return vault.Page{Cursor: "next"}, s.record("made List")
}

// call calls a method with zero values, and returns its last result, the error.
func call(ctx context.Context, v vault.Vault, method reflect.Method) error {
	args := []reflect.Value{reflect.ValueOf(ctx)}
	for i := 1; i < method.Type.NumIn(); i++ {
		args = append(args, reflect.Zero(method.Type.In(i)))
	}
	results := reflect.ValueOf(v).MethodByName(method.Name).Call(args)
	err, _ := results[len(results)-1].Interface().(error)
	return err
}

func TestEveryCallCallsTheHookFirst(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "passed on")
	errHook := errors.New("of the hook")
	methods := reflect.TypeFor[vault.Vault]()
	for i := range methods.NumMethod() {
		method := methods.Method(i)
		t.Run(method.Name, func(t *testing.T) {
			var calls []string
			var refuse error
			var done func()
			hooked := vault.WithBeforeCall(recorder{&calls},
				func(got context.Context, name string) (func(), error) {
					if got.Value(key{}) != "passed on" {
						t.Error("the hook got another context")
					}
					calls = append(calls, "asked "+name)
					return done, refuse
				})
			check := func(what string, err error, want ...string) {
				t.Helper()
				if got := call(ctx, hooked, method); !errors.Is(got, err) {
					t.Errorf("%s: the error is %v, want %v", what, got, err)
				}
				if !slices.Equal(calls, want) {
					t.Errorf("%s: took %q, want %q", what, calls, want)
				}
				calls = nil
			}
			asked, made := "asked "+method.Name, "made "+method.Name

			check("no func", errInner, asked, made)
			done = func() { calls = append(calls, "done") }
			check("a func", errInner, asked, made, "done")
			refuse = errHook
			check("refused", errHook, asked)
		})
	}
}

func TestWithBeforeCallPassesResultsOn(t *testing.T) {
	var calls []string
	hooked := vault.WithBeforeCall(recorder{&calls}, func(context.Context, string) (func(), error) {
		return nil, nil
	})
	got, err := hooked.Get(t.Context(), good, 1)
	if got.Reveal() != "got" || !errors.Is(err, errInner) {
		t.Errorf("Get = another value or %v, want the vault's own", err)
	}
	newest, err := hooked.Newest(t.Context(), good)
	if newest != 7 || !errors.Is(err, errInner) {
		t.Errorf("Newest = %d, %v, want the vault's own", newest, err)
	}
	page, err := hooked.List(t.Context(), "")
	if page.Cursor != "next" || !errors.Is(err, errInner) {
		t.Errorf("List = %v, %v, want the vault's own", page, err)
	}
}
