package file_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

// childRole, if set, makes this test's binary act as another process instead of running tests: the
// role, the data folder and a number, separated by spaces.
const childRole = "BINDERY_VAULT_FILE_CHILD"

func TestMain(m *testing.M) {
	role, dir, number := "", "", 0
	_, _ = fmt.Sscan(os.Getenv(childRole), &role, &dir, &number)
	var err error
	switch role {
	case "":
		os.Exit(m.Run())
	case "race":
		err = race(dir, number)
	case "write":
		err = writeOn(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func openData(dir string) (*file.Vault, error) {
	key, err := file.ReadKey(filepath.Join(dir, "vault.key"))
	if err != nil {
		return nil, err
	}
	v, err := file.Open(filepath.Join(dir, "vault"), key)
	if err != nil {
		return nil, err
	}
	return v, v.Tidy()
}

func child(t *testing.T, role, dir string, number int) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", childRole, role, dir, number))
	cmd.Stderr = os.Stderr
	return cmd
}

// race opens the vault and its key at the same time as others, and puts a value that only this
// process would put.
func race(dir string, number int) error {
	v, err := openData(dir)
	if err != nil {
		return err
	}
	err = v.Put(context.Background(), one, 1, secret.New(strconv.Itoa(number)))
	if err == nil {
		fmt.Println("won")
	} else if !errors.Is(err, vault.ErrExists) {
		return err
	}
	return nil
}

func TestProcessesAtOnceShareOneKeyAndOneWins(t *testing.T) {
	const processes = 8
	dir := t.TempDir()
	outputs := make([]string, processes)
	var all sync.WaitGroup
	for i := range processes {
		cmd := child(t, "race", dir, i)
		all.Go(func() {
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("process %d: %v, want the same key as the others", i, err)
			}
			outputs[i] = string(out)
		})
	}
	all.Wait()
	winner := slices.Index(outputs, "won\n")
	if winner < 0 || slices.Index(outputs[winner+1:], "won\n") >= 0 {
		t.Fatalf("the processes said %q, want one winner", outputs)
	}
	v, err := openData(dir)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, v, one, 1, strconv.Itoa(winner))
	noLeftovers(t, dir)
}

func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	for _, path := range tree(t, dir) {
		if strings.HasPrefix(filepath.Base(path), ".") {
			t.Errorf("%s is left over", path)
		}
	}
}

// writeOn puts one generation after another and prints each number, until it is killed.
func writeOn(dir string) error {
	v, err := openData(dir)
	if err != nil {
		return err
	}
	for generation := 1; generation <= vault.MaxGeneration; generation++ {
		err := v.Put(context.Background(), one, generation, writeOnValue(generation))
		if err != nil {
			return err
		}
		fmt.Println(generation)
	}
	return nil
}

func writeOnValue(generation int) secret.Text {
	return secret.New(strings.Repeat(strconv.Itoa(generation)+" ", 2000))
}

func TestAKilledWriterLosesNothingThatItStored(t *testing.T) {
	for last := 1; last <= 6; last++ {
		dir := t.TempDir()
		cmd := child(t, "write", dir, 0)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for said := 0; said < last && lines.Scan(); said++ {
		}
		_ = cmd.Process.Kill()
		for lines.Scan() {
			last++ // printed before the kill arrived
		}
		_ = cmd.Wait()

		v, err := openData(dir)
		if err != nil {
			t.Fatal(err)
		}
		for generation := 1; generation <= last; generation++ {
			holds(t, v, one, generation, writeOnValue(generation).Reveal())
		}
		// The generation in progress at the kill is stored completely or not at all.
		_, err = v.Get(t.Context(), one, last+1)
		if err != nil && !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("Get of the unfinished generation = %v, want it or ErrNotFound", err)
		}
		if err := v.Put(t.Context(), one, last+1, writeOnValue(last+1)); err != nil {
			t.Errorf("putting the unfinished generation again = %v", err)
		}
		noLeftovers(t, dir)
	}
}

// TestALeftoverOfACrashIsNotASecret creates what a crash at each moment leaves behind.
func TestALeftoverOfACrashIsNotASecret(t *testing.T) {
	for what, left := range map[string]func(t *testing.T, dir string){
		"after making the folder": func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, string(one)), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"while writing the value": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, string(one), ".bindery-new-1"), "half")
		},
		"while deleting": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".deleted-"+string(one), "1"), "sealed")
			write(t, filepath.Join(dir, ".deleted-"+string(one), "2"), "sealed")
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			v := open(t, dir)
			put(t, v, other, 1, "kept")
			clean := tree(t, dir)
			absent := func() {
				t.Helper()
				if _, err := v.Get(t.Context(), one, 1); !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("Get = %v, want ErrNotFound", err)
				}
				err := v.Put(t.Context(), one, 2, secret.New("value"))
				if !errors.Is(err, vault.ErrNotFound) {
					t.Errorf("Put of generation 2 = %v, want ErrNotFound", err)
				}
			}
			restored := func(by string) {
				t.Helper()
				if got := tree(t, dir); !slices.Equal(got, clean) {
					t.Errorf("after %s the folder holds %q, want %q", by, got, clean)
				}
				holds(t, v, other, 1, "kept")
			}

			left(t, dir)
			absent()
			open(t, dir)
			restored("Tidy")
			absent()

			left(t, dir)
			if err := v.Delete(t.Context(), one); err != nil {
				t.Errorf("Delete = %v, want nil", err)
			}
			restored("Delete")

			left(t, dir)
			put(t, v, one, 1, "value")
			holds(t, v, one, 1, "value")
			if err := v.Delete(t.Context(), one); err != nil {
				t.Errorf("Delete = %v, want nil", err)
			}
			restored("Put and Delete")
		})
	}
}

// TestOpenDuringWritesLosesNothing lets Open remove files while other processes use them.
func TestOpenDuringWritesLosesNothing(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	ended := make(chan struct{})
	var opens sync.WaitGroup
	opens.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
				if v, err := file.Open(dir, key(t, "a")); err != nil {
					t.Errorf("Open = %v", err)
				} else if err := v.Tidy(); err != nil {
					t.Errorf("Tidy = %v", err)
				}
			}
		}
	})
	var puts sync.WaitGroup
	for i := range 4 {
		name := vault.SecretName(strings.Repeat(strconv.Itoa(i), 32))
		puts.Go(func() {
			for generation := 1; generation <= 25; generation++ {
				value := secret.New(strconv.Itoa(generation))
				if err := v.Put(t.Context(), name, generation, value); err != nil {
					t.Errorf("Put(%s, %d) = %v, want nil", name, generation, err)
				}
			}
		})
	}
	puts.Wait()
	close(ended)
	opens.Wait()
	for i := range 4 {
		for generation := 1; generation <= 25; generation++ {
			name := vault.SecretName(strings.Repeat(strconv.Itoa(i), 32))
			holds(t, v, name, generation, strconv.Itoa(generation))
		}
	}
}

func TestOpenKeepsAFileThatIsBeingWritten(t *testing.T) {
	dir := t.TempDir()
	v := open(t, dir)
	put(t, v, one, 1, "value")
	path := filepath.Join(dir, string(one), ".bindery-new-1")
	write(t, path, "half")
	writing, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(writing.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(path); err != nil {
		t.Errorf("after Open the file is %v, want it there", err)
	}
	if err := writing.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the writer's end the file is %v, want it gone", err)
	}
}
