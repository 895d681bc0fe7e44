// Oauthstart starts an authorization and redirects the browser to its platform.
package main

import (
	"bindery/shared/api"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
	vaults "bindery/shared/vault/selected"
)

func main() { trigger.Run(build) }

func build(p trigger.Params) (trigger.Function, error) {
	openers := api.Openers{Table: tables.Open, Apps: vaults.Apps}
	a, _, err := openers.Open(p.Config, p.Credentials, trigger.Logger("oauthstart"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.OAuthStart), Prefetch: a.Prefetch}, nil
}
