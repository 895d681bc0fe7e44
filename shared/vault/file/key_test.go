package file_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault/file"
)

func TestParseKeyReadsEveryUsualForm(t *testing.T) {
	// These bytes produce every character in which the two alphabets differ.
	raw := []byte(strings.Repeat("\xfb\xff\xbf\xaa", 8))
	dir := t.TempDir()
	first, err := file.ParseKey(secret.New(fmt.Sprintf("%x", raw)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(dir, first); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"upper-case hex":         fmt.Sprintf("%X", raw),
		"hex with a newline":     fmt.Sprintf("%x\n", raw),
		"base64":                 base64.StdEncoding.EncodeToString(raw),
		"base64 with space":      " " + base64.StdEncoding.EncodeToString(raw) + "\r\n",
		"base64 without padding": base64.RawStdEncoding.EncodeToString(raw),
		"base64 for addresses":   base64.URLEncoding.EncodeToString(raw),
		"the same unpadded":      base64.RawURLEncoding.EncodeToString(raw),
	} {
		key, err := file.ParseKey(secret.New(text))
		if err != nil {
			t.Errorf("ParseKey(%s) = %v", what, err)
		} else if _, err := file.Open(dir, key); err != nil {
			t.Errorf("ParseKey(%s) is another key than the hex: %v", what, err)
		}
	}
}

// wrongKeys are texts that aren't a key.
func wrongKeys() map[string]string {
	return map[string]string{
		"nothing":           "",
		"space":             " \n",
		"31 bytes":          base64.StdEncoding.EncodeToString(make([]byte, 31)),
		"33 bytes":          base64.StdEncoding.EncodeToString(make([]byte, 33)),
		"31 bytes in hex":   strings.Repeat("ca", 31),
		"33 bytes in hex":   strings.Repeat("ca", 33),
		"neither":           strings.Repeat("canary", 8),
		"32 raw bytes":      "canary" + strings.Repeat("\x00", 26),
		"a key and more":    strings.Repeat("ca", 32) + " canary",
		"much too much":     strings.Repeat("canary", 1000),
		"two keys, as rows": strings.Repeat("ca", 32) + "\n" + strings.Repeat("ca", 32),
	}
}

func TestParseKeyRefusesOtherTextWithoutQuotingIt(t *testing.T) {
	for what, text := range wrongKeys() {
		_, err := file.ParseKey(secret.New(text))
		if err == nil {
			t.Errorf("ParseKey(%s) = nil, want an error", what)
		} else if strings.Contains(err.Error(), "ca"+"nary") || strings.Contains(err.Error(), "caca") {
			t.Errorf("ParseKey(%s): the error quotes the key", what)
		}
	}
}

func TestReadKeyRefusesAFileWithoutAKey(t *testing.T) {
	for what, text := range wrongKeys() {
		path := filepath.Join(t.TempDir(), "vault.key")
		write(t, path, text)
		_, err := file.ReadKey(path)
		if err == nil {
			t.Errorf("ReadKey(%s) = nil, want an error", what)
			continue
		}
		oneLine(t, err, path, "restore")
		if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "caca") {
			t.Errorf("ReadKey(%s): the error quotes the key", what)
		}
		if now, err := os.ReadFile(path); err != nil || string(now) != text {
			t.Errorf("ReadKey(%s) changed the file", what)
		}
	}
}

// oneLine checks that the error is one line that has the words in it.
func oneLine(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %q, want one line with %q in it", err, word)
		}
	}
}

func TestReadKeyRefusesAFileThatIsOpenToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	if _, err := file.ReadKey(path); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := file.ReadKey(path)
		if err == nil {
			t.Errorf("ReadKey of a file with mode %o = nil, want an error", mode)
			continue
		}
		oneLine(t, err, path, fmt.Sprintf("%04o", mode), "chmod 600")
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := file.ReadKey(path); err != nil {
			t.Errorf("ReadKey of a file with mode %o = %v, want nil", mode, err)
		}
	}
}

func TestReadKeyCreatesAKeyOnceAndKeepsIt(t *testing.T) {
	data := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(data, "vault.key")
	first, err := file.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file is %v, %v, want mode 600", info, err)
	}
	if _, err := file.Open(filepath.Join(data, "vault"), first); err != nil {
		t.Fatal(err)
	}
	again, err := file.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(filepath.Join(data, "vault"), again); err != nil {
		t.Errorf("the key read again isn't the one made: %v", err)
	}
	elsewhere, err := file.ReadKey(filepath.Join(t.TempDir(), "vault.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(filepath.Join(data, "vault"), elsewhere); err == nil {
		t.Error("two key files hold the same new key")
	}
}

func TestReadKeyRemovesACrashedProcesssKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vault.key")
	left := filepath.Join(filepath.Dir(path), ".bindery-new-9")
	write(t, left, "half a key")
	if _, err := file.ReadKey(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the leftover is still there: %v", err)
	}
}

func TestReadKeyReportsAnObstacle(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"file/vault.key", "folder", "link"} {
		path = filepath.Join(dir, path)
		if _, err := file.ReadKey(path); err == nil {
			t.Errorf("ReadKey(%s) = nil, want an error", path)
		} else {
			oneLine(t, err, path)
		}
	}
}

func TestD2_AKeyDoesNotPrint(t *testing.T) {
	raw := strings.Repeat("canary!!", 4)
	key, err := file.ParseKey(secret.New(fmt.Sprintf("%x", raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		got := fmt.Sprintf(verb, key) + fmt.Sprintf(verb, &key)
		if strings.Contains(got, "canary") || strings.Contains(got, fmt.Sprintf("%x", "canary")) {
			t.Errorf("%s shows the key", verb)
		}
	}
}
