package file_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
	"bindery/shared/vault/vaulttest"
)

const (
	one   = vault.SecretName("11111111111111111111111111111111")
	other = vault.SecretName("22222222222222222222222222222222")
)

func TestKeepsTheContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault { return open(t, t.TempDir()) })
}

// key returns one of several keys.
func key(t testing.TB, digit string) file.Key {
	t.Helper()
	k, err := file.ParseKey(secret.New(strings.Repeat(digit, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t *testing.T, dir string) *file.Vault {
	t.Helper()
	v, err := file.Open(dir, key(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Tidy(); err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t *testing.T, v *file.Vault, name vault.SecretName, generation int, value string) {
	t.Helper()
	if err := v.Put(t.Context(), name, generation, secret.New(value)); err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, v *file.Vault, name vault.SecretName, generation int, want string) {
	t.Helper()
	got, err := v.Get(t.Context(), name, generation)
	if err != nil || got.Reveal() != want {
		t.Errorf("Get(%s, %d) = another value or %v, want the one put", name, generation, err)
	}
}

// tree lists the files and folders below dir.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths[1:]
}

func write(t testing.TB, path string, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOtherUsersMayNotReadTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	put(t, open(t, dir), one, 1, "canary")
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		} else if data, err := os.ReadFile(path); err != nil || bytes.Contains(data, []byte("canary")) {
			t.Errorf("%s holds the value in clear, or %v", path, err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", path, got, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestD5_AMovedOrChangedFileDoesNotOpen changes a stored file as an attacker with access to the
// folder, but without the key, could.
func TestD5_AMovedOrChangedFileDoesNotOpen(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte {
			b[(at+len(b))%len(b)] ^= 1
			return b
		}
	}
	same := func(b []byte) []byte { return b }
	for what, c := range map[string]struct {
		name       vault.SecretName
		generation int
		change     func([]byte) []byte
	}{
		"under another name":            {other, 1, same},
		"under another generation":      {one, 2, same},
		"under a generation with a 1":   {one, 11, same},
		"in the place of a neighbour":   {other, 2, same},
		"with its first byte flipped":   {one, 1, flip(0)},
		"with a middle byte flipped":    {one, 1, flip(15)},
		"with its last byte flipped":    {one, 1, flip(-1)},
		"without its last byte":         {one, 1, func(b []byte) []byte { return b[:len(b)-1] }},
		"with nothing but its nonce":    {one, 1, func(b []byte) []byte { return b[:12] }},
		"with nothing":                  {one, 1, func([]byte) []byte { return nil }},
		"with a byte more than it had":  {one, 1, func(b []byte) []byte { return append(b, 0) }},
		"with the value itself, opened": {one, 1, func([]byte) []byte { return []byte("canary") }},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			v := open(t, dir)
			put(t, v, one, 1, "canary")
			put(t, v, other, 1, "other")
			put(t, v, other, 2, "other")
			sealed, err := os.ReadFile(filepath.Join(dir, string(one), "1"))
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(dir, string(c.name), strconv.Itoa(c.generation))
			write(t, to, string(c.change(sealed)))

			got, err := v.Get(t.Context(), c.name, c.generation)
			if err == nil || !got.Empty() || errors.Is(err, vault.ErrNotFound) {
				t.Errorf("Get = a value or %v, want an error that isn't ErrNotFound", err)
			}
			err = v.Put(t.Context(), c.name, c.generation, secret.New("canary"))
			if err == nil || errors.Is(err, vault.ErrExists) {
				t.Errorf("Put over it = %v, want an error that isn't ErrExists", err)
			}
		})
	}
}

func TestAWrongKeyIsRefusedAtOnceAndChangesNothing(t *testing.T) {
	for what, prepare := range map[string]func(t *testing.T, dir string){
		"with secrets":          func(*testing.T, string) {},
		"without the key check": func(t *testing.T, dir string) { remove(t, dir, "key-check") },
		"without secrets": func(t *testing.T, dir string) {
			remove(t, dir, string(one))
			remove(t, dir, string(other))
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			v := open(t, dir)
			put(t, v, one, 1, "value")
			put(t, v, other, 1, "value")
			prepare(t, dir)
			// Only the owner of the right key may remove this leftover.
			write(t, filepath.Join(dir, ".bindery-new-123"), "half")
			before := tree(t, dir)

			_, err := file.Open(dir, key(t, "b"))
			if err == nil || !strings.Contains(err.Error(), dir) ||
				!strings.Contains(err.Error(), "key") || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open = %v, want one line that names the key and the folder", err)
			}
			if after := tree(t, dir); !slices.Equal(after, before) {
				t.Errorf("the folder holds %q, want %q as before", after, before)
			}
			if _, err := file.Open(dir, key(t, "a")); err != nil {
				t.Errorf("Open with the right key after that = %v", err)
			}
		})
	}
}

func remove(t *testing.T, dir, path string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
		t.Fatal(err)
	}
}

func TestALostKeyCheckIsCreatedAgain(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	// One secret is damaged and one never got a value; the third shows that the key is right.
	write(t, filepath.Join(dir, string(one), "1"), "damaged")
	if err := os.Mkdir(filepath.Join(dir, strings.Repeat("0", 32)), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, v, other, 1, "value")
	remove(t, dir, "key-check")

	holds(t, open(t, dir), other, 1, "value")
	if _, err := file.Open(dir, key(t, "b")); err == nil {
		t.Error("Open with another key = nil, want the new key check to refuse it")
	}
}

func TestADamagedKeyCheckIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	write(t, filepath.Join(dir, "key-check"), "damaged")
	if _, err := file.Open(dir, key(t, "a")); err == nil {
		t.Error("Open = nil, want an error")
	}
	remove(t, dir, "key-check")
	write(t, filepath.Join(dir, "key-check", "in the way"), "")
	if _, err := file.Open(dir, key(t, "a")); err == nil {
		t.Error("Open = nil with a folder in place of the key check, want an error")
	}
}

func TestOpenNeedsAKeyAndAFolder(t *testing.T) {
	if _, err := file.Open(t.TempDir(), file.Key{}); err == nil {
		t.Error("Open without a key = nil, want an error")
	}
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "")
	if _, err := file.Open(path, key(t, "a")); err == nil {
		t.Error("Open of a file = nil, want an error")
	}
}

func TestItListsItsOwnSecrets(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	vaulttest.Lists(t, v, time.Now, func() {
		write(t, filepath.Join(dir, strings.Repeat("3", 32), ".bindery-new-1"), "half")
		write(t, filepath.Join(dir, ".deleted-"+strings.Repeat("4", 32), "1"), "sealed")
		write(t, filepath.Join(dir, "notes", "1"), "not ours")
		write(t, filepath.Join(dir, strings.Repeat("A", 32), "1"), "not ours")
	})
}

func TestAMissingFolderIsNotAnEmptyVault(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v := open(t, dir)
	put(t, v, one, 1, "value")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	_, getErr := v.Get(t.Context(), one, 1)
	_, newestErr := v.Newest(t.Context(), one)
	_, listErr := v.List(t.Context(), "")
	for call, err := range map[string]error{
		"Get":             getErr,
		"Put":             v.Put(t.Context(), one, 1, secret.New("value")),
		"Put of a second": v.Put(t.Context(), one, 2, secret.New("value")),
		"Delete":          v.Delete(t.Context(), one),
		"Newest":          newestErr,
		"List":            listErr,
	} {
		if err == nil || errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s = %v, want an error that isn't ErrNotFound", call, err)
		}
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	holds(t, v, one, 1, "value")
}

func TestAFileAtASecretsPathIsAnErrorAndStays(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	put(t, v, other, 1, "value")
	write(t, filepath.Join(dir, string(one)), "not ours")
	_, getErr := v.Get(t.Context(), one, 1)
	_, newestErr := v.Newest(t.Context(), one)
	_, listErr := v.List(t.Context(), "")
	for call, err := range map[string]error{
		"Get":             getErr,
		"Put":             v.Put(t.Context(), one, 1, secret.New("value")),
		"Put of a second": v.Put(t.Context(), one, 2, secret.New("value")),
		"Newest":          newestErr,
		"List":            listErr,
	} {
		if err == nil || errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s = %v, want an error that isn't ErrNotFound", call, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, string(one))); string(got) != "not ours" {
		t.Errorf("the file holds %q, %v, want what it held", got, err)
	}
	holds(t, v, other, 1, "value")
}

// The suite can wait for a vault that reports a deletion and does it later.
func TestTheSuiteWaitsForASlowDeletion(t *testing.T) {
	slow := &slow{Vault: open(t, t.TempDir())}
	vaulttest.RunWith(t, vaulttest.Options{
		AtOnce: 8, DeleteTimeout: time.Second, Sleep: func(time.Duration) { slow.work() },
	}, func(*testing.T) vault.Vault { return slow })
}

// slow deletes a secret when work is called.
type slow struct {
	vault.Vault
	mu   sync.Mutex
	left []vault.SecretName
}

func (s *slow) Delete(ctx context.Context, name vault.SecretName) error {
	if err := ctx.Err(); err != nil || !name.Valid() {
		return s.Vault.Delete(ctx, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = append(s.left, name)
	return nil
}

func (s *slow) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.left {
		_ = s.Vault.Delete(context.Background(), name)
	}
	s.left = nil
}

// A start must not take longer the more secrets there are, so it looks into none of them.
func TestOpenLooksIntoNoSecret(t *testing.T) {
	dir := t.TempDir()
	put(t, open(t, dir), one, 1, "value")
	left := filepath.Join(dir, string(one), ".bindery-new-1")
	write(t, left, "half")
	if _, err := file.Open(dir, key(t, "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Errorf("Open removed unfinished work: %v", err)
	}
	open(t, dir)
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("after Tidy it is still there: %v", err)
	}
}
