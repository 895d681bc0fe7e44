package engine

import (
	"context"
	"errors"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// rowUnder is a store that has one row, under the key that is asked for.
type rowUnder struct {
	Driver
	row Row
}

func (d rowUnder) Get(_ context.Context, key Key) (Row, bool, error) {
	d.row.Key = key
	return d.row, true, nil
}

// TestB15_ARowHoldsNoRecordOfAnotherKey: a row under the thief's key that holds a copy of another
// account's record is refused, because its reader would act for that account.
func TestB15_ARowHoldsNoRecordOfAnotherKey(t *testing.T) {
	victim := binding.Key{Account: "victim", Region: "r", Instance: "i", Platform: "github"}
	thief := binding.Key{Account: "thief", Region: "r", Instance: "i", Platform: "github"}
	row, err := bindings().encode(binding.Record{Key: victim})
	if err != nil {
		t.Fatal(err)
	}
	rows := New("a store", rowUnder{row: row})
	if _, err := rows.Binding(t.Context(), victim); err != nil {
		t.Errorf("its own record: %v", err)
	}
	if _, err := rows.Binding(t.Context(), thief); !errors.Is(err, table.ErrMisplaced) {
		t.Errorf("another's record: got %v, want %v", err, table.ErrMisplaced)
	}
	if row, err = authorizations().encode(binding.Authorization{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	rows = New("a store", rowUnder{row: row})
	if _, err := rows.Authorization(t.Context(), "two"); !errors.Is(err, table.ErrMisplaced) {
		t.Errorf("another's attempt: got %v, want %v", err, table.ErrMisplaced)
	}
}
