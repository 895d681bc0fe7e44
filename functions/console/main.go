// Console serves the console page.
package main

import (
	"context"
	"errors"

	"bindery/shared/config"
	"bindery/shared/console"
	"bindery/shared/trigger"
)

func main() { trigger.Run(build) }

func build(_ context.Context, c config.Config) (trigger.Function, error) {
	if c.OIDC.ClientID == "" {
		return trigger.Function{}, errors.New("BINDERY_OIDC_CLIENT_ID is not set: " +
			"the console needs it to sign people in")
	}
	return trigger.Function{HTTP: console.Handler(console.Options{
		PublicURL:  c.PublicURL,
		ConsoleURL: c.ConsoleURL,
		Issuer:     c.OIDC.Issuer,
		ClientID:   c.OIDC.ClientID,
		Audience:   c.OIDC.Audience,
	})}, nil
}
