// Console serves the console page.
package main

import (
	"errors"

	"bindery/shared/console"
	"bindery/shared/trigger"
)

func main() { trigger.Run(build) }

func build(p trigger.Params) (trigger.Function, error) {
	c := p.Config
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
