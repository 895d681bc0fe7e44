//go:build !aws && !alibaba

package selected_test

import (
	"os"
	"path/filepath"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/config"
	"bindery/shared/table/selected"
)

func TestWithoutATagItIsAFileInTheDataFolder(t *testing.T) {
	c := config.Config{Data: filepath.Join(t.TempDir(), "data")}
	opened, closer, err := selected.Open(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.SaveAuthorization(t.Context(), binding.Authorization{ID: "1"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "bindery.db")); err != nil {
		t.Error(err)
	}
	if _, _, err := selected.Open(c, nil); err == nil {
		t.Error("opened twice at once")
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
}
