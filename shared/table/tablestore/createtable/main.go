// Createtable makes the table in Tablestore, with its index: Serverless Devs deploys functions and
// no table. The table's name is the one argument. The instance is BINDERY_TABLESTORE_INSTANCE, or
// at the origin BINDERY_TABLESTORE_URL; the region is FC_REGION, and the credentials are the
// ALIBABA_CLOUD_ variables, as the functions have them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/table/tablestore"
)

// patience is how long the service may take.
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
		return errors.New("name the table: createtable NAME")
	}
	instance := lookup("BINDERY_TABLESTORE_INSTANCE")
	var missing error
	if instance == "" {
		missing = errors.New("BINDERY_TABLESTORE_INSTANCE is not set")
	}
	environment, err := alibabacloud.Read(lookup, nil)
	if err := errors.Join(missing, err); err != nil {
		return err
	}
	client, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: instance,
		Endpoint: lookup("BINDERY_TABLESTORE_URL"),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := tablestore.Create(ctx, client, args[0]); err != nil {
		return err
	}
	fmt.Fprintf(out, "The table %s is there.\n", args[0])
	return nil
}
