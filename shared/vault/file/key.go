package file

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// keySize is the length of a key in bytes. 32 bytes select AES-256.
const keySize = 32

// Key is the key of a vault, from [ReadKey] or [ParseKey]. It prints as [secret.Redacted]. [Open]
// refuses the zero value.
//
// One key is sufficient for 4 billion values; see [cipher.NewGCMWithRandomNonce].
type Key struct{ bytes secret.Text }

var errKeyForm = fmt.Errorf("a vault's key is %d bytes as base64 or hex", keySize)

// ParseKey reads a key of 32 bytes in base64 (of either alphabet, padded or not) or hex.
// Surrounding space is ignored. The error doesn't quote the text.
func ParseKey(text secret.Text) (Key, error) {
	trimmed := strings.TrimSpace(text.Reveal())
	if key, err := hex.DecodeString(trimmed); err == nil && len(key) == keySize {
		return Key{secret.New(string(key))}, nil
	}
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(trimmed, "="))
	key, err := base64.RawStdEncoding.DecodeString(standard)
	if err != nil || len(key) != keySize {
		return Key{}, errKeyForm
	}
	return Key{secret.New(string(key))}, nil
}

// ReadKey reads the key in a file, in one of the forms of [ParseKey]. If the file is missing, it
// creates it with a new random key, and its folder too; if several processes do so at once, all get
// the same key. A file that other users may read or write is refused.
func ReadKey(path string) (Key, error) {
	var text secret.Text
	var err error
	for range tries {
		text, err = readKeyFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		err = newKeyFile(path)
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return Key{}, fmt.Errorf("the vault's key file: %w", err)
	}
	key, err := ParseKey(text)
	if err != nil {
		return Key{}, fmt.Errorf("the vault's key file %s holds no key (%w): restore it, "+
			"or remove it if there is no vault yet and a new one is made", path, err)
	}
	// A process that crashed while it created the file may have left a copy of the key.
	_ = removeTemps(filepath.Dir(path))
	return key, nil
}

func readKeyFile(path string) (secret.Text, error) {
	file, err := os.Open(path)
	if err != nil {
		return secret.Text{}, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return secret.Text{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return secret.Text{}, fmt.Errorf("%s is open to other users (mode %04o): chmod 600 %s",
			path, mode, path)
	}
	// No key is this long; a longer file is refused without being read to its end.
	text, err := io.ReadAll(io.LimitReader(file, 1024))
	return secret.New(string(text)), err
}

func newKeyFile(path string) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails; see its documentation
	text := base64.StdEncoding.EncodeToString(key) + "\n"
	if err := createOnly(path, []byte(text)); err != nil {
		return err
	}
	return syncFolder(folder)
}

func (k Key) aead() (cipher.AEAD, error) {
	if k.bytes.Empty() {
		return nil, errKeyForm
	}
	block, err := aes.NewCipher([]byte(k.bytes.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("the vault's key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// checkFile holds checkText, encrypted. Its name is its associated data, which differs from every
// secret's.
const (
	checkFile = "key-check"
	checkText = "Bindery vault"
)

// checkKey refuses a key that isn't the vault's. If the vault has no key yet, this key becomes its
// key.
func (v *Vault) checkKey() error {
	path := filepath.Join(v.dir, checkFile)
	for range tries {
		sealed, err := os.ReadFile(path)
		if err == nil {
			return v.openCheck(sealed)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("vault: reading the key check: %w", err)
		}
		if err := v.opensAny(); err != nil {
			return err
		}
		sealed = v.aead.Seal(nil, nil, []byte(checkText), []byte(checkFile))
		err = createOnly(path, sealed)
		if err == nil {
			err = errors.Join(syncFolder(v.dir), syncFolder(filepath.Dir(v.dir)))
		}
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("vault: writing the key check: %w", err)
		}
	}
	return fmt.Errorf("vault: %s can't be written: another process keeps removing it", path)
}

func (v *Vault) openCheck(sealed []byte) error {
	text, err := v.aead.Open(nil, nil, sealed, []byte(checkFile))
	if err != nil || string(text) != checkText {
		return v.wrongKey()
	}
	return nil
}

// opensAny checks the key of a vault whose key check is missing: the key is right if it decrypts
// one of the secrets, or if there are none.
func (v *Vault) opensAny() error {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	wrong := false
	for _, entry := range entries {
		name := vault.SecretName(entry.Name())
		if !name.Valid() {
			continue
		}
		sealed, err := os.ReadFile(v.path(name, 1))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("vault: trying the key on a secret: %w", err)
		}
		if _, err = v.aead.Open(nil, nil, sealed, associated(name, 1)); err == nil {
			return nil
		}
		wrong = true
	}
	if wrong {
		return v.wrongKey()
	}
	return nil
}

func (v *Vault) wrongKey() error {
	return fmt.Errorf("vault: the key is not the one that %s was encrypted with: "+
		"use that one, or remove the folder and bind everything again", v.dir)
}
