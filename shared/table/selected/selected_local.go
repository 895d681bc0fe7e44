//go:build !aws && !alibaba

package selected

import (
	"io"
	"path/filepath"

	"bindery/shared/alibabacloud"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/table/bolt"
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
