package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bindery/shared/secret"
)

// ParseApps reads the operator's OAuth apps: {platform: {clientId, clientSecrets: [newest, …]}}.
// Its errors quote nothing of the text but the name of an unknown platform.
func (s *Set) ParseApps(text secret.Text) (map[string]App, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text.Reveal())))
	dec.DisallowUnknownFields()
	var apps map[string]App
	if err := dec.Decode(&apps); err != nil {
		return nil, errors.New("the OAuth apps are not JSON of the form " +
			`{"github": {"clientId": "…", "clientSecrets": ["…"]}}`)
	}
	byOAuth := s.oauthNames()
	for name, app := range apps {
		if !slices.Contains(byOAuth, name) {
			return nil, fmt.Errorf("the OAuth apps have one for %.20q: only %s are bound by OAuth",
				name, strings.Join(byOAuth, ", "))
		}
		if app.ClientID == "" || len(app.ClientSecrets) == 0 ||
			slices.ContainsFunc(app.ClientSecrets, secret.Text.Empty) {
			return nil, fmt.Errorf("the OAuth app of %s lacks its clientId or a client secret", name)
		}
	}
	return apps, nil
}

// oauthNames returns the names of the platforms that are bound by OAuth.
func (s *Set) oauthNames() []string {
	var names []string
	for i, p := range s.platforms {
		if _, ok := p.(OAuthPlatform); ok {
			names = append(names, s.names[i])
		}
	}
	return names
}
