package vault_test

import (
	"errors"
	"strings"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

const good = vault.SecretName("0123456789abcdef0123456789abcdef")

func TestValidName(t *testing.T) {
	for name, want := range map[vault.SecretName]bool{
		good:                                true,
		"ffffffffffffffffffffffffffffffff":  true,
		"":                                  false,
		good[1:]:                            false,
		good + "0":                          false,
		"0123456789ABCDEF0123456789ABCDEF":  false,
		"g123456789abcdef0123456789abcdef":  false,
		"/123456789abcdef0123456789abcdef":  false,
		":123456789abcdef0123456789abcdef":  false,
		"`123456789abcdef0123456789abcdef":  false,
		"../../../../../../../../../../..":  false,
		"0123456789abcdef0123456789abcde\n": false,
		"０123456789abcdef0123456789abc":     false,
	} {
		if got := name.Valid(); got != want {
			t.Errorf("%q.Valid() = %v, want %v", name, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name       vault.SecretName
		generation int
		want       error
	}{
		{good, 1, nil},
		{good, vault.MaxGeneration, nil},
		{good, 0, vault.ErrNotFound},
		{good, -1, vault.ErrNotFound},
		{good, vault.MaxGeneration + 1, vault.ErrNotFound},
		{"short", 1, vault.ErrName},
		{"short", 0, vault.ErrName},
	} {
		if got := vault.Check(c.name, c.generation); !errors.Is(got, c.want) {
			t.Errorf("Check(%q, %d) = %v, want %v", c.name, c.generation, got, c.want)
		}
	}
}

func TestCheckValue(t *testing.T) {
	longest := strings.Repeat("x", vault.MaxValue)
	for _, c := range []struct {
		what       string
		name       vault.SecretName
		generation int
		value      string
		want       error
	}{
		{"one byte", good, 1, "x", nil},
		{"the longest", good, 1, longest, nil},
		{"none", good, 1, "", vault.ErrValue},
		{"one byte too long", good, 1, longest + "x", vault.ErrValue},
		{"too long only in bytes", good, 1, strings.Repeat("字", vault.MaxValue/3+1), vault.ErrValue},
		{"a bad name", "short", 1, "x", vault.ErrName},
		{"a bad generation", good, 0, "x", vault.ErrNotFound},
	} {
		got := vault.CheckValue(c.name, c.generation, secret.New(c.value))
		if !errors.Is(got, c.want) {
			t.Errorf("CheckValue(%s) = %v, want %v", c.what, got, c.want)
		}
	}
}
