//go:build linux

package bolt

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/testkit"
)

// smallDisk mounts a file system of 2 MiB for the length of the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		testkit.Missing(t, "right to mount a small disk", "run as root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return folder
}

// bulky is a row of about 8 KB, so that the disk is soon full.
func bulky(i int) binding.Record {
	return binding.Record{
		Key:          binding.Key{Account: "a", Region: "r", Instance: fmt.Sprint(i), Platform: "p"},
		Organization: strings.Repeat("o", 8_000),
	}
}

// wantAll expects exactly these rows, by their keys and versions.
func wantAll(t *testing.T, when string, opened *Table, want map[binding.Key]string) {
	t.Helper()
	page, err := opened.AllBindings(t.Context(), "", math.MaxInt)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if len(page.Items) != len(want) {
		t.Errorf("%s: got %d rows, want %d", when, len(page.Items), len(want))
	}
	for _, b := range page.Items {
		if b.Version != want[b.Key] || len(b.Organization) != 8_000 {
			t.Errorf("%s: row %s isn't as it was saved", when, b.Instance)
		}
	}
}

func TestAFullDiskLosesNothingThatWasSaved(t *testing.T) {
	folder := smallDisk(t)
	path, ballast := filepath.Join(folder, "bindery.db"), filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()

	saved := map[binding.Key]string{}
	save := func(b binding.Record) error {
		b, err := opened.SaveBinding(t.Context(), b)
		if err == nil {
			saved[b.Key] = b.Version
		}
		return err
	}
	var full error
	for i := 0; i < 1000 && full == nil; i++ {
		full = save(bulky(i))
	}
	unknown(t, "a save on a full disk", full)
	wantAll(t, "on a full disk", opened, saved)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := save(bulky(2000)); err != nil {
		t.Fatalf("a save when there is room again: %v", err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	if opened, err = Open(path); err != nil {
		t.Fatalf("reopen: %v", err)
	}
	wantAll(t, "after reopening", opened, saved)
	if err := save(bulky(2001)); err != nil {
		t.Fatalf("a save after reopening: %v", err)
	}
	wantAll(t, "after a last save", opened, saved)
}

func TestAFileOnAFullDiskOpensAndIsRead(t *testing.T) {
	folder := smallDisk(t)
	path := filepath.Join(folder, "bindery.db")
	opened, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := opened.SaveBinding(t.Context(), bulky(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	// Fill it to the last byte; the error says that it is full.
	_ = os.WriteFile(filepath.Join(folder, "ballast"), make([]byte, 4<<20), 0o600)

	if opened, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	wantAll(t, "on a full disk", opened, map[binding.Key]string{b.Key: b.Version})
	_, err = opened.SaveBinding(t.Context(), bulky(2))
	unknown(t, "a save on a full disk", err)
}

func TestAFirstStartOnAFullDiskCanBeRepeated(t *testing.T) {
	folder := smallDisk(t)
	path, ballast := filepath.Join(folder, "bindery.db"), filepath.Join(folder, "ballast")
	for room := range 8 { // pages that are left
		_ = os.WriteFile(ballast, make([]byte, 4<<20), 0o600)
		if err := os.Truncate(ballast, 2<<20-int64(room*os.Getpagesize())); err != nil {
			t.Fatal(err)
		}
		if opened, err := Open(path); err == nil {
			_ = opened.Close()
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		opened, err := Open(path)
		if err != nil {
			t.Fatalf("with room again, after room for %d pages: %v", room, err)
		}
		_ = opened.Close()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("after room for %d pages: left behind %v, error %v", room, left, err)
		}
	}
}
