package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/secret"
	"bindery/shared/table/bolt"
	"bindery/shared/table/engine"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/file"
	"bindery/shared/vault/vaulttest"
)

const name = vaulttest.Name

// fixture is a vault in memory or in a file of bbolt, under keys of this machine, and a clock.
type fixture struct {
	*envelope.Vault
	rows    envelope.Store
	calls   vaulttest.CallLog // to the rows
	wrapper keyService
	time    time.Time
}

// keyService counts the calls to the key service, and fails them if err is set.
type keyService struct {
	made, unwrapped atomic.Int64
	err             error
}

func (k *keyService) called(_ context.Context, name string) (func(), error) {
	if name == "Unwrap" {
		k.unwrapped.Add(1)
	} else {
		k.made.Add(1)
	}
	return nil, k.err
}

func key(t *testing.T, digit string) file.Key {
	t.Helper()
	k, err := file.ParseKey(secret.New(strings.Repeat(digit, 64)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wrapping(t *testing.T, current string, older ...string) envelope.Wrapper {
	t.Helper()
	var keys []file.Key
	for _, digit := range older {
		keys = append(keys, key(t, digit))
	}
	w, err := file.NewWrapper(key(t, current), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// inFile is the store of a laptop.
func inFile(t *testing.T) envelope.Store {
	t.Helper()
	opened, err := bolt.OpenDriver(filepath.Join(t.TempDir(), "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// process is a process with a vault in the rows.
func process(rows envelope.Store, w envelope.Wrapper) *fixture {
	f := &fixture{rows: rows, time: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	f.Vault = envelope.New(envelope.Options{
		Store: vaulttest.HookRows(rows, func(_ context.Context, call string) (func(), error) {
			f.calls.Add(call)
			return nil, nil
		}),
		Wrapper: vaulttest.HookWrapper(w, f.wrapper.called),
		Now:     func() time.Time { return f.time },
		Owner: func(value secret.Text) string {
			owner, _, _ := strings.Cut(value.Reveal(), ":")
			return fmt.Sprint(len(owner))
		},
	})
	return f
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return process(new(vaulttest.Rows), wrapping(t, "a"))
}

func newFileFixture(t *testing.T) *fixture {
	t.Helper()
	return process(inFile(t), wrapping(t, "a"))
}

func (f *fixture) put(t *testing.T, generation int, text string) {
	t.Helper()
	if err := f.Put(t.Context(), name, generation, secret.New(text)); err != nil {
		t.Fatalf("Put(%d) = %v, want nil", generation, err)
	}
}

func (f *fixture) holds(t *testing.T, generation int, text string) {
	t.Helper()
	got, err := f.Get(t.Context(), name, generation)
	if err != nil || !got.Equal(secret.New(text)) {
		t.Errorf("Get(%d) is another value, or %v", generation, err)
	}
}

func TestTheContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault { return newFileFixture(t).Vault })
}

func TestItListsItsOwnSecrets(t *testing.T) {
	f := newFileFixture(t)
	vaulttest.Lists(t, f.Vault, func() time.Time { return f.time }, func() {})
}

func TestTheCallsOfEachMethod(t *testing.T) {
	f := newFileFixture(t)
	put := func(generation int) func() error {
		return func() error { return f.Put(t.Context(), name, generation, secret.New("value")) }
	}
	for _, c := range []struct {
		what string
		call func() error
		want string
	}{
		{"Put(1)", put(1), "[Put]"},
		{"Put(2)", put(2), "[Get Put]"},
		{"Put(2) again", put(2), "[Get]"},
		{"Get", func() error { _, err := f.Get(t.Context(), name, 2); return err }, "[Get]"},
		{"Newest", func() error { _, err := f.Newest(t.Context(), name); return err }, "[Get]"},
		{"List", func() error { _, err := f.List(t.Context(), ""); return err }, "[Scan]"},
		{"Delete", func() error { return f.Delete(t.Context(), name) }, "[Delete]"},
	} {
		f.calls.Reset()
		if err := c.call(); err != nil {
			t.Errorf("%s = %v, want nil", c.what, err)
		}
		if got := f.calls.String(); got != c.want {
			t.Errorf("%s made %s, want %s", c.what, got, c.want)
		}
	}
	if f.wrapper.made.Load() != 1 || f.wrapper.unwrapped.Load() != 0 {
		t.Errorf("the key service: %d and %d calls, want one for all", f.wrapper.made.Load(),
			f.wrapper.unwrapped.Load())
	}
}

func TestTheNewestThreeGenerationsStay(t *testing.T) {
	f := newFixture(t)
	for generation := 1; generation <= 20; generation++ {
		f.put(t, generation, fmt.Sprint(generation))
		for back := range min(generation, envelope.Kept) {
			f.holds(t, generation-back, fmt.Sprint(generation-back))
		}
	}
	for _, removed := range []int{1, 17} {
		if _, err := f.Get(t.Context(), name, removed); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("Get(%d) = %v, want ErrNotFound", removed, err)
		}
		err := f.Put(t.Context(), name, removed, secret.New(fmt.Sprint(removed)))
		if !errors.Is(err, vault.ErrExists) {
			t.Errorf("Put(%d) = %v, want ErrExists", removed, err)
		}
	}
}

func TestADataKeySealsSomeValuesForSomeMinutes(t *testing.T) {
	f := newFixture(t)
	f.put(t, 1, "1")
	for generation := 2; generation <= envelope.MaxSeals; generation++ {
		f.put(t, generation, fmt.Sprint(generation))
	}
	if f.wrapper.made.Load() != 1 {
		t.Errorf("%d data keys for the first %d values, want 1", f.wrapper.made.Load(), envelope.MaxSeals)
	}
	f.put(t, envelope.MaxSeals+1, "next")
	if f.wrapper.made.Load() != 2 {
		t.Errorf("%d data keys for one value more, want 2", f.wrapper.made.Load())
	}
	f.time = f.time.Add(envelope.KeyTTL - time.Second)
	f.put(t, envelope.MaxSeals+2, "in time")
	f.holds(t, envelope.MaxSeals+2, "in time")
	if f.wrapper.made.Load() != 2 || f.wrapper.unwrapped.Load() != 0 {
		t.Errorf("a second before its end: %d data keys and %d unwrapped, want 2 and 0",
			f.wrapper.made.Load(), f.wrapper.unwrapped.Load())
	}
	f.time = f.time.Add(time.Second)
	f.holds(t, envelope.MaxSeals+2, "in time")
	f.holds(t, envelope.MaxSeals+1, "next")
	f.put(t, envelope.MaxSeals+3, "later")
	if f.wrapper.made.Load() != 3 || f.wrapper.unwrapped.Load() != 1 {
		t.Errorf("after its end: %d data keys and %d unwrapped, want 3 and 1", f.wrapper.made.Load(),
			f.wrapper.unwrapped.Load())
	}
}

func TestDataKeysLeaveTheMemory(t *testing.T) {
	rows, w := new(vaulttest.Rows), wrapping(t, "a")
	names := make([]vault.SecretName, envelope.MaxOpened+1)
	for i := range names { // each by a process, and so under a data key, of its own
		names[i] = vault.SecretName(fmt.Sprintf("%032x", i))
		err := process(rows, w).Put(t.Context(), names[i], 1, secret.New("value"))
		if err != nil {
			t.Fatal(err)
		}
	}
	f := process(rows, w)
	f.put(t, 1, "first") // under a data key that seals
	f.time = f.time.Add(envelope.KeyTTL - time.Second)
	read := func(want int, names ...vault.SecretName) {
		t.Helper()
		for _, name := range names {
			if _, err := f.Get(t.Context(), name, 1); err != nil {
				t.Fatal(err)
			}
		}
		if got := f.DataKeys(); got != want {
			t.Errorf("%d data keys are in memory, want %d", got, want)
		}
	}
	read(envelope.MaxOpened, names[:envelope.MaxOpened-1]...)
	read(2, names[envelope.MaxOpened]) // and the one that seals
	f.time = f.time.Add(time.Second)   // whose time is over now
	read(2, names[0])
	f.time = f.time.Add(envelope.KeyTTL - time.Second) // the last one has a second left
	read(1, names[0])
	f.time = f.time.Add(time.Second)
	read(1, names[1])
}

func TestADisabledWrappingKeyOpensNothingAfterMinutes(t *testing.T) {
	f := newFixture(t)
	f.put(t, 1, "first")
	f.wrapper.err = errors.New("the key is disabled")
	f.holds(t, 1, "first")
	f.time = f.time.Add(envelope.KeyTTL)
	_, err := f.Get(t.Context(), name, 1)
	vaulttest.Unclear(t, "Get", err)
	vaulttest.Unclear(t, "Put", f.Put(t.Context(), name, 2, secret.New("second")))
	f.wrapper.err = nil
	f.holds(t, 1, "first")
}

func TestTheWrappingKeyRotatesWithoutAGap(t *testing.T) {
	d := new(vaulttest.Rows)
	before := process(d, wrapping(t, "a"))
	before.put(t, 1, "first")
	before.put(t, 2, "second")

	// Every process knows the next key before the first one wraps with it.
	knows := process(d, wrapping(t, "a", "b"))
	knows.put(t, 3, "third")
	after := process(d, wrapping(t, "b", "a"))
	after.holds(t, 2, "second")
	after.put(t, 4, "fourth")
	knows.holds(t, 4, "fourth")
	after.holds(t, 3, "third")

	// Until the rows are sealed anew, the old key is needed.
	only := process(d, wrapping(t, "b"))
	_, err := only.Get(t.Context(), name, 3)
	vaulttest.Unclear(t, "Get without the old key", err)
	for _, want := range []bool{true, false} {
		page, err := after.ListUnmoved(t.Context(), "")
		if len(page.Secrets) == 1 != want || err != nil {
			t.Errorf("ListUnmoved has %d secrets, %v, want the one: %v", len(page.Secrets), err, want)
		}
		moved, err := after.Move(t.Context(), name, 4)
		if moved != want || err != nil {
			t.Errorf("Move = %v, %v, want %v", moved, err, want)
		}
	}
	for generation, text := range map[int]string{2: "second", 3: "third", 4: "fourth"} {
		only.holds(t, generation, text)
		knows.holds(t, generation, text)
	}
	if err := only.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if moved, err := after.Move(t.Context(), name, 4); moved || err != nil {
		t.Errorf("Move of a deleted secret = %v, %v, want false", moved, err)
	}
}

// A program with rights on the table changes or moves what is in a row. Nothing of it opens.
func TestD5_NothingOfARowOpensElsewhere(t *testing.T) {
	const other = vault.SecretName("00000000000000000000000000000001")
	keyOf := func(name vault.SecretName) engine.Key {
		return engine.Key{PK: binding.Join(engine.SecretKind, string(name)), SK: engine.OnlyRow}
	}
	replaced := func(old, with string) func(own, others string) string {
		return func(own, _ string) string { return strings.Replace(own, old, with, 1) }
	}
	for what, change := range map[string]func(own, others string) string{
		"another's row":        func(_, others string) string { return others },
		"another generation":   replaced(`n":1`, `n":2`),
		"another owner":        replaced(`"5"`, `"6"`),
		"another wrapping key": replaced(`"wrappedBy":"`, `"wrappedBy":"0`),
		"another value":        replaced(`"value":"`, `"value":"AAAA`),
		"another data key":     replaced(`"wrapped":"`, `"wrapped":"AAAA`),
		"no generation":        func(string, string) string { return `{"generations":[]}` },
		"no JSON":              func(string, string) string { return `{"generations":1}` },
	} {
		t.Run(what, func(t *testing.T) {
			f := newFixture(t)
			f.put(t, 1, "owner:first")
			if err := f.Put(t.Context(), other, 1, secret.New("owner:another")); err != nil {
				t.Fatal(err)
			}
			own, _, err := f.rows.Get(t.Context(), keyOf(name))
			if err != nil {
				t.Fatal(err)
			}
			others, _, err := f.rows.Get(t.Context(), keyOf(other))
			if err != nil {
				t.Fatal(err)
			}
			before := own.Record
			own.Record = change(own.Record, others.Record)
			if own.Record == before {
				t.Fatal("nothing was changed, so the test proves nothing")
			}
			if err := f.rows.Put(t.Context(), own, engine.Condition{}); err != nil {
				t.Fatal(err)
			}
			generation := 1
			if what == "another generation" {
				generation = 2
			}
			_, err = f.Get(t.Context(), name, generation)
			vaulttest.Unclear(t, "Get", err)
		})
	}
}

func TestD1_TheTableHoldsNoValue(t *testing.T) {
	f := newFixture(t)
	f.put(t, 1, vaulttest.CanaryKey)
	row, _, err := f.rows.Get(t.Context(), engine.Key{
		PK: binding.Join(engine.SecretKind, string(name)), SK: engine.OnlyRow,
	})
	if err != nil || strings.Contains(row.Record, vaulttest.CanaryKey) {
		t.Errorf("the row shows the value, or %v", err)
	}
}
