package bolt

import (
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/binding"
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

// reader saves the row of a binding and returns a func that reads it.
func reader(t testing.TB) func() {
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
	return func() {
		if _, err := rows.Binding(t.Context(), rec.Key); err != nil {
			t.Fatal(err)
		}
	}
}

// TestARowIsReadOnce: to look for unknown fields in every part of a row takes twice as many.
func TestARowIsReadOnce(t *testing.T) {
	const most = 100
	if got := testing.AllocsPerRun(100, reader(t)); got > most {
		t.Errorf("%v allocations, want at most %d", got, most)
	}
}

// BenchmarkBinding reads the row of a binding.
func BenchmarkBinding(b *testing.B) {
	read := reader(b)
	b.ReportAllocs()
	for b.Loop() {
		read()
	}
}
