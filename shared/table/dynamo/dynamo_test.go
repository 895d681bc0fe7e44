package dynamo

import (
	"testing"

	"bindery/shared/table"
	"bindery/shared/table/tabletest"
)

func TestConformance(t *testing.T) {
	client := newClient(t, startServer(t))
	createTable(t, client)
	opened := New(client, tableName)
	tabletest.Run(t, func(*testing.T) table.Table { return opened })
}
