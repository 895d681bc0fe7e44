package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/table/engine"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
	"bindery/shared/vault/vaulttest"
)

// opened opens a vault in rows. before is called before each call to them and to the key service.
func opened(t *testing.T, rows envelope.Store, before vault.Hook) *envelope.Vault {
	t.Helper()
	return envelope.New(envelope.Options{
		Store:   vaulttest.HookRows(rows, before),
		Wrapper: vaulttest.HookWrapper(wrapping(t, "a"), before),
		Owner:   func(secret.Text) string { return "" }, Now: time.Now,
	})
}

func unhooked(context.Context, string) (func(), error) { return nil, nil }

// Each call to the rows and to the key service fails once. The error tells neither an outcome nor
// the value, and the same call works later.
func TestD1_AFailureIsNoOutcomeAndShowsNoValue(t *testing.T) {
	value := secret.New(vaulttest.CanaryKey)
	for _, c := range vaulttest.Calls() {
		t.Run(c.Name, func(t *testing.T) {
			for n := 1; ; n++ {
				rows, left := new(vaulttest.Rows), n
				if c.Before > 0 { // by another process, so that the data key must be unwrapped
					err := opened(t, rows, unhooked).Put(t.Context(), name, c.Before, value)
					if err != nil {
						t.Fatal(err)
					}
				}
				v := opened(t, rows, func(context.Context, string) (func(), error) {
					if left--; left == 0 {
						return nil, errors.New("it failed")
					}
					return nil, nil
				})
				err := c.Do(t.Context(), v, value)
				if left > 0 {
					if err != nil || n == 1 {
						t.Errorf("without the failure of call %d = %v", n, err)
					}
					return
				}
				vaulttest.Unclear(t, c.Name, err)
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), vaulttest.CanaryKey) {
					t.Errorf("the failure of call %d shows the value", n)
				}
				if err := c.Do(t.Context(), v, value); err != nil {
					t.Errorf("after the failure of call %d = %v", n, err)
				}
			}
		})
	}
}

// repeating are rows whose client has repeated a write unasked after a lost reply, so that the
// condition no longer holds.
type repeating struct{ envelope.Store }

func (r repeating) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	return errors.Join(r.Store.Put(ctx, row, is), table.ErrConflict)
}

func TestAPutThatItsClientHasRepeatedIsNoConflict(t *testing.T) {
	rows := new(vaulttest.Rows)
	v := opened(t, repeating{rows}, unhooked)
	for generation := 1; generation <= 3; generation++ {
		value := secret.New(fmt.Sprint(generation))
		if err := v.Put(t.Context(), name, generation, value); err != nil {
			t.Errorf("Put(%d) = %v, want nil", generation, err)
		}
	}
	got, err := v.Get(t.Context(), name, 3)
	if err != nil || got.Reveal() != "3" {
		t.Errorf("Get(3) is another value, or %v", err)
	}
}
