// Package vaulttest checks that an implementation of [vault.Vault] keeps the contract.
//
// It tests nothing but the contract. How a vault stores, locks or survives a crash is left to the
// tests of its own package.
package vaulttest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// canary is the start of every value, so that a value in an error is found.
const canary = "canary-7d1a-"

// Options are for a vault that is slower than one on this machine. The zero value is for a local
// one.
type Options struct {
	// AtOnce is how many writers put at the same moment; 0 is 64. A service may refuse some of so
	// many.
	AtOnce int
	// DeleteTimeout is how long the service may still show a deleted secret, as the sum of the
	// waits between attempts; 0 is not at all. A value that was put must be visible at once in any
	// case.
	DeleteTimeout time.Duration
	// Sleep waits between two attempts; nil is [time.Sleep].
	Sleep func(time.Duration)
}

// Run runs the suite. Each test opens its own vault, uses new random names, and deletes them at its
// end; so open may return the same store each time, even one that contains secrets.
func Run(t *testing.T, open func(t *testing.T) vault.Vault) { RunWith(t, Options{}, open) }

// RunWith is [Run] with options.
func RunWith(t *testing.T, o Options, open func(t *testing.T) vault.Vault) {
	if o.AtOnce == 0 {
		o.AtOnce = 64
	}
	if o.Sleep == nil {
		o.Sleep = time.Sleep
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, watched)
	}{
		{"ReadsEveryGenerationByItsNumber", readsEveryGeneration},
		{"NamesAreApart", namesAreApart},
		{"CreatesOnly", createsOnly},
		{"OnlyTheFirstGenerationCreatesASecret", onlyTheFirstMakes},
		{"NothingReappearsAfterDelete", nothingComesBack},
		{"DeleteRemovesEveryGeneration", deleteRemovesAll},
		{"AMissingGenerationIsNotFound", notThere},
		{"NewestIsTheHighestGeneration", newest},
		{"ValuesSurviveByteForByte", valuesSurvive},
		{"RefusesValuesThatAreEmptyOrTooLong", refusesValues},
		{"RefusesBadNames", refusesNames},
		{"RefusesBadGenerations", refusesGenerations},
		{"OneOfManyWritersWins", oneWins},
		{"TheSameValueFromManyWritersIsNil", sameFromMany},
		{"ALateWriterNeverRevives", lateWriter},
		{"ACancelledCallReturnsTheContextsError", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, watched{open(t), t, o}) })
	}
}

// watched is a vault that fails the test if an error shows a value.
type watched struct {
	vault.Vault
	t       *testing.T
	options Options
}

func (w watched) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	return w.seen("Put", w.Vault.Put(ctx, name, generation, value))
}

func (w watched) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	value, err := w.Vault.Get(ctx, name, generation)
	if err != nil && !value.Empty() {
		w.t.Error("Get returned an error and a value, want one of the two")
	}
	return value, w.seen("Get", err)
}

func (w watched) Delete(ctx context.Context, name vault.SecretName) error {
	return w.seen("Delete", w.Vault.Delete(ctx, name))
}

func (w watched) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	generation, err := w.Vault.Newest(ctx, name)
	return generation, w.seen("Newest", err)
}

func (w watched) seen(call string, err error) error {
	for _, format := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(format, err)
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			w.t.Errorf("the error of %s shows the value when printed with %s", call, format)
		}
	}
	return err
}

// newName returns an unused name. Its secret is deleted when the test ends, even if it failed.
func newName(t *testing.T, v watched) vault.SecretName {
	t.Helper()
	var random [16]byte
	_, _ = rand.Read(random[:])
	name := vault.SecretName(hex.EncodeToString(random[:]))
	t.Cleanup(func() {
		if err := v.Delete(context.WithoutCancel(t.Context()), name); err != nil {
			t.Errorf("cleaning up: Delete = %v", err)
		}
	})
	return name
}

func value(text string) secret.Text { return secret.New(canary + text) }

func put(t *testing.T, v watched, name vault.SecretName, generation int, text string) {
	t.Helper()
	if err := v.Put(t.Context(), name, generation, value(text)); err != nil {
		t.Fatalf("Put(generation %d) = %v, want nil", generation, err)
	}
}

// The waits between two attempts for a deleted secret.
const (
	firstWait = 50 * time.Millisecond
	longWait  = time.Second
)

// gone repeats the call until it reports that nothing exists, or until DeleteTimeout has passed,
// and returns the last error.
func (w watched) gone(call func() error) error {
	waited, wait := time.Duration(0), firstWait
	for {
		err := call()
		there := err == nil || errors.Is(err, vault.ErrExists)
		if !there || waited >= w.options.DeleteTimeout {
			return err
		}
		w.options.Sleep(wait)
		waited, wait = waited+wait, min(2*wait, longWait)
	}
}

// putErr puts a value and expects the error.
func putErr(
	t *testing.T, v watched, name vault.SecretName, generation int, text string, want error,
) {
	t.Helper()
	put := func() error { return v.Put(t.Context(), name, generation, value(text)) }
	var err error
	if want == vault.ErrNotFound {
		err = v.gone(put)
	} else {
		err = put()
	}
	if !errors.Is(err, want) {
		t.Errorf("Put(generation %d) = %v, want %v", generation, err, want)
	}
}

// holds checks that the generation has the value. A failure shows no value.
func holds(t *testing.T, v watched, name vault.SecretName, generation int, text string) {
	t.Helper()
	got, err := v.Get(t.Context(), name, generation)
	if err != nil {
		t.Errorf("Get(generation %d) = %v, want its value", generation, err)
	} else if !got.Equal(value(text)) {
		t.Errorf("Get(generation %d) is another value than the one put", generation)
	}
}

func missing(t *testing.T, v watched, name vault.SecretName, generation int) {
	t.Helper()
	err := v.gone(func() error {
		_, err := v.Get(t.Context(), name, generation)
		return err
	})
	if !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get(generation %d) = %v, want ErrNotFound", generation, err)
	}
}

func remove(t *testing.T, v watched, name vault.SecretName) {
	t.Helper()
	if err := v.Delete(t.Context(), name); err != nil {
		t.Fatalf("Delete = %v, want nil", err)
	}
}

// sentinel reports whether err is one of the contract's errors about the outcome.
func sentinel(err error) bool {
	for _, known := range []error{
		vault.ErrNotFound, vault.ErrExists, vault.ErrValue, vault.ErrName, vault.ErrCursor,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
