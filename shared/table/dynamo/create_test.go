package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"bindery/shared/table"

	"bindery/shared/table/dynamo/dynamotest"
)

func TestCreateMakesTheTableOnceHoweverManyAsk(t *testing.T) {
	client := newClient(t, dynamotest.Start(t))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := Create(t.Context(), client, tableName); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	opened := New(client, tableName)
	a := table.Authorization{ID: "1", DueAt: base}
	if _, err := opened.SaveAuthorization(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	createTable(t, client)
	if _, err := opened.Authorization(t.Context(), "1"); err != nil {
		t.Errorf("after another Create: %v", err)
	}
	got, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{
		TableName: aws.String(tableName),
	})
	if err != nil {
		t.Fatal(err)
	}
	d := got.Table
	if paid := d.BillingModeSummary; paid == nil ||
		paid.BillingMode != types.BillingModePayPerRequest {
		t.Error("the table isn't paid for by the request")
	}
	if indexOf(d).Projection.ProjectionType != types.ProjectionTypeKeysOnly {
		t.Error("the index holds more than keys")
	}
}

func TestATableOfAnotherShapeIsRefused(t *testing.T) {
	client := newClient(t, dynamotest.Start(t))
	for i, c := range []struct {
		change func(in *dynamodb.CreateTableInput)
		why    string
	}{
		{func(in *dynamodb.CreateTableInput) {
			in.GlobalSecondaryIndexes = nil
			in.AttributeDefinitions = in.AttributeDefinitions[:2]
		}, `it has no index "due"`},
		{func(in *dynamodb.CreateTableInput) {
			in.GlobalSecondaryIndexes[0].IndexName = aws.String("others")
		}, `it has no index "due"`},
		{func(in *dynamodb.CreateTableInput) {
			in.KeySchema = in.KeySchema[:1]
			in.AttributeDefinitions = append(in.AttributeDefinitions[:1], in.AttributeDefinitions[2:]...)
		}, "its keys are pk HASH"},
		{func(in *dynamodb.CreateTableInput) {
			in.GlobalSecondaryIndexes[0].KeySchema = keys(dueShardAttribute, skAttribute)
			in.AttributeDefinitions = in.AttributeDefinitions[:3]
		}, `the keys of its index "due" are dueShard HASH, sk RANGE`},
		{func(in *dynamodb.CreateTableInput) {
			in.AttributeDefinitions[2].AttributeType = types.ScalarAttributeTypeS
		}, "dueShard isn't of type N"},
	} {
		name := fmt.Sprint("wrong-", i)
		in := description(name)
		c.change(in)
		if _, err := client.CreateTable(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		err := Create(t.Context(), client, name)
		if err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), name) {
			t.Errorf("got error %v, want one with the table's name and %q", err, c.why)
		}
	}
}

// making is a service that makes a table, slowly: each look shows the next state.
func making(t *testing.T, states ...string) (client *dynamodb.Client, looks func() int) {
	t.Helper()
	var mu sync.Mutex
	next := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".CreateTable") {
			_, _ = w.Write([]byte(`{}`))
			return
		}
		state := states[min(next, len(states)-1)]
		next++
		if state == "unknown" {
			refusing(400, "ResourceNotFoundException")(w, "", "")
			return
		}
		ofTable, ofIndex, _ := strings.Cut(state, " ")
		_ = json.NewEncoder(w).Encode(map[string]any{"Table": map[string]any{
			"TableStatus": ofTable, "AttributeDefinitions": attributes(),
			"KeySchema": keys(pkAttribute, skAttribute),
			"GlobalSecondaryIndexes": []any{map[string]any{
				"IndexName": dueIndex, "IndexStatus": ofIndex,
				"KeySchema": keys(dueShardAttribute, dueAtAttribute),
			}},
		}})
	}))
	t.Cleanup(server.Close)
	return newClient(t, server.URL), func() int {
		mu.Lock()
		defer mu.Unlock()
		return next
	}
}

func TestCreateWaitsUntilTableAndIndexAreReady(t *testing.T) {
	client, looks := making(t, "unknown", "CREATING CREATING", "ACTIVE CREATING", "ACTIVE ACTIVE")
	if err := Create(t.Context(), client, tableName); err != nil || looks() != 4 {
		t.Errorf("got error %v after %d looks, want none after 4", err, looks())
	}
}

func TestCreateEndsWithItsContextAndWithAFailure(t *testing.T) {
	client, _ := making(t, "CREATING CREATING")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Create(ctx, client, tableName); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	p := startProxy(t)
	p.answering(refusing(400, "AccessDeniedException"))
	if err := Create(t.Context(), newClient(t, p.origin), tableName); err == nil {
		t.Error("without the right to: no error")
	}
	p.answering(func(w http.ResponseWriter, operation, body string) bool {
		return operation == "DescribeTable" && refusing(400, "AccessDeniedException")(w, "", "")
	})
	if err := Create(t.Context(), newClient(t, p.origin), tableName); err == nil {
		t.Error("without the right to look: no error")
	}
}
