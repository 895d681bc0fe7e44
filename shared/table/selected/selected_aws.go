//go:build aws

package selected

import (
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/alibabacloud"
	"bindery/shared/awscloud"
	"bindery/shared/binding/ledger"
	"bindery/shared/config"
	"bindery/shared/table/dynamo"
	"bindery/shared/table/engine"
)

// Open takes the table BINDERY_TABLE of DynamoDB, in the region and with the credentials of the
// environment; see [awscloud.Config]. It makes no call, so that a missing table shows at the first
// call. Closing it does nothing.
func Open(
	c config.Config, _ *alibabacloud.InvocationCredentials,
) (ledger.Table, io.Closer, error) {
	client, err := client()
	if err != nil {
		return nil, nil, err
	}
	return dynamo.New(client, c.Table), nothing{}, nil
}

// SecretRows takes the table of sealed secrets, BINDERY_VAULT_TABLE, as Open does the other.
func SecretRows(c config.Config, _ *alibabacloud.InvocationCredentials) (engine.Driver, error) {
	client, err := client()
	if err != nil {
		return nil, err
	}
	return dynamo.NewDriver(client, c.VaultTable), nil
}

func client() (*dynamodb.Client, error) {
	cloud, err := awscloud.Config(awscloud.DynamoDB, os.Getenv)
	if err != nil {
		return nil, err
	}
	return dynamodb.NewFromConfig(cloud), nil
}

// nothing has nothing to close.
type nothing struct{}

func (nothing) Close() error { return nil }
