// Credential hands a build the credential for its git client.
package main

import (
	"bindery/shared/api"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
	vaults "bindery/shared/vault/selected"
)

func main() { trigger.Run(build) }

func build(p trigger.Params) (trigger.Function, error) {
	openers := api.Openers{Table: tables.Open, Vault: vaults.Open, Apps: vaults.Apps}
	a, _, err := openers.Open(p.Config, p.Credentials, trigger.Logger("credential"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.Credential), Prefetch: a.Prefetch}, nil
}
