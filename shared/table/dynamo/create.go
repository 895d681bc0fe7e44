package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/timing"
)

// The backoff between two looks at a table that is being made doubles from the first to the last.
const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 2 * time.Second
)

// Create makes the table with its index, paid for by the request and encrypted, and waits until
// both are ready, which takes the service some 10 seconds. A table of this name that has the right
// keys and index stays as it is and is no error, so that two may call this at once. Create waits
// for as long as the context lasts.
//
// A deployment makes its table by its template, which also says how it is backed up and what may
// delete it. Create is for tests and for trying things out.
func Create(ctx context.Context, client *dynamodb.Client, name string) error {
	return failed("create table "+name, create(ctx, client, name))
}

func create(ctx context.Context, client *dynamodb.Client, name string) error {
	_, err := client.CreateTable(ctx, description(name))
	var there *types.ResourceInUseException
	if err != nil && !errors.As(err, &there) {
		return err
	}
	for wait := firstBackoff; ; wait = min(2*wait, lastBackoff) {
		got, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		var notYet *types.ResourceNotFoundException
		switch {
		case errors.As(err, &notYet): // not all of the service knows a new table at once
		case err != nil:
			return err
		case ready(got.Table):
			return checkTable(got.Table)
		}
		if err := timing.Sleep(ctx, wait); err != nil {
			return fmt.Errorf("wait until it is ready: %w", err)
		}
	}
}

func description(name string) *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		SSESpecification:     &types.SSESpecification{Enabled: aws.Bool(true)},
		AttributeDefinitions: attributes(),
		KeySchema:            keys(pkAttribute, skAttribute),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(dueIndex),
			KeySchema:  keys(dueShardAttribute, dueAtAttribute),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	}
}

// attributes defines the attributes that are keys of the table or of its index.
func attributes() []types.AttributeDefinition {
	return []types.AttributeDefinition{
		{AttributeName: aws.String(pkAttribute), AttributeType: types.ScalarAttributeTypeS},
		{AttributeName: aws.String(skAttribute), AttributeType: types.ScalarAttributeTypeS},
		{AttributeName: aws.String(dueShardAttribute), AttributeType: types.ScalarAttributeTypeN},
		{AttributeName: aws.String(dueAtAttribute), AttributeType: types.ScalarAttributeTypeS},
	}
}

func keys(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &partition, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

// ready reports whether the table and its index take calls. A missing index is not waited for.
func ready(d *types.TableDescription) bool {
	index := indexOf(d)
	return d.TableStatus == types.TableStatusActive &&
		(index == nil || index.IndexStatus == types.IndexStatusActive)
}

func indexOf(d *types.TableDescription) *types.GlobalSecondaryIndexDescription {
	i := slices.IndexFunc(d.GlobalSecondaryIndexes,
		func(index types.GlobalSecondaryIndexDescription) bool {
			return aws.ToString(index.IndexName) == dueIndex
		})
	if i < 0 {
		return nil
	}
	return &d.GlobalSecondaryIndexes[i]
}

// checkTable returns an error for a table that this package can't use. It may have other attributes
// and indexes too.
func checkTable(d *types.TableDescription) error {
	const unusable = "a table of this name is there and can't be used: "
	index := indexOf(d)
	switch {
	case schema(d.KeySchema) != schema(keys(pkAttribute, skAttribute)):
		return fmt.Errorf(unusable+"its keys are %s", schema(d.KeySchema))
	case index == nil:
		return fmt.Errorf(unusable+"it has no index %q", dueIndex)
	case schema(index.KeySchema) != schema(keys(dueShardAttribute, dueAtAttribute)):
		return fmt.Errorf(unusable+"the keys of its index %q are %s", dueIndex, schema(index.KeySchema))
	}
	for _, want := range attributes() {
		if !slices.ContainsFunc(d.AttributeDefinitions, func(a types.AttributeDefinition) bool {
			return *a.AttributeName == *want.AttributeName && a.AttributeType == want.AttributeType
		}) {
			return fmt.Errorf(unusable+"%s isn't of type %s", *want.AttributeName, want.AttributeType)
		}
	}
	return nil
}

// schema writes keys for an error's text.
func schema(keys []types.KeySchemaElement) string {
	var list []string
	for _, k := range keys {
		list = append(list, fmt.Sprintf("%s %s", aws.ToString(k.AttributeName), k.KeyType))
	}
	return strings.Join(list, ", ")
}
