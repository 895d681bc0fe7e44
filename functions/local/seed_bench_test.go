package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/secret"
	"bindery/shared/table/bolt"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

// memoryFolder returns a folder in memory if the machine has one, because a seed of 100,000
// bindings waits for as many writes to the disk.
func memoryFolder(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bindery-bench-")
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
	p := start(b, data, settings...)
	path := strings.TrimSuffix(credentialPath(0), "/credential")
	got := p.call(http.MethodPut, path, p.signIn(nil), form(p.sample("gitlab", "good")))
	if got.status != http.StatusOK {
		b.Fatalf("binding: status %d: %s", got.status, got.code())
	}
	p.stop()
	rows, err := bolt.Open(filepath.Join(data, "bindery.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	key, err := file.ReadKey(filepath.Join(data, "vault.key"))
	if err != nil {
		b.Fatal(err)
	}
	secrets, err := file.Open(filepath.Join(data, "vault"), key)
	if err != nil {
		b.Fatal(err)
	}
	first := binding.Key{Account: "acme", Region: "r", Instance: instanceID(0), Platform: "gitlab"}
	rec, err := rows.Binding(b.Context(), first)
	if err != nil {
		b.Fatal(err)
	}
	value, err := secrets.Get(b.Context(), rec.Token.Secret, 1)
	if err != nil {
		b.Fatal(err)
	}
	bundle, err := ledger.DecodeTokenBundle(value)
	if err != nil {
		b.Fatal(err)
	}
	rec.Events, rec.DueAt = nil, rec.CheckAt
	if _, err := rows.SaveBinding(b.Context(), rec); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := int(next.Add(1)); i < n; i = int(next.Add(1)) {
				copied := rec
				copied.Instance, copied.Version = instanceID(i), ""
				copied.Token.Secret = vault.SecretName(fmt.Sprintf("%032x", i))
				value, err := bundle.Encode(ledger.TokenOwner{Binding: copied.Key})
				if err == nil {
					err = secrets.Put(b.Context(), copied.Token.Secret, 1, value)
				}
				if err == nil {
					_, err = rows.SaveBinding(b.Context(), copied)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// signInAll returns the tokens of so many callers of one account.
func (p *process) signInAll(callers int) (tokens []secret.Text) {
	p.t.Helper()
	for n := range callers {
		tokens = append(tokens, p.signIn(url.Values{"user": {fmt.Sprint("caller-", n)}}))
	}
	return tokens
}
