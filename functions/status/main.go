// Status lists platforms, instances, bindings and their history.
package main

import (
	"context"

	"bindery/shared/api"
	"bindery/shared/config"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
)

func main() { trigger.Run(build) }

func build(_ context.Context, c config.Config) (trigger.Function, error) {
	openers := api.Openers{Table: tables.Open}
	a, _, err := openers.Open(c, trigger.Logger("status"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.Status)}, nil
}
