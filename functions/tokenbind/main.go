// Tokenbind binds by a personal access token.
package main

import (
	"bindery/shared/api"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
	vaults "bindery/shared/vault/selected"
)

func main() { trigger.Run(build) }

func build(p trigger.Params) (trigger.Function, error) {
	openers := api.Openers{Table: tables.Open, Vault: vaults.Open}
	a, _, err := openers.Open(p.Config, p.Credentials, trigger.Logger("tokenbind"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.TokenBind), Prefetch: a.Prefetch}, nil
}
