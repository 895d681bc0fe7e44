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

// BenchmarkBinding reads the row of a binding.
func BenchmarkBinding(b *testing.B) {
	rows, err := Open(filepath.Join(b.TempDir(), "bindery.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	rec, err := rows.SaveBinding(b.Context(), boundRecord())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rows.Binding(b.Context(), rec.Key); err != nil {
			b.Fatal(err)
		}
	}
}
