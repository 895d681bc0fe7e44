// Package file implements [vault.Vault] in a folder, for a laptop and for tests. Each value is a
// file, encrypted with AES-256-GCM under one key; its name and generation are the associated data,
// so that a file that was moved to another name or generation can't be decrypted.
//
// The folder holds <name>/<generation> and key-check, by which [Open] recognises a wrong key. Names
// that begin with a dot are unfinished work of a process that crashed; [Vault.Tidy] removes it.
// After a crash at any moment, a power cut included, a value is stored completely or not at all.
//
// Any number of goroutines and processes may use one folder at once: a value is created by link(2)
// and a secret is deleted by rename(2), and each of these succeeds only once. The package is for
// Unix, and the folder must be on a file system with hard links and flock(2). [ReadKey] and
// [ParseKey] describe where the key comes from; losing it loses every secret.
package file

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Vault is a [vault.Vault] in a folder. Create one with [Open].
type Vault struct {
	dir  string
	aead cipher.AEAD
}

// Open opens the vault in dir, and creates the folder if it is missing. It keeps nothing open and
// needs no closing, and takes no longer for a vault with more secrets. A key other than the one
// that the secrets were encrypted with is refused, and then nothing is changed.
func Open(dir string, key Key) (*Vault, error) {
	aead, err := key.aead()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("vault: creating the folder: %w", err)
	}
	v := &Vault{dir: dir, aead: aead}
	if err := v.checkKey(); err != nil {
		return nil, err
	}
	return v, nil
}

// tries limits how often a call starts over because another one interfered: a concurrent Put, or an
// Tidy that removed a new file as a leftover.
const tries = 10

// Put implements [vault.Vault].
func (v *Vault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	if err := vault.CheckValue(name, generation, value); err != nil {
		return err
	}
	var err error
	for range tries {
		if err = ctx.Err(); err != nil {
			break
		}
		err = v.compare(name, generation, value)
		if errors.Is(err, vault.ErrNotFound) {
			err = v.create(name, generation, value)
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("putting %s/%d: %w", name, generation, err)
	}
	return nil
}

// compare returns nil if the value is stored, and [vault.ErrExists] if another one is. It first
// ensures that the stored value survives a power cut, because its writer may have crashed before
// that.
func (v *Vault) compare(name vault.SecretName, generation int, value secret.Text) error {
	stored, err := v.read(name, generation)
	if err != nil {
		return err
	}
	if err := v.sync(name); err != nil {
		return err
	}
	if !value.Equal(stored) {
		return vault.ErrExists
	}
	return nil
}

// create stores a generation that doesn't exist. The error is fs.ErrExist or fs.ErrNotExist if
// another call interfered.
func (v *Vault) create(name vault.SecretName, generation int, value secret.Text) error {
	if generation == 1 {
		if err := os.Mkdir(v.folder(name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	} else if err := v.present(name); err != nil {
		return err
	}
	sealed := v.aead.Seal(nil, nil, []byte(value.Reveal()), associated(name, generation))
	if err := createOnly(v.path(name, generation), sealed); err != nil {
		_ = os.Remove(v.folder(name)) // is removed only if it is empty
		return err
	}
	return v.sync(name)
}

// Get implements [vault.Vault].
func (v *Vault) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	err := vault.Check(name, generation)
	if err != nil {
		return secret.Text{}, err
	}
	var value secret.Text
	if err = ctx.Err(); err == nil {
		value, err = v.read(name, generation)
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading %s/%d: %w", name, generation, err)
	}
	return value, nil
}

func (v *Vault) read(name vault.SecretName, generation int) (secret.Text, error) {
	sealed, err := os.ReadFile(v.path(name, generation))
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Text{}, v.absent()
	}
	if err != nil {
		return secret.Text{}, err
	}
	value, err := v.aead.Open(nil, nil, sealed, associated(name, generation))
	if err != nil {
		return secret.Text{}, fmt.Errorf("the file was damaged or moved: %w", err)
	}
	return secret.New(string(value)), nil
}

// Delete implements [vault.Vault]. The rename ends all generations at once; after it a writer that
// still uses the old path has no folder to link into.
func (v *Vault) Delete(ctx context.Context, name vault.SecretName) error {
	if err := vault.Check(name, 1); err != nil {
		return err
	}
	err := ctx.Err()
	if err == nil {
		err = v.remove(name)
	}
	if err != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return nil
}

// remove does every step even if there is no such secret: an earlier process may have crashed after
// the first step.
func (v *Vault) remove(name vault.SecretName) error {
	trash := filepath.Join(v.dir, trashPrefix+string(name))
	if err := os.RemoveAll(trash); err != nil {
		return err
	}
	err := os.Rename(v.folder(name), trash)
	if errors.Is(err, fs.ErrNotExist) {
		err = v.absent()
	}
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	if err := syncFolder(v.dir); err != nil {
		return err
	}
	if err := os.RemoveAll(trash); err != nil {
		return err
	}
	return syncFolder(v.dir)
}

// present returns nil if the secret exists, which means that its generation 1 does: without it
// there is no other generation. The folder proves nothing, because its creator may have crashed
// before it stored a value.
func (v *Vault) present(name vault.SecretName) error {
	_, err := v.createdAt(name)
	return err
}

// createdAt returns when generation 1 was stored: its file never changes.
func (v *Vault) createdAt(name vault.SecretName) (time.Time, error) {
	info, err := os.Stat(v.path(name, 1))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, v.absent()
	}
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// absent returns the error for a missing file. It is [vault.ErrNotFound] only if the vault itself
// exists: a folder that isn't mounted must not be mistaken for deleted tokens.
func (v *Vault) absent() error {
	if _, err := os.Stat(filepath.Join(v.dir, checkFile)); err != nil {
		return fmt.Errorf("the vault's folder is gone: %w", err)
	}
	return vault.ErrNotFound
}

func (v *Vault) folder(name vault.SecretName) string { return filepath.Join(v.dir, string(name)) }

func (v *Vault) path(name vault.SecretName, generation int) string {
	return filepath.Join(v.folder(name), strconv.Itoa(generation))
}

// sync ensures that a secret's files survive a power cut, and the folder that contains it.
func (v *Vault) sync(name vault.SecretName) error {
	if err := syncFolder(v.folder(name)); err != nil {
		return err
	}
	return syncFolder(v.dir)
}

// associated returns the data that a value is bound to. A name has a fixed length, so no two pairs
// have the same data.
func associated(name vault.SecretName, generation int) []byte {
	return fmt.Appendf(nil, "%s|%d", name, generation)
}
