// Package bolt keeps the table in one file, for a laptop and for tests. It is package table's
// contract on bbolt: one transaction a call, each on the disk before the call returns, and an
// index of what is due that is written in the same transaction as its row, so that nothing lags.
//
// One process at a time has the file. The calls of many goroutines are safe; writes go one after
// the other. A limit below 1 counts as 1.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"bindery/shared/table"
)

// The file's buckets. Their keys are made by [table.Join], so each begins with a digit; those of
// due begin with the time.
const (
	metaBucket           = "meta"
	bindingsBucket       = "bindings"
	authorizationsBucket = "authorizations"
	dueBucket            = "due"
	holdersBucket        = "holders"
	historyBucket        = "history"
)

// format is the version of the file's layout, kept under formatKey in the bucket meta.
const (
	formatKey = "format"
	format    = "1"
)

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = time.Second

// Table is a file opened by [Open].
type Table struct {
	db             *bbolt.DB
	bindings       rows[table.Binding]
	authorizations rows[table.Authorization]
}

var _ table.Table = (*Table)(nil)

// Open opens the file, and makes it (mode 0600) and its folders (mode 0700) if they aren't there.
// The error is one line that names the file. It is one, after a second, if another process has
// the file open, and at once if the file is not bbolt's, not Bindery's, or of another format; the
// file is then as it was.
func Open(path string) (*Table, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("bolt: make the folder: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("bolt: make %s: %w", path, err)
		}
	}
	db, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	return &Table{db, bindingRows(), authorizationRows()}, nil
}

// Close lets go of the file when the calls under way have ended. Later calls fail. A second Close
// does nothing.
func (t *Table) Close() error { return t.db.Close() }

// create makes the file under another name first: half of a file, after a death or on a full disk,
// would be refused from then on. Link, unlike Rename, replaces no file that another process has
// made and opened in the meantime.
func create(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*.db") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := file.Close(); err != nil {
		return err
	}
	db, err := openFile(file.Name())
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// openFile also makes an error of what bbolt does with a file that was cut short or overwritten
// in part: it panics, or reads beyond the file's end. Such a file stays locked until the process
// ends, for bbolt holds it where it can't be reached any more.
func openFile(path string) (db *bbolt.DB, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("the file is damaged: %v", p)
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("another process uses the file: %w", err)
	case err != nil:
		return nil, fmt.Errorf("not to be opened as a bbolt database: %w", err)
	}
	if err := prepare(db); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// prepare makes the buckets of a new file and checks the format of an old one.
func prepare(db *bbolt.DB) error {
	isNew := false
	err := db.View(func(tx *bbolt.Tx) error {
		first, _ := tx.Cursor().First()
		meta := tx.Bucket([]byte(metaBucket))
		switch {
		case first == nil:
			isNew = true
		case meta == nil || meta.Get([]byte(formatKey)) == nil:
			return errors.New("the file is a bbolt database, but not Bindery's")
		case string(meta.Get([]byte(formatKey))) != format:
			return fmt.Errorf("the file has format %q, and this version of Bindery knows %q only",
				meta.Get([]byte(formatKey)), format)
		}
		return nil
	})
	if err != nil || !isNew {
		return err
	}
	if err := db.Update(makeBuckets); err != nil {
		return fmt.Errorf("make the buckets: %w", err)
	}
	return nil
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range []string{
		bindingsBucket, authorizationsBucket, dueBucket, holdersBucket, historyBucket,
	} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	return meta.Put([]byte(formatKey), []byte(format))
}

// read runs f in a transaction that changes nothing; doing is for the error.
func read[T any](
	ctx context.Context, t *Table, doing string, f func(tx *bbolt.Tx) (T, error),
) (T, error) {
	return transact(ctx, t.db.View, doing, f)
}

// write runs f in a transaction that is on the disk when write returns, or undone if f fails.
func write[T any](
	ctx context.Context, t *Table, doing string, f func(tx *bbolt.Tx) (T, error),
) (T, error) {
	return transact(ctx, t.db.Update, doing, f)
}

func transact[T any](
	ctx context.Context, run func(func(*bbolt.Tx) error) error, doing string,
	f func(tx *bbolt.Tx) (T, error),
) (T, error) {
	var result, none T
	err := ctx.Err()
	if err == nil {
		err = run(func(tx *bbolt.Tx) error {
			result, err = f(tx)
			return err
		})
	}
	if err != nil {
		return none, fmt.Errorf("bolt: %s: %w", doing, err)
	}
	return result, nil
}
