// Expirycheck checks what has come due on a schedule, and one binding when its user asks.
package main

import (
	"context"
	"time"

	"bindery/shared/api"
	"bindery/shared/config"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
	vaults "bindery/shared/vault/selected"
)

func main() { trigger.Run(build) }

func build(_ context.Context, c config.Config) (trigger.Function, error) {
	table, _, err := tables.Open(c)
	if err != nil {
		return trigger.Function{}, err
	}
	vault, err := vaults.Open(c)
	if err != nil {
		return trigger.Function{}, err
	}
	log := trigger.Logger("expirycheck")
	a, err := api.Open(c, api.Dependencies{
		Table: table, Vault: vault, Apps: vaults.Apps(c), Now: time.Now, Log: log,
	})
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.ExpiryCheck), Schedule: a.Task}, nil
}
