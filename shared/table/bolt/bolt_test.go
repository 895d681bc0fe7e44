package bolt

import (
	"path/filepath"
	"testing"

	"bindery/shared/binding/ledger"
	"bindery/shared/table/tabletest"
)

func open(t *testing.T) *Table {
	t.Helper()
	opened, err := Open(filepath.Join(t.TempDir(), "bindery.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func TestConformance(t *testing.T) {
	tabletest.Run(t, func(t *testing.T) ledger.Table { return open(t) })
}
