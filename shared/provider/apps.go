package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"bindery/shared/secret"
)

// ParseApps reads the operator's OAuth apps: {platform: {clientId, clientSecrets: [newest, …]}}.
// Its errors quote nothing of the text.
func ParseApps(text secret.Text) (map[string]App, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text.Reveal())))
	dec.DisallowUnknownFields()
	var apps map[string]App
	if err := dec.Decode(&apps); err != nil {
		return nil, errors.New("the OAuth apps are not JSON of the form " +
			`{"github": {"clientId": "…", "clientSecrets": ["…"]}}`)
	}
	for name, app := range apps {
		if !slices.Contains([]string{Gitee, GitHub, Bitbucket}, name) {
			return nil, fmt.Errorf("the OAuth apps have one for %.20q: only gitee, github and "+
				"bitbucket are bound by OAuth", name)
		}
		empty := func(s secret.Text) bool { return s.Empty() }
		if app.ClientID == "" || len(app.ClientSecrets) == 0 ||
			slices.ContainsFunc(app.ClientSecrets, empty) {
			return nil, fmt.Errorf("the OAuth app of %s lacks its clientId or a client secret", name)
		}
	}
	return apps, nil
}
