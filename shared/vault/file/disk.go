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

// The names of unfinished work begin with a dot, which no secret's name does.
const (
	tempPrefix  = ".bindery-new-" // a value that isn't linked to its final path yet
	trashPrefix = ".deleted-"     // a deleted secret whose files are still being removed
)

// createOnly creates a file with mode 0600, completely or not at all. If the file exists, the error
// is fs.ErrExist. If the folder or the temporary file was removed meanwhile, it is fs.ErrNotExist.
// The caller must sync the folder afterwards.
func createOnly(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	// Errors of these two don't matter: the value is stored once it is linked, and is synced
	// before. A leftover is removed by Tidy.
	defer func() {
		_ = os.Remove(temp.Name())
		_ = temp.Close()
	}()
	// The lock tells removeTemps that the file is in use; it ends with the file's close or with the
	// process. If removeTemps was faster, the link below fails.
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

// syncFolder ensures that the entries of a folder survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Tidy removes what crashed processes left behind, which no call needs: it looks into the folder of
// each secret, so it is no part of [Open]. It may be called while the vault is used. It may also
// remove a folder or a temporary file that has just been created; Put, checkKey and ReadKey then
// start over.
func (v *Vault) Tidy() error {
	if err := v.tidy(); err != nil {
		return fmt.Errorf("vault: removing unfinished work: %w", err)
	}
	return nil
}

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

// removeTemps removes what createOnly left behind in a folder. A file that another process removed
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

// removeTemp removes a temporary file unless a process is writing it.
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
