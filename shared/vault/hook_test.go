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

// steps is a vault that writes down which of its methods were called, and fails them all.
type steps struct{ taken *[]string }

var errInner = errors.New("of the vault itself")

func (s steps) take(step string) error {
	*s.taken = append(*s.taken, step)
	return errInner
}

func (s steps) Put(context.Context, vault.SecretName, int, secret.Text) error {
	return s.take("made Put")
}

func (s steps) Get(context.Context, vault.SecretName, int) (secret.Text, error) {
	return secret.New("got"), s.take("made Get")
}

func (s steps) Delete(context.Context, vault.SecretName) error { return s.take("made Delete") }

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

func TestEveryCallGoesThroughTheHook(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "handed on")
	errHook := errors.New("of the hook")
	methods := reflect.TypeFor[vault.Vault]()
	for i := range methods.NumMethod() {
		method := methods.Method(i)
		t.Run(method.Name, func(t *testing.T) {
			var taken []string
			var refuse error
			var done func()
			hooked := vault.WithBeforeCall(steps{&taken},
				func(got context.Context, name string) (func(), error) {
					if got.Value(key{}) != "handed on" {
						t.Error("the hook got another context")
					}
					taken = append(taken, "asked "+name)
					return done, refuse
				})
			check := func(what string, err error, want ...string) {
				t.Helper()
				if got := call(ctx, hooked, method); !errors.Is(got, err) {
					t.Errorf("%s: the error is %v, want %v", what, got, err)
				}
				if !slices.Equal(taken, want) {
					t.Errorf("%s: took %q, want %q", what, taken, want)
				}
				taken = nil
			}
			asked, made := "asked "+method.Name, "made "+method.Name

			check("no func", errInner, asked, made)
			done = func() { taken = append(taken, "done") }
			check("a func", errInner, asked, made, "done")
			refuse = errHook
			check("refused", errHook, asked)
		})
	}
}

func TestHookedHandsOnWhatItWasGiven(t *testing.T) {
	var taken []string
	hooked := vault.WithBeforeCall(steps{&taken}, func(context.Context, string) (func(), error) {
		return nil, nil
	})
	got, err := hooked.Get(t.Context(), good, 1)
	if got.Reveal() != "got" || !errors.Is(err, errInner) {
		t.Errorf("Get = another value or %v, want the vault's own", err)
	}
}
