package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func TestFileAndFoldersAreTheOwnersAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data", "of bindery")
	path := filepath.Join(folder, "bindery.db")
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	for _, want := range []struct {
		path string
		mode os.FileMode
	}{
		{path, 0o600},
		{folder, 0o700},
		{filepath.Dir(folder), 0o700},
	} {
		info, err := os.Stat(want.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want.mode {
			t.Errorf("%s: got mode %o, want %o", filepath.Base(want.path), got, want.mode)
		}
	}
}

func TestWhatWasSavedIsThereAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindery.db")
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	key := binding.Key{Account: "a", Region: "r", Instance: "i", Platform: "gitee"}
	at := time.Unix(1_000_000_000, 0).UTC()
	saved, err := opened.SaveBinding(t.Context(), binding.Record{Key: key, DueAt: at})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second Close does nothing
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := opened.Binding(t.Context(), key); err == nil || errors.Is(err, table.ErrNotFound) {
		t.Errorf("a call after Close: got error %v, want one that isn't ErrNotFound", err)
	}

	opened, err = Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if got, err := opened.Binding(t.Context(), key); err != nil || got.Version != saved.Version {
		t.Errorf("after reopening: got version %q, error %v, want %q", got.Version, err, saved.Version)
	}
	due, err := opened.DueBefore(t.Context(), at, "", 10)
	want := table.DueEntry{At: at, Binding: key}
	if err != nil || len(due.Items) != 1 || due.Items[0] != want {
		t.Errorf("due after reopening: got %v, error %v, want only %v", due.Items, err, want)
	}
}

// wantRefused expects that Open refuses the file, in one line that names it and says why, and
// leaves it as it was.
func wantRefused(t *testing.T, path, why string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(path)
	if err == nil {
		_ = opened.Close()
		t.Fatal("it was opened")
	}
	text := err.Error()
	if strings.Contains(text, "\n") || !strings.Contains(text, path) || !strings.Contains(text, why) {
		t.Errorf("got error %q, want one line with the file's name and %q", text, why)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestAFileThatAnotherProcessUsesIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindery.db")
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	// A lock is of an open file, so that this process counts as another.
	wantRefused(t, path, "another process uses the file")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path)
	if err != nil {
		t.Fatalf("after the other let go: %v", err)
	}
	_ = second.Close()
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	for name, content := range map[string]string{
		"a byte":       "x",
		"text":         "this is no database\n",
		"a page":       strings.Repeat("x", 5000),
		"a long file":  strings.Repeat("this is no database\n", 10_000),
		"a long blank": strings.Repeat("\x00", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bindery.db")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, path, "not to be opened as a bbolt database")
		})
	}
}

func TestAFileThatWasCutShortIsRefused(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "bindery.db")
	opened, err := Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	pageSize := os.Getpagesize()
	for _, pages := range []int{2, 3} {
		path := filepath.Join(t.TempDir(), "bindery.db")
		if err := os.WriteFile(path, content[:pages*pageSize], 0o600); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, path, "the file is damaged")
	}
}

// A version from before subscriptions made fewer buckets. Its file is opened with what is in it,
// has what is missing afterwards, and has still the format that such a version opens.
func TestAFileFromBeforeSubscriptionsIsOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindery.db")
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"}); err != nil {
		t.Fatal(err)
	}
	err = opened.db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range []string{
			subscriptionsBucket, dueSubscriptionsBucket, subscribedBucket, sourceBucket, headsBucket,
		} {
			if err := tx.DeleteBucket([]byte(bucket)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, opened.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if opened, err = Open(path); err != nil {
			t.Fatal(err)
		}
		if _, err := opened.Authorization(t.Context(), "1"); err != nil {
			t.Errorf("a row from before: %v", err)
		}
		id := table.NewVersion()
		if _, err := opened.SaveSubscription(t.Context(), binding.Subscription{ID: id}); err != nil {
			t.Errorf("a subscription: %v", err)
		}
		if got := stored(t, opened, metaBucket, formatKey); got != "1" {
			t.Errorf("the file has format %q, want 1", got)
		}
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// foreign makes a bbolt file that Bindery didn't make.
func foreign(t *testing.T, change func(tx *bbolt.Tx) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bindery.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestADatabaseOfAnotherProgramIsRefused(t *testing.T) {
	for _, bucket := range []string{"another's", metaBucket} {
		wantRefused(t, foreign(t, func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte(bucket))
			return err
		}), "not Bindery's")
	}
}

func TestAFormatOfTheFutureIsRefused(t *testing.T) {
	wantRefused(t, foreign(t, func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket([]byte(metaBucket))
		if err != nil {
			return err
		}
		return meta.Put([]byte(formatKey), []byte("2"))
	}), `the file has format "2", and this version of Bindery knows "1" only`)
}

func TestAFolderThatCantBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if opened, err := Open(filepath.Join(file, "bindery.db")); err == nil {
		_ = opened.Close()
		t.Error("no error for a folder inside a file")
	}
	if opened, err := Open(t.TempDir()); err == nil {
		_ = opened.Close()
		t.Error("no error for a folder in the file's place")
	}
}
