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

// app is an OAuth app in the form of BINDERY_OAUTH_APPS. It holds the client secrets of the
// sandbox, which are fake and may be printed.
type app struct {
	ID      string   `json:"clientId"`
	Secrets []string `json:"clientSecrets"`
}

// apps adds the sandbox's OAuth apps to the operator's own, and registers the laptop's callback
// addresses with the sandbox. The operator's app of a platform goes before the sandbox's.
func (l laptop) apps(own api.Apps, box *sandbox.Sandbox) api.Apps {
	sandboxed := map[string]app{}
	for platform, registered := range box.Apps() {
		registered.RedirectURI = l.setting("BINDERY_PUBLIC_URL") + "/v1/callback/" + string(platform)
		box.AddApp(platform, registered)
		fake := app{ID: registered.ClientID}
		for _, s := range registered.ClientSecrets {
			fake.Secrets = append(fake.Secrets, s.Reveal())
		}
		sandboxed[string(platform)] = fake
	}
	return func(ctx context.Context) (secret.Text, error) {
		all := map[string]any{}
		for platform, fake := range sandboxed {
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
