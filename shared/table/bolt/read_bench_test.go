package bolt

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// boundRecord is a record as a bind by token leaves it.
func boundRecord() binding.Record {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return binding.Record{
		Key: binding.Key{
			Account: "acme", Region: "cn-hangzhou", Instance: "cri-0123456789abcdef", Platform: "gitlab",
		},
		Revision: "0123456789abcdef0123456789abcdef",
		Token: binding.Token{
			Secret: "0123456789abcdef0123456789abcdef", Generation: 1, Username: "alice",
			Scopes: []string{"read_repository", "read_user"}, IssuedAt: at, ExpiresAt: at.AddDate(1, 0, 0),
		},
		Method: "token", Address: "https://gitlab.example",
		Identity: binding.Identity{ID: "1", Username: "alice", Name: "Alice"},
		BoundAt:  at, BoundBy: binding.User{Issuer: "https://id.example", Subject: "u", Account: "acme"},
		Health: "good", LastCheckedAt: at, CheckAt: at, EventCount: 3, EventAt: at, DueAt: at,
	}
}

// reader saves the row of a binding and returns funcs that read it, and that find it unchanged.
func reader(t testing.TB) (read, look func()) {
	t.Helper()
	rows, err := Open(filepath.Join(t.TempDir(), "bindery.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rows.Close() })
	rec, err := rows.SaveBinding(t.Context(), boundRecord())
	if err != nil {
		t.Fatal(err)
	}
	read = func() {
		if _, err := rows.Binding(t.Context(), rec.Key); err != nil {
			t.Fatal(err)
		}
	}
	look = func() {
		_, err := rows.BindingUnless(t.Context(), rec.Key, rec.Version)
		if !errors.Is(err, table.ErrUnchanged) {
			t.Fatal(err)
		}
	}
	return read, look
}

// TestARowIsReadOnce: to look for unknown fields in every part of a row takes twice as many, and a
// row that has not changed is not read.
func TestARowIsReadOnce(t *testing.T) {
	read, look := reader(t)
	for _, c := range []struct {
		what string
		call func()
		most float64
	}{{"a read", read, 90}, {"a look at a row that has not changed", look, 18}} {
		if got := testing.AllocsPerRun(100, c.call); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.what, got, c.most)
		}
	}
}

// A row that a newer version has written may have members behind its version, or others that look
// like it.
func TestAVersionIsFoundWhereverItIs(t *testing.T) {
	opened, k := open(t), binding.Key{Account: "a", Region: "r", Instance: "i", Platform: "p"}
	const record = `"record":{"account":"a","region":"r","instance":"i","platform":"p"}`
	for row, unchanged := range map[string]bool{
		`{` + record + `,"version":"v1"}`:                            true,
		`{` + record + `,"version":"v1","zone":"z"}`:                 true,
		`{"version":"v1",` + record + `}`:                            true,
		`{` + record + `,"version":"v1","version":"v2"}`:             false,
		`{` + record + `,"version":"v2","zone":{"version":"v1"}}`:    false,
		`{` + record + `,"version":"v2","zone":",\"version\":\"v1"}`: false,
		`{` + record + `,"version":"V1"}`:                            false,
	} {
		write(t, opened, bindingsBucket, k.String(), row)
		_, err := opened.BindingUnless(t.Context(), k, "v1")
		if errors.Is(err, table.ErrUnchanged) != unchanged || !unchanged && err != nil {
			t.Errorf("%s: got error %v, want unchanged: %v", row, err, unchanged)
		}
	}
}

// BenchmarkBinding reads the row of a binding, and looks whether it has changed.
func BenchmarkBinding(b *testing.B) {
	read, look := reader(b)
	for name, call := range map[string]func(){"read": read, "unchanged": look} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
