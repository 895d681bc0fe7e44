// Oauthstart starts an authorization and redirects the browser to its platform.
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
	openers := api.Openers{Table: tables.Open, Apps: vaults.Apps}
	a, _, err := openers.Open(c, trigger.Logger("oauthstart"))
	if err != nil {
		return trigger.Function{}, err
	}
	return trigger.Function{HTTP: a.Handler(api.OAuthStart)}, nil
}
