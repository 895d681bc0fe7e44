package tablestore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// Create makes the table with its index, paid for by the request. A table of this name that has the
// right keys and index stays as it is and is no error, so that two may call this at once. It takes
// some seconds until a new table takes calls.
//
// A deployment by Serverless Devs makes no table: Create is for it, for tests, and for trying
// things out.
func Create(ctx context.Context, client *Client, name string) error {
	return failed("create table "+name, create(ctx, client, name))
}

func create(ctx context.Context, client *Client, name string) error {
	err := client.call(ctx, func(c *sdk.TableStoreClient) error {
		_, err := c.CreateTable(description(name))
		return err
	})
	if !hasCode(err, codeTableExists) {
		return err
	}
	var there *sdk.DescribeTableResponse
	err = client.call(ctx, func(c *sdk.TableStoreClient) (err error) {
		there, err = c.DescribeTable(&sdk.DescribeTableRequest{TableName: name})
		return err
	})
	if err != nil {
		return err
	}
	return checkTable(there, name)
}

func description(name string) *sdk.CreateTableRequest {
	meta := &sdk.TableMeta{TableName: name}
	meta.AddPrimaryKeyColumn(pkColumn, sdk.PrimaryKeyType_STRING)
	meta.AddPrimaryKeyColumn(skColumn, sdk.PrimaryKeyType_STRING)
	meta.AddDefinedColumn(dueShardColumn, sdk.DefinedColumn_INTEGER)
	meta.AddDefinedColumn(dueAtColumn, sdk.DefinedColumn_STRING)
	index := &sdk.IndexMeta{IndexName: name + dueIndex}
	index.SetAsGlobalIndex()
	index.AddPrimaryKeyColumn(dueShardColumn)
	index.AddPrimaryKeyColumn(dueAtColumn)
	return &sdk.CreateTableRequest{
		TableMeta:          meta,
		TableOption:        sdk.NewTableOption(-1, 1), // an index allows no more
		ReservedThroughput: &sdk.ReservedThroughput{},
		IndexMetas:         []*sdk.IndexMeta{index},
	}
}

// checkTable returns an error for a table that this package can't use. It may have other columns
// and indexes too.
func checkTable(there *sdk.DescribeTableResponse, name string) error {
	const unusable = "a table of this name is there and can't be used: "
	var keys []string
	for _, k := range there.TableMeta.SchemaEntry {
		if *k.Type != sdk.PrimaryKeyType_STRING {
			return fmt.Errorf(unusable+"its key %s isn't text", *k.Name)
		}
		keys = append(keys, *k.Name)
	}
	if !slices.Equal(keys, rowColumns()) {
		return fmt.Errorf(unusable+"its keys are %v", keys)
	}
	i := slices.IndexFunc(there.IndexMetas, func(m *sdk.IndexMeta) bool {
		return m.IndexName == name+dueIndex
	})
	if i < 0 {
		return fmt.Errorf(unusable+"it has no index %q", name+dueIndex)
	}
	// The service adds the table's own keys behind the index's.
	want := []string{dueShardColumn, dueAtColumn}
	if got := there.IndexMetas[i].Primarykey; len(got) < 2 || !slices.Equal(got[:2], want) {
		return fmt.Errorf(unusable+"the keys of its index are %v", got)
	}
	if there.TableOption.TimeToAlive != -1 {
		return errors.New(unusable + "its rows have a time to live")
	}
	return nil
}
