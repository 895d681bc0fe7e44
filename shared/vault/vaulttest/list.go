package vaulttest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Names lists all secrets of a vault, in order and each once.
func Names(ctx context.Context, v vault.Vault) ([]vault.SecretName, error) {
	pages, err := pagesFrom(ctx, v, "")
	var names []vault.SecretName
	for _, s := range slices.Concat(pages...) {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// pagesFrom lists the pages from a cursor on.
func pagesFrom(
	ctx context.Context, v vault.Vault, cursor string,
) (pages [][]vault.Listed, err error) {
	for range 1000 {
		page, err := v.List(ctx, cursor)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page.Secrets)
		if cursor = page.Cursor; cursor == "" {
			return pages, nil
		}
	}
	return nil, errors.New("the list has no end")
}

// Lists checks the list of an empty vault that has fewer than 200 secrets in a page. now is the
// clock by which it creates secrets. plant adds what the list must leave out: secrets of other
// programs, and ones that don't exist any more. It isn't part of [Run], because a real service's
// list may be minutes old.
func Lists(t *testing.T, v vault.Vault, now func() time.Time, plant func()) {
	t.Helper()
	ctx := t.Context()
	wantNames(t, "an empty vault", v, nil)
	if _, err := v.List(ctx, "%"); !errors.Is(err, vault.ErrCursor) {
		t.Errorf("List with a cursor of no list = %v, want ErrCursor", err)
	}
	want := make([]vault.SecretName, 401)
	for i := range want {
		var random [16]byte
		_, _ = rand.Read(random[:])
		want[i] = vault.SecretName(hex.EncodeToString(random[:]))
		if err := v.Put(ctx, want[i], 1, secret.New("value")); err != nil {
			t.Fatal(err)
		}
	}
	plant()
	slices.Sort(want)
	wantNames(t, "with other secrets", v, want)
	pages, err := pagesFrom(ctx, v, "")
	if err != nil || len(pages) < 3 {
		t.Fatalf("List: %d pages, %v; want several", len(pages), err)
	}
	for _, s := range slices.Concat(pages...) {
		// The services write whole seconds, and a file's time may be older than the clock's.
		if age := now().Sub(s.CreatedAt); age < -time.Second || age > time.Minute {
			t.Fatalf("the list says that a secret was created %v ago", age)
		}
	}
	vanishes(t, v, want)
}

// vanishes deletes secrets between two pages: one that was listed, and one that wasn't.
func vanishes(t *testing.T, v vault.Vault, want []vault.SecretName) {
	t.Helper()
	first, err := v.List(t.Context(), "")
	if err != nil || len(first.Secrets) == 0 || first.Cursor == "" {
		t.Fatalf("the first page has %d secrets, %v; want some, and a cursor", len(first.Secrets), err)
	}
	listed := func(name vault.SecretName) bool {
		return slices.ContainsFunc(first.Secrets, func(s vault.Listed) bool { return s.Name == name })
	}
	gone := []vault.SecretName{
		first.Secrets[0].Name,
		want[slices.IndexFunc(want, func(n vault.SecretName) bool { return !listed(n) })],
	}
	for _, name := range gone {
		if err := v.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := pagesFrom(t.Context(), v, first.Cursor)
	if err != nil {
		t.Fatalf("List after secrets have vanished = %v, want the other secrets", err)
	}
	for _, s := range slices.Concat(rest...) {
		if !slices.Contains(want, s.Name) {
			t.Errorf("lists %s, which was never put", s.Name)
		}
	}
	wantNames(t, "after secrets have vanished", v, slices.DeleteFunc(
		slices.Clone(want), func(n vault.SecretName) bool { return slices.Contains(gone, n) }))
}

func wantNames(t *testing.T, when string, v vault.Vault, want []vault.SecretName) {
	t.Helper()
	got, err := Names(t.Context(), v)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: lists %d secrets, %v; want %d", when, len(got), err, len(want))
	}
}

func newest(t *testing.T, v watched) {
	name, other := newName(t, v), newName(t, v)
	want := func(generation int, err error) {
		t.Helper()
		got, gotErr := v.Newest(t.Context(), name)
		if got != generation || !errors.Is(gotErr, err) {
			t.Errorf("Newest = %d, %v, want %d, %v", got, gotErr, generation, err)
		}
	}
	want(0, vault.ErrNotFound)
	put(t, v, other, 1, "other")
	put(t, v, other, 2, "other's second")
	for generation := 1; generation <= 12; generation++ { // KMS keeps ten
		put(t, v, name, generation, fmt.Sprint(generation))
		want(generation, nil)
	}
	put(t, v, name, 11, "11") // again changes nothing
	want(12, nil)
	remove(t, v, name)
	if err := v.gone(func() error { _, err := v.Newest(t.Context(), name); return err }); !errors.Is(
		err, vault.ErrNotFound) {
		t.Errorf("Newest of a deleted secret = %v, want ErrNotFound", err)
	}
}
