//go:build alibaba

package selected

import (
	"errors"
	"io"
	"os"

	"bindery/shared/alibabacloud"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/table/engine"
	"bindery/shared/table/tablestore"
)

// Open takes the table BINDERY_TABLE of the Tablestore instance BINDERY_TABLESTORE_INSTANCE in the
// environment's region, with the credentials of the newest invocation or of the environment; see
// [alibabacloud.Read]. It makes no call, so that a missing table shows at the first call. Closing
// it does nothing.
func Open(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (ledger.Table, io.Closer, error) {
	client, err := client(c, credentials)
	if err != nil {
		return nil, nil, err
	}
	return tablestore.New(client, c.Table), nothing{}, nil
}

// SecretRows takes the table of sealed secrets, BINDERY_VAULT_TABLE, as Open does the other.
func SecretRows(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (engine.Driver, error) {
	client, err := client(c, credentials)
	if err != nil {
		return nil, err
	}
	return tablestore.NewDriver(client, c.VaultTable), nil
}

func client(
	c config.Config, credentials *alibabacloud.InvocationCredentials,
) (*tablestore.Client, error) {
	var missing error
	if c.Alibaba.TablestoreInstance == "" {
		missing = errors.New("BINDERY_TABLESTORE_INSTANCE is not set")
	}
	environment, err := alibabacloud.Read(os.Getenv, credentials)
	if err := errors.Join(missing, err); err != nil {
		return nil, err
	}
	return tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: c.Alibaba.TablestoreInstance,
		Endpoint: c.Alibaba.TablestoreURL,
	})
}

// nothing has nothing to close.
type nothing struct{}

func (nothing) Close() error { return nil }
