package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"bindery/shared/vault"
)

// The names of unfinished work. No secret's name begins with a dot.
const (
	tempPrefix  = ".bindery-new-" // a value that isn't linked to its place yet
	trashPrefix = ".deleted-"     // a deleted secret whose files are still being removed
)

// createOnly makes a file with mode 0600, whole or not at all, and only if there is none:
// otherwise the error is fs.ErrExist. It is fs.ErrNotExist if the folder or the temporary file
// vanished meanwhile. The caller has yet to sync the folder.
func createOnly(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	// Errors of these two don't matter: the value counts once it is linked, and is synced by
	// then. What stays is removed by a later Open.
	defer func() {
		_ = os.Remove(temp.Name())
		_ = temp.Close()
	}()
	// The lock, which ends with the file's close or the process, tells removeTemps that the file
	// is in use. If removeTemps was faster, the link below fails.
	err = syscall.Flock(int(temp.Fd()), syscall.LOCK_SH)
	if err == nil {
		_, err = temp.Write(data)
	}
	if err == nil {
		err = temp.Sync()
	}
	if err != nil {
		return fmt.Errorf("writing a new file: %w", err)
	}
	return os.Link(temp.Name(), path)
}

// syncFolder makes the entries of a folder outlive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// tidy removes what processes left behind when they died. It may meet a folder or a temporary
// file that another process has only just made; Put, checkKey and ReadKey then begin again.
func (v *Vault) tidy() error {
	if err := removeTemps(v.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(v.dir, entry.Name())
		name, deleted := strings.CutPrefix(entry.Name(), trashPrefix)
		switch {
		case !vault.SecretName(name).Valid():
			continue
		case deleted:
			err = os.RemoveAll(path)
		default:
			err = removeTemps(path)
			_ = os.Remove(path) // goes only if it is empty
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeTemps removes what createOnly left behind in a folder. What another process removed
// meanwhile is no error.
func removeTemps(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		err := removeTemp(filepath.Join(folder, entry.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeTemp removes a temporary file that nobody is writing.
func removeTemp(path string) error {
	temp, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = temp.Close() }()
	err = syscall.Flock(int(temp.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}
