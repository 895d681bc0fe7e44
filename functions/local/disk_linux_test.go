package main

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bindery/shared/testkit"
)

// room is the size of a small disk.
const room = 1 << 20

// smallDisk mounts a file system of one megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		testkit.Missing(t, "right to mount a small disk", "run as root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting the small disk: %v", err)
		}
	})
	return dir
}

// fill fills the disk, and returns a func that frees it.
func fill(t *testing.T, disk string) (free func()) {
	t.Helper()
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2*room), 0o600); err == nil {
		t.Fatal("the disk is larger than it should be")
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
	}
}

func TestAFullDiskRefusesABindUntilThereIsRoom(t *testing.T) {
	disk := smallDisk(t)
	data := filepath.Join(disk, "data")
	p := start(t, data)
	p.bind("codeup")

	free := fill(t, disk)
	token, form := p.signIn(nil), form(p.sample("gitlab", "good"))
	for range 3 {
		got := p.call(http.MethodPut, bindings+"/gitlab", token, form)
		if got.status != http.StatusServiceUnavailable || got.code() != "storage_unavailable" ||
			got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("binding on a full disk: status %d, %s", got.status, got.code())
		}
	}
	p.alive()
	p.wantBound("on a full disk", "codeup")

	free()
	p.bind("gitlab")
	p.wantBound("with room again", "codeup", "gitlab")
	p.stop()
	wantKept(t, data)
}

// The bindings can still be read.
func TestAFullDiskStillShowsTheBindings(t *testing.T) {
	disk := smallDisk(t)
	data := filepath.Join(disk, "data")
	p := start(t, data)
	p.bind("codeup", "gitlab")
	p.stop()

	free := fill(t, disk)
	wantKept(t, data)
	free()
	wantKept(t, data)
}

func TestAFirstStartOnAFullDiskIsRefusedAndCanBeRepeated(t *testing.T) {
	disk := smallDisk(t)
	data := filepath.Join(disk, "data")
	free := fill(t, disk)
	wants(t, refused(t, data, 1), data, "no space left")
	free()
	p := start(t, data)
	p.bind("codeup", "gitlab")
	p.stop()
	wantKept(t, data)
}
