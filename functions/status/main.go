// Status lists platforms, instances, bindings and their history.
package main

import (
	"bindery/shared/api"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
)

func main() { trigger.Run(build) }

func build(p trigger.Params) (trigger.Function, error) {
	openers := api.Openers{Table: tables.Open}
	a, _, err := openers.Open(p.Config, p.Credentials, trigger.Logger("status"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.Status), Prefetch: a.Prefetch}, nil
}
