package vaulttest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

func readsEveryGeneration(t *testing.T, v watched) {
	name := newName(t, v)
	put(t, v, name, 1, "first")
	put(t, v, name, 2, "second")
	put(t, v, name, 3, "third")
	holds(t, v, name, 1, "first")
	holds(t, v, name, 2, "second")
	holds(t, v, name, 3, "third")
	missing(t, v, name, 4)
}

func namesAreApart(t *testing.T, v watched) {
	one, other := newName(t, v), newName(t, v)
	put(t, v, one, 1, "one")
	put(t, v, other, 1, "other")
	put(t, v, other, 2, "other's second")
	holds(t, v, one, 1, "one")
	missing(t, v, one, 2)
	remove(t, v, one)
	holds(t, v, other, 1, "other")
	holds(t, v, other, 2, "other's second")
}

func createsOnly(t *testing.T, v watched) {
	name := newName(t, v)
	put(t, v, name, 1, "first")
	put(t, v, name, 1, "first")
	putErr(t, v, name, 1, "another", vault.ErrExists)
	holds(t, v, name, 1, "first")

	put(t, v, name, 2, "second")
	put(t, v, name, 2, "second")
	putErr(t, v, name, 2, "another", vault.ErrExists)
	holds(t, v, name, 2, "second")

	// The later generation changes nothing about the earlier one.
	put(t, v, name, 1, "first")
	putErr(t, v, name, 1, "second", vault.ErrExists)
	holds(t, v, name, 1, "first")
}

func onlyTheFirstMakes(t *testing.T, v watched) {
	name := newName(t, v)
	putErr(t, v, name, 2, "second", vault.ErrNotFound)
	missing(t, v, name, 2)
	missing(t, v, name, 1)
	// The refused call must not have created a secret that the next one finds.
	putErr(t, v, name, 3, "third", vault.ErrNotFound)
	put(t, v, name, 1, "first")
	put(t, v, name, 2, "second")
	holds(t, v, name, 2, "second")
}

func nothingComesBack(t *testing.T, v watched) {
	name := newName(t, v)
	put(t, v, name, 1, "first")
	put(t, v, name, 2, "second")
	remove(t, v, name)
	putErr(t, v, name, 2, "second", vault.ErrNotFound)
	putErr(t, v, name, 3, "third", vault.ErrNotFound)
	for generation := 1; generation <= 3; generation++ {
		missing(t, v, name, generation)
	}
}

func deleteRemovesAll(t *testing.T, v watched) {
	name := newName(t, v)
	remove(t, v, name) // has never existed
	for generation := 1; generation <= 3; generation++ {
		put(t, v, name, generation, "value")
	}
	remove(t, v, name)
	for generation := 1; generation <= 3; generation++ {
		missing(t, v, name, generation)
	}
	remove(t, v, name)
}

func notThere(t *testing.T, v watched) {
	name := newName(t, v)
	missing(t, v, name, 1)
	missing(t, v, name, 7)
	put(t, v, name, 1, "first")
	missing(t, v, name, 2)
	missing(t, v, name, vault.MaxGeneration)
}

func valuesSurvive(t *testing.T, v watched) {
	for what, text := range map[string]string{
		"unicode":          "令牌 ключ 🔑 e\u0301 é \u202e \ufeff",
		"NUL":              "a\x00b\x00",
		"newlines":         "\r\na\nb\r\n",
		"space at the end": "value \t",
		"JSON":             `{"access":"\"\\\u0000","n":7200.0}`,
		"markup":           "<a href='&'>%41+%s${x}`",
		"exactly MaxValue": strings.Repeat("x", vault.MaxValue-len(canary)),
		// An implementation that confuses bytes and characters takes this one for too short or too
		// long.
		"MaxValue in 3-byte characters": strings.Repeat("字", (vault.MaxValue-len(canary))/3),
	} {
		t.Run(what, func(t *testing.T) {
			name := newName(t, v)
			put(t, v, name, 1, text)
			holds(t, v, name, 1, text)
			put(t, v, name, 1, text)
		})
	}
	t.Run("one byte", func(t *testing.T) {
		name := newName(t, v)
		if err := v.Put(t.Context(), name, 1, secret.New("\x00")); err != nil {
			t.Fatalf("Put = %v, want nil", err)
		}
		if got, err := v.Get(t.Context(), name, 1); err != nil || got.Reveal() != "\x00" {
			t.Errorf("Get = another value or %v, want the one put", err)
		}
	})
}

func refusesValues(t *testing.T, v watched) {
	name := newName(t, v)
	tooLong := strings.Repeat("x", vault.MaxValue+1-len(canary))
	empty := func(generation int) {
		t.Helper()
		err := v.Put(t.Context(), name, generation, secret.Text{})
		if !errors.Is(err, vault.ErrValue) {
			t.Errorf("Put(an empty value) = %v, want ErrValue", err)
		}
	}
	empty(1)
	putErr(t, v, name, 1, tooLong, vault.ErrValue)
	missing(t, v, name, 1)
	putErr(t, v, name, 2, "second", vault.ErrNotFound)

	put(t, v, name, 1, "first")
	empty(1)
	empty(2)
	putErr(t, v, name, 1, tooLong, vault.ErrValue)
	holds(t, v, name, 1, "first")
	missing(t, v, name, 2)
}

func refusesNames(t *testing.T, v watched) {
	good := string(newName(t, v))
	for what, bad := range map[string]string{
		"empty":             "",
		"too short":         good[1:],
		"too long":          good + "0",
		"upper case":        "ABCDEF" + good[6:],
		"not hex":           "g" + good[1:],
		"a path":            "../" + good[3:],
		"a longer path":     "../" + good,
		"a deeper path":     good[:15] + "/" + good[16:],
		"NUL":               good[:31] + "\x00",
		"a wildcard":        good[:31] + "*",
		"space":             good[:31] + " ",
		"full-width digits": "００" + good[6:],
	} {
		name := vault.SecretName(bad)
		putErr(t, v, name, 1, "value", vault.ErrName)
		if _, err := v.Get(t.Context(), name, 1); !errors.Is(err, vault.ErrName) {
			t.Errorf("Get(a name that is %s) = %v, want ErrName", what, err)
		}
		if err := v.Delete(t.Context(), name); !errors.Is(err, vault.ErrName) {
			t.Errorf("Delete(a name that is %s) = %v, want ErrName", what, err)
		}
		if _, err := v.Newest(t.Context(), name); !errors.Is(err, vault.ErrName) {
			t.Errorf("Newest(a name that is %s) = %v, want ErrName", what, err)
		}
	}
}

func refusesGenerations(t *testing.T, v watched) {
	name := newName(t, v)
	for range 2 { // without the secret, and with it
		for _, bad := range []int{0, -1, vault.MaxGeneration + 1} {
			putErr(t, v, name, bad, "value", vault.ErrNotFound)
			missing(t, v, name, bad)
		}
		put(t, v, name, 1, "first")
	}
	put(t, v, name, vault.MaxGeneration, "last")
	holds(t, v, name, vault.MaxGeneration, "last")
	holds(t, v, name, 1, "first")
}

func cancelled(t *testing.T, v watched) {
	name := newName(t, v)
	put(t, v, name, 1, "first")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := v.Get(ctx, name, 1)
	_, newestErr := v.Newest(ctx, name)
	_, listErr := v.List(ctx, "")
	for call, err := range map[string]error{
		"Newest": newestErr,
		"List":   listErr,
		"Put":    v.Put(ctx, name, 2, value("second")),
		"Get":    getErr,
		"Delete": v.Delete(ctx, name),
	} {
		if !errors.Is(err, context.Canceled) || sentinel(err) {
			t.Errorf("%s with a cancelled context = %v, want context.Canceled", call, err)
		}
	}
}
