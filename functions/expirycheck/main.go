// Expirycheck checks the records that are due on a schedule, and a binding when its user asks.
package main

import (
	"context"

	"bindery/shared/api"
	"bindery/shared/config"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
	vaults "bindery/shared/vault/selected"
)

func main() { trigger.Run(build) }

func build(_ context.Context, c config.Config) (trigger.Function, error) {
	openers := api.Openers{Table: tables.Open, Vault: vaults.Open, Apps: vaults.Apps}
	a, _, err := openers.Open(c, trigger.Logger("expirycheck"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.ExpiryCheck), Schedule: a.Task}, nil
}
