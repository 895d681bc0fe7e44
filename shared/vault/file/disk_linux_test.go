package file_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

// smallDisk returns a folder with room for half a megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		testkit.Missing(t, "right to mount a small disk", "run as root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting the small disk: %v", err)
		}
	})
	return dir
}

func TestAFullDiskLosesNothingAndRecovers(t *testing.T) {
	dir := smallDisk(t)
	v := open(t, dir)
	big := strings.Repeat("x", vault.MaxValue)
	put(t, v, other, 1, big)
	put(t, v, one, 1, big)

	last, full := 1, error(nil)
	for full == nil && last < 100 {
		full = v.Put(t.Context(), one, last+1, secret.New(big))
		if full == nil {
			last++
		}
	}
	if !errors.Is(full, syscall.ENOSPC) {
		t.Fatalf("after %d values Put = %v, want that the disk is full", last, full)
	}
	for _, known := range []error{
		vault.ErrNotFound, vault.ErrExists, vault.ErrValue, vault.ErrName,
	} {
		if errors.Is(full, known) {
			t.Errorf("Put onto a full disk = %v, which is also %v", full, known)
		}
	}
	before := tree(t, dir)
	another := vault.SecretName(strings.Repeat("3", 32))
	if err := v.Put(t.Context(), another, 1, secret.New(big)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put of a new secret = %v, want that the disk is full", err)
	}
	if after := tree(t, dir); !slices.Equal(after, before) {
		t.Errorf("the full disk holds %q, want %q as before", after, before)
	}
	for generation := 1; generation <= last; generation++ {
		holds(t, v, one, generation, big)
	}
	if _, err := v.Get(t.Context(), one, last+1); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("Get of the value that found no room = %v, want ErrNotFound", err)
	}
	open(t, dir) // a vault on a full disk may be opened too

	if err := v.Delete(t.Context(), other); err != nil {
		t.Fatalf("Delete on a full disk = %v, want nil", err)
	}
	put(t, v, one, last+1, big)
	holds(t, v, one, last+1, big)
}

func TestAReadOnlyDiskIsReadableAndWritesFail(t *testing.T) {
	dir := smallDisk(t)
	put(t, open(t, dir), one, 1, "value")
	readOnly := uintptr(syscall.MS_REMOUNT | syscall.MS_RDONLY)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", readOnly, ""); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir)
	holds(t, v, one, 1, "value")
	for call, err := range map[string]error{
		"Put of a new secret":     v.Put(t.Context(), other, 1, secret.New("value")),
		"Put of a new generation": v.Put(t.Context(), one, 2, secret.New("value")),
		"Delete":                  v.Delete(t.Context(), one),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s = %v, want that the disk is read-only", call, err)
		}
	}
	holds(t, v, one, 1, "value")

	// Neither a key nor a vault can be created here.
	if _, err := file.ReadKey(dir + "/new/vault.key"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("ReadKey = %v, want that the disk is read-only", err)
	}
	if _, err := file.Open(dir+"/"+string(one), key(t, "a")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Open of a new vault = %v, want that the disk is read-only", err)
	}
}
