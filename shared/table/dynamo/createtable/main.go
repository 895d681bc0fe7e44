// Createtable creates the table in DynamoDB, for trying things out: a deployment's template creates
// its table, with backups. The table's name is the one argument; region, credentials and endpoint
// are in the environment, as the functions have them.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/awscloud"
	"bindery/shared/table/dynamo"
)

// patience is how long the service may take; some 10 seconds are usual.
const patience = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, lookup func(string) string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("name the table: createtable NAME")
	}
	cloud, err := awscloud.Config(awscloud.DynamoDB, lookup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := dynamo.Create(ctx, dynamodb.NewFromConfig(cloud), args[0]); err != nil {
		return err
	}
	fmt.Fprintf(out, "The table %s is there.\n", args[0])
	return nil
}
