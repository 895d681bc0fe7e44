package ledger_test

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bindery/shared/binding/ledger"
	"bindery/shared/table/bolt"
	"bindery/shared/table/tabletest"
)

// invoke calls the method by its name, with zero values, and returns the error.
func invoke(t *testing.T, on ledger.Table, name string) error {
	t.Helper()
	method := reflect.ValueOf(on).MethodByName(name)
	in := []reflect.Value{reflect.ValueOf(t.Context())}
	for i := 1; i < method.Type().NumIn(); i++ {
		in = append(in, reflect.Zero(method.Type().In(i)))
	}
	out := method.Call(in)
	for _, result := range out[:len(out)-1] {
		if !result.IsZero() {
			t.Errorf("%s failed and yet returned %v", name, result)
		}
	}
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

func TestHookIsCalledAroundEveryCallByItsName(t *testing.T) {
	errInner := errors.New("the inner table's error")
	methods := reflect.TypeFor[ledger.Table]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		var log []string
		// The inner table reports its calls by a hook too, and so needs no table behind it.
		inner := ledger.WithBeforeCall(nil, func(_ context.Context, call string) (func(), error) {
			log = append(log, "call "+call)
			return nil, errInner
		})
		outer := ledger.WithBeforeCall(inner, func(_ context.Context, call string) (func(), error) {
			log = append(log, "before "+call)
			return func() { log = append(log, "after "+call) }, nil
		})
		if err := invoke(t, outer, name); !errors.Is(err, errInner) {
			t.Errorf("%s: got error %v, want the inner table's", name, err)
		}
		call := strings.TrimSuffix(name, "Unless") // the same call to the store
		want := []string{"before " + call, "call " + call, "after " + call}
		if !slices.Equal(log, want) {
			t.Errorf("%s: got %q, want %q", name, log, want)
		}
	}
}

func TestHooksErrorPreventsTheCall(t *testing.T) {
	errHook := errors.New("the hook's error")
	methods := reflect.TypeFor[ledger.Table]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		made := false
		inner := ledger.WithBeforeCall(nil, func(context.Context, string) (func(), error) {
			made = true
			return nil, errors.New("the inner table's error")
		})
		outer := ledger.WithBeforeCall(inner, func(context.Context, string) (func(), error) {
			return func() { t.Errorf("%s: the end was reported, but nothing began", name) }, errHook
		})
		if err := invoke(t, outer, name); !errors.Is(err, errHook) {
			t.Errorf("%s: got error %v, want the hook's", name, err)
		}
		if made {
			t.Errorf("%s: the call was made nevertheless", name)
		}
	}
}

func TestHookGetsTheCallsContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "mine")
	var got any
	hooked := ledger.WithBeforeCall(nil, func(ctx context.Context, _ string) (func(), error) {
		got = ctx.Value(key{})
		return nil, errors.New("enough")
	})
	_, _ = hooked.Authorization(ctx, "1")
	if got != "mine" {
		t.Errorf("got value %v of the context, want the caller's", got)
	}
}

// A table behind a hook is the same table: every argument and result passes. The suite's tests
// share one table here, and so must tolerate each other's rows.
func TestConformanceBehindAHook(t *testing.T) {
	opened, err := bolt.Open(filepath.Join(t.TempDir(), "bindery.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	hooked := ledger.WithBeforeCall(opened, func(context.Context, string) (func(), error) {
		return nil, nil
	})
	tabletest.Run(t, func(*testing.T) ledger.Table { return hooked })
}
