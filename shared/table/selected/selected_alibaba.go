//go:build alibaba

package selected

import (
	"errors"
	"io"
	"os"

	"bindery/shared/alibabacloud"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/table/tablestore"
)

// Open takes the table BINDERY_TABLE of the Tablestore instance BINDERY_TABLESTORE_INSTANCE in the
// environment's region, with the credentials of the newest invocation or of the environment; see
// [alibabacloud.Read]. It makes no call, so that a missing table shows at the first call. Closing
// it does nothing.
func Open(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (ledger.Table, io.Closer, error) {
	var missing error
	if c.Alibaba.TablestoreInstance == "" {
		missing = errors.New("BINDERY_TABLESTORE_INSTANCE is not set")
	}
	environment, err := alibabacloud.Read(os.Getenv, credentials)
	if err := errors.Join(missing, err); err != nil {
		return nil, nil, err
	}
	client, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: c.Alibaba.TablestoreInstance,
		Endpoint: c.Alibaba.TablestoreURL,
	})
	if err != nil {
		return nil, nil, err
	}
	return tablestore.New(client, c.Table), nothing{}, nil
}

// nothing has nothing to close.
type nothing struct{}

func (nothing) Close() error { return nil }
