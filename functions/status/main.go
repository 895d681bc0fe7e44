// Status lists platforms, instances, bindings and their history.
package main

import (
	"context"
	"time"

	"bindery/shared/api"
	"bindery/shared/config"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
)

func main() { trigger.Run(build) }

func build(_ context.Context, c config.Config) (trigger.Function, error) {
	table, _, err := tables.Open(c)
	if err != nil {
		return trigger.Function{}, err
	}
	log := trigger.Logger("status")
	a, err := api.Open(c, api.Dependencies{Table: table, Now: time.Now, Log: log})
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.Status)}, nil
}
