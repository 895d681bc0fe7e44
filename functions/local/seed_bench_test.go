package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/secret"
	"bindery/shared/table/bolt"
	"bindery/shared/table/engine"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

// memoryFolder returns a folder in memory if the machine has one with room, because each write of a
// laptop waits for the disk.
func memoryFolder(b *testing.B) string {
	b.Helper()
	const memory, room = "/dev/shm", 1 << 30 // a container has 64 MB there
	var about syscall.Statfs_t
	err := syscall.Statfs(memory, &about)
	if err != nil || uint64(about.Bavail)*uint64(about.Bsize) < room {
		return b.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "bindery-bench-")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// catalogue writes a catalogue with one account of n instances, and returns its setting.
func catalogue(b testing.TB, n int) string {
	b.Helper()
	var list []string
	for i := range n {
		list = append(list,
			fmt.Sprintf(`{"type":"personal","region":"r","id":"%s","name":""}`, instanceID(i)))
	}
	path := filepath.Join(b.TempDir(), "instances.json")
	text := `{"acme":[` + strings.Join(list, ",") + `]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return "BINDERY_INSTANCES=file://" + path
}

func instanceID(n int) string { return fmt.Sprintf("cri-%06d", n) }

func credentialPath(n int) string {
	return "/v1/instances/r/" + instanceID(n) + "/bindings/gitlab/credential"
}

// seed makes a data folder with n bindings: one is bound, and its row and its secret are copied, so
// that they are as long as real ones. None is due before its next check.
func seed(b testing.TB, data string, n int, settings ...string) {
	b.Helper()
	copies := copyRows(b, data, n, settings...)
	secrets := openVault(b, data)
	value, err := secrets.Get(b.Context(), copies[0].Token.Secret, 1)
	if err != nil {
		b.Fatal(err)
	}
	bundle, err := ledger.DecodeTokenBundle(value)
	if err != nil {
		b.Fatal(err)
	}
	for _, rec := range copies[1:] {
		value, err := bundle.Encode(ledger.TokenOwner{Binding: rec.Key})
		if err == nil {
			err = secrets.Put(b.Context(), rec.Token.Secret, 1, value)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// seedUnread is seed for bindings whose secrets are not read: these are the first one's file, which
// can't be opened under another name, and are not synced to the disk.
func seedUnread(b testing.TB, data string, n int, settings ...string) {
	b.Helper()
	copies := copyRows(b, data, n, settings...)
	folder := func(rec binding.Record) string {
		return filepath.Join(data, "vault", string(rec.Token.Secret))
	}
	sealed, err := os.ReadFile(filepath.Join(folder(copies[0]), "1"))
	for _, rec := range copies[1:] {
		if err == nil {
			err = os.Mkdir(folder(rec), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder(rec), "1"), sealed, 0o600)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// batch collects the rows that a table puts.
type batch struct {
	*bolt.Driver
	rows []engine.Row
}

func (r *batch) Put(_ context.Context, row engine.Row, _ engine.Condition) error {
	r.rows = append(r.rows, row)
	return nil
}

// copyRows makes a data folder with a binding and n-1 copies of its row, which are written in one
// transaction. It returns the records of all.
func copyRows(b testing.TB, data string, n int, settings ...string) (all []binding.Record) {
	b.Helper()
	p := start(b, data, settings...)
	path := strings.TrimSuffix(credentialPath(0), "/credential")
	got := p.call(http.MethodPut, path, p.signIn(nil), form(p.sample("gitlab", "good")))
	if got.status != http.StatusOK {
		b.Fatalf("binding: status %d: %s", got.status, got.code())
	}
	p.stop()
	driver, err := bolt.OpenDriver(filepath.Join(data, "bindery.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = driver.Close() }()
	first := binding.Key{Account: "acme", Region: "r", Instance: instanceID(0), Platform: "gitlab"}
	rows := engine.New("bolt", driver)
	rec, err := rows.Binding(b.Context(), first)
	rec.Events, rec.DueAt = nil, rec.CheckAt
	if err == nil {
		rec, err = rows.SaveBinding(b.Context(), rec)
	}
	all = append(all, rec)
	copies := &batch{Driver: driver}
	rows = engine.New("bolt", copies)
	for i := 1; i < n && err == nil; i++ {
		rec.Instance, rec.Version = instanceID(i), ""
		rec.Token.Secret = vault.SecretName(fmt.Sprintf("%032x", i))
		all = append(all, rec)
		_, err = rows.SaveBinding(b.Context(), rec)
	}
	if err == nil {
		err = driver.PutBatch(b.Context(), copies.rows)
	}
	if err != nil {
		b.Fatal(err)
	}
	return all
}

func openVault(b testing.TB, data string) *file.Vault {
	b.Helper()
	key, err := file.ReadKey(filepath.Join(data, "vault.key"))
	if err != nil {
		b.Fatal(err)
	}
	secrets, err := file.Open(filepath.Join(data, "vault"), key)
	if err != nil {
		b.Fatal(err)
	}
	return secrets
}

// signInAll returns the tokens of so many callers of one account.
func (p *process) signInAll(callers int) (tokens []secret.Text) {
	p.t.Helper()
	for n := range callers {
		tokens = append(tokens, p.signIn(url.Values{"user": {fmt.Sprint("caller-", n)}}))
	}
	return tokens
}
