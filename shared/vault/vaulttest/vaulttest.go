// Package vaulttest holds every implementation of [vault.Vault] to the contract's letter.
//
// It asks for nothing but the contract: how a vault stores, locks or survives a crash is for its
// own package's tests.
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

// canary begins every value, so that an error that shows one is seen.
const canary = "canary-7d1a-"

// Options are for a vault that isn't as quick as one on this machine. The zero value is for one
// that is.
type Options struct {
	// AtOnce is how many put at the same moment; 0 is 64. A service may turn some of so many away.
	AtOnce int
	// Patience is how long the service may still show what was deleted, as the sum of the waits
	// between looks; 0 is not at all. What is put must be there at once in any case.
	Patience time.Duration
	// Sleep waits between two looks; nil is [time.Sleep].
	Sleep func(time.Duration)
}

// Run runs the suite. Each test opens a vault of its own, uses new random names, and deletes them
// at its end; so open may as well return the same store each time, even one with secrets in it.
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
		{"OnlyTheFirstGenerationMakesASecret", onlyTheFirstMakes},
		{"NothingComesBackAfterDelete", nothingComesBack},
		{"DeleteRemovesEveryGeneration", deleteRemovesAll},
		{"WhatIsNotThereIsNotFound", notThere},
		{"ValuesSurviveByteForByte", valuesSurvive},
		{"RefusesValuesThatAreEmptyOrTooLong", refusesValues},
		{"RefusesBadNames", refusesNames},
		{"RefusesBadGenerations", refusesGenerations},
		{"OneOfManyWritersWins", oneWins},
		{"TheSameValueFromManyWritersIsNil", sameFromMany},
		{"ALateWriterNeverRevives", lateWriter},
		{"ACancelledCallSaysSo", cancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, watched{open(t), t, o}) })
	}
}

// watched fails the test that gets an error in which a value is seen.
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

func (w watched) seen(call string, err error) error {
	for _, format := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(format, err)
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			w.t.Errorf("the error of %s shows the value when printed with %s", call, format)
		}
	}
	return err
}

// newName returns an unused name. Its secret is deleted when the test ends, failed or not.
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

// Waits between two looks for what should be gone.
const (
	firstWait = 50 * time.Millisecond
	longWait  = time.Second
)

// gone looks until the call no longer says that something is there, or the patience is at its end,
// and returns the last error.
func (w watched) gone(call func() error) error {
	waited, wait := time.Duration(0), firstWait
	for {
		err := call()
		there := err == nil || errors.Is(err, vault.ErrExists)
		if !there || waited >= w.options.Patience {
			return err
		}
		w.options.Sleep(wait)
		waited, wait = waited+wait, min(2*wait, longWait)
	}
}

// putErr puts, and wants that error.
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

// holds wants that value to be read. A failure shows no value.
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

// sentinel reports whether err claims to know the outcome.
func sentinel(err error) bool {
	for _, known := range []error{
		vault.ErrNotFound, vault.ErrExists, vault.ErrValue, vault.ErrName,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
