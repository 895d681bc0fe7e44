package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// kept returns a data folder with two bindings.
func kept(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	p := start(t, data)
	p.bind("codeup", "gitlab")
	p.stop()
	return data
}

// wantKept wants a start to find the bindings that kept made.
func wantKept(t *testing.T, data string) {
	t.Helper()
	p := start(t, data)
	p.wantBound("at a good start afterwards", "codeup", "gitlab")
	p.stop()
}

// anotherKey returns a new vault key.
func anotherKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

func TestAWrongVaultKeyIsRefusedAndDamagesNothing(t *testing.T) {
	data := kept(t)
	before := files(t, data)

	wants(t, refused(t, data, 1, "BINDERY_VAULT_KEY="+anotherKey()), "key", data)
	wantFiles(t, data, before)

	keyFile := filepath.Join(data, "vault.key")
	for _, wrong := range []string{anotherKey(), "no key at all\n", ""} {
		if err := os.WriteFile(keyFile, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, refused(t, data, 1), "key", data)
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	wants(t, refused(t, data, 1), "key", data)

	if err := os.WriteFile(keyFile, []byte(before[keyFile]), 0o600); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, data, before)
	wantKept(t, data)
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	data := kept(t)
	keyFile := filepath.Join(data, "vault.key")
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	wants(t, refused(t, data, 1), keyFile, "chmod 600")
	if err := os.Chmod(keyFile, 0o600); err != nil {
		t.Fatal(err)
	}
	wantKept(t, data)
}

func TestADataFolderBelongsToOneProcess(t *testing.T) {
	data := t.TempDir()
	p := start(t, data)
	p.bind("codeup", "gitlab")
	wants(t, refused(t, data, 1), "another process", data)
	p.wantBound("beside the one refused", "codeup", "gitlab")
	p.stop()
	wantKept(t, data)
}

func TestAPortInUseIsRefused(t *testing.T) {
	data := kept(t)
	before := files(t, data)
	port := ports(t)
	for _, test := range []struct {
		name  string
		taken int
		says  []string
	}{
		{"Bindery's", port, []string{strconv.Itoa(port) + " is in use", "PORT=0"}},
		{"the sandbox's", port + 1, []string{strconv.Itoa(port+1) + " is in use", "sandbox"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			taken, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(test.taken))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = taken.Close() }()
			wants(t, refused(t, data, 1, "PORT="+strconv.Itoa(port)), test.says...)
		})
	}
	wantFiles(t, data, before)
	wantKept(t, data)
}

func TestABadPortIsRefused(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, port := range []string{"http", "-1", "65536", "70000", "80 80", "0x50", "65535"} {
		t.Run(port, func(t *testing.T) {
			wants(t, refused(t, data, 1, "PORT="+port), "PORT ")
		})
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data folder was made all the same")
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	const canary = "glpat-canary-in-the-wrong-variable"
	lines := refused(t, data, 5, "PORT=http", "BINDERY_VAULT_KEY="+canary,
		"BINDERY_OIDC_JWKS_URL="+canary, "BINDERY_TABLE=!", "BINDERY_EVENTS_URL=https://a.example")
	for _, name := range []string{
		"PORT", "BINDERY_VAULT_KEY", "BINDERY_OIDC_JWKS_URL", "BINDERY_TABLE", "BINDERY_EVENTS_SECRET",
	} {
		named := 0
		for _, line := range lines {
			if strings.HasPrefix(line, name+" ") {
				named++
			}
		}
		if named != 1 {
			t.Errorf("%s begins %d lines of %q, want one", name, named, lines)
		}
	}
	for _, line := range lines {
		if strings.Contains(line, canary) {
			t.Error("a line quotes the value of a variable")
		}
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the data folder was made all the same")
	}
}

func TestInstancesThatCantBeReadAreRefused(t *testing.T) {
	data := kept(t)
	for value, mistakes := range map[string]int{
		`{"acme": 1}`:             1,
		`{"acme": [{"id": "x"}]}`: 2, // no type, no region
		`{`:                       1,
		"acme":                    1,
	} {
		t.Run(value, func(t *testing.T) {
			lines := refused(t, data, mistakes, "BINDERY_INSTANCES="+value)
			for _, line := range lines {
				if strings.Count(line, "BINDERY_INSTANCES") != 1 {
					t.Errorf("the line doesn't name its variable, once: %q", line)
				}
			}
		})
	}
	wantKept(t, data)
}

// Root may write anywhere, so the test puts a file in the place of the folder.
func TestADataFolderThatCantBeMadeIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{file, filepath.Join(file, "data")} {
		wants(t, refused(t, data, 1), file)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "mine" {
		t.Errorf("the file in its place was changed: %v", err)
	}

	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "vault"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, refused(t, data, 1), filepath.Join(data, "vault"))
}

func TestADamagedDatabaseIsRefusedAndLeftAsItIs(t *testing.T) {
	data := kept(t)
	before := files(t, data)
	path := filepath.Join(data, "bindery.db")
	good := []byte(before[path])
	noise := make([]byte, len(good))
	_, _ = rand.Read(noise)
	for name, damaged := range map[string][]byte{
		"noise":           noise,
		"another format":  []byte("SQLite format 3\x00" + string(make([]byte, 8192))),
		"cut short":       good[:len(good)/4],
		"a few bytes":     good[:100],
		"noise after all": append(bytes.Clone(good[:8192]), noise[8192:]...),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			wants(t, refused(t, data, 1), path)
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
				t.Errorf("the damaged file was changed: %v", err)
			}
		})
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, data, before)
	wantKept(t, data)
}
