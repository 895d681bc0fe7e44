package dynamo

import (
	"testing"

	"bindery/shared/binding/ledger"
	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/table/tabletest"
)

func TestConformance(t *testing.T) {
	client := newClient(t, dynamotest.Start(t))
	createTable(t, client)
	opened := New(client, tableName)
	tabletest.Run(t, func(*testing.T) ledger.Table { return opened })
}
