package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"bindery/shared/api"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// app is an OAuth app as BINDERY_OAUTH_APPS has it. The sandbox's secrets are fake and no secret.
type app struct {
	ID      string   `json:"clientId"`
	Secrets []string `json:"clientSecrets"`
}

// apps adds the sandbox's OAuth apps to the operator's own, and registers this laptop's callback
// addresses with them. A platform that the operator has an app for keeps that one.
func (l laptop) apps(own api.Apps, box *sandbox.Sandbox) api.Apps {
	pretend := map[string]app{}
	for platform, registered := range box.Apps() {
		registered.RedirectURI = l.setting("BINDERY_PUBLIC_URL") + "/v1/callback/" + string(platform)
		box.AddApp(platform, registered)
		fake := app{ID: registered.ClientID}
		for _, s := range registered.ClientSecrets {
			fake.Secrets = append(fake.Secrets, s.Reveal())
		}
		pretend[string(platform)] = fake
	}
	return func(ctx context.Context) (secret.Text, error) {
		all := map[string]any{}
		for platform, fake := range pretend {
			all[platform] = fake
		}
		if own != nil {
			text, err := own(ctx)
			if err != nil {
				return secret.Text{}, err
			}
			var real map[string]any
			if err := json.Unmarshal([]byte(text.Reveal()), &real); err != nil {
				return secret.Text{}, fmt.Errorf("the OAuth apps are not JSON")
			}
			maps.Copy(all, real)
		}
		text, err := json.Marshal(all)
		return secret.New(string(text)), err
	}
}
