//go:build !aws && !alibaba

package selected

import (
	"io"
	"path/filepath"

	"bindery/shared/alibabacloud"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/table/bolt"
	"bindery/shared/table/engine"
)

// Open opens the file bindery.db in the data folder. Only one process at a time can; close it
// when the last call has ended.
func Open(
	c config.Config, _ *alibabacloud.InvocationCredentials,
) (ledger.Table, io.Closer, error) {
	opened, err := bolt.Open(filepath.Join(c.Data, "bindery.db"))
	if err != nil {
		return nil, nil, err
	}
	return opened, opened, nil
}

// SecretRows opens the table of sealed secrets, which is the file vault.db in the data folder.
func SecretRows(c config.Config, _ *alibabacloud.InvocationCredentials) (engine.Driver, error) {
	opened, err := bolt.OpenDriver(filepath.Join(c.Data, "vault.db"))
	if err != nil {
		return nil, err // not a nil pointer in an interface, which isn't nil
	}
	return opened, nil
}
