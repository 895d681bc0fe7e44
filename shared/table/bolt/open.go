// Package bolt keeps the table in one bbolt file, for a laptop and for tests. A call is one
// transaction, which is on the disk before the call returns. The index of what is due is written in
// the same transaction as its row, so that nothing lags.
//
// Only one process at a time can open the file. Many goroutines may call at once; writes are made
// one after the other.
package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"bindery/shared/table/engine"
)

// The file's buckets. The driver says what is in them.
const (
	metaBucket           = "meta"
	bindingsBucket       = "bindings"
	notesBucket          = "notes" // of versions from before format 2 of the rows
	authorizationsBucket = "authorizations"
	dueBucket            = "due"
	holdersBucket        = "holders"
	historyBucket        = "history"

	subscriptionsBucket    = "subscriptions"
	dueSubscriptionsBucket = "dueSubscriptions"
	subscribedBucket       = "subscribed"
	sourceBucket           = "source"
	headsBucket            = "heads"

	leasesBucket  = "leases"
	secretsBucket = "secrets"
)

// format is the version of the file's layout, kept under formatKey in the bucket meta.
const (
	formatKey = "format"
	format    = "1"
)

// lockTimeout is how long Open waits for another process to close the file.
const lockTimeout = time.Second

// Table is a file opened by [Open].
type Table struct {
	*engine.Table
	db *bbolt.DB
}

// Open opens the file, and makes it (mode 0600) and its folders (mode 0700) if they don't exist. It
// fails after a second if another process has the file open, and at once if the file is not
// bbolt's, not Bindery's, or of another format; the file then stays as it was. The error is one
// line that names the file.
func Open(path string) (*Table, error) {
	d, err := OpenDriver(path)
	if err != nil {
		return nil, err
	}
	return &Table{engine.New("bolt", d), d.db}, nil
}

// Driver makes the calls to a file, for rows that the engine's table does not have. Create one with
// [OpenDriver].
type Driver struct{ driver }

// OpenDriver opens the file as [Open] does.
func OpenDriver(path string) (*Driver, error) {
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
	return &Driver{driver{db}}, nil
}

// Close closes the file as [Table.Close] does.
func (d *Driver) Close() error { return d.db.Close() }

// Close closes the file when the calls under way have ended. Later calls fail. A second Close does
// nothing.
func (t *Table) Close() error { return t.db.Close() }

// create makes the file under another name first: half a file, left by a crash or a full disk,
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

// openFile opens a file and prepares it. For a file that was cut short or overwritten in part it
// returns an error where bbolt panics or reads beyond the file's end. Such a file stays locked
// until the process ends, because bbolt leaves no way to close it.
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

// prepare checks the format of a file that is not new, and makes the buckets that a new one, or one
// of an earlier version, doesn't have. Such a version opens the file nevertheless.
func prepare(db *bbolt.DB) error {
	complete := false
	err := db.View(func(tx *bbolt.Tx) error {
		first, _ := tx.Cursor().First()
		meta := tx.Bucket([]byte(metaBucket))
		complete = !slices.ContainsFunc(allBuckets(), func(name string) bool {
			return tx.Bucket([]byte(name)) == nil
		})
		switch {
		case first == nil:
		case meta == nil || meta.Get([]byte(formatKey)) == nil:
			return errors.New("the file is a bbolt database, but not Bindery's")
		case string(meta.Get([]byte(formatKey))) != format:
			return fmt.Errorf("the file has format %q, and this version of Bindery knows %q only",
				meta.Get([]byte(formatKey)), format)
		}
		return nil
	})
	if err != nil || complete {
		return err
	}
	if err := db.Update(makeBuckets); err != nil {
		return fmt.Errorf("make the buckets: %w", err)
	}
	return nil
}

// allBuckets are all of the file's but meta.
func allBuckets() []string {
	return []string{
		bindingsBucket, notesBucket, authorizationsBucket, dueBucket, holdersBucket, historyBucket,
		subscriptionsBucket, dueSubscriptionsBucket, subscribedBucket, sourceBucket, headsBucket,
		leasesBucket, secretsBucket,
	}
}

func makeBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets() {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	meta, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
	if err != nil {
		return err
	}
	return meta.Put([]byte(formatKey), []byte(format))
}
