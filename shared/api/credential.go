package api

import (
	"context"
	"net/http"
	"time"

	"bindery/shared/binding/credential"
)

// Credential adds the route that hands a build the credential for its git client.
func Credential(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/instances/{region}/{instance}/bindings/{platform}/credential",
		a.signedIn(ScopeCredential, limited(a.credentialLimiter, a.credential)))
}

// maxMinimumLife is the longest life of a token that a build may ask for, in seconds. No platform
// issues a token for more than a day.
const maxMinimumLife = 24 * 60 * 60

type credentialRequestJSON struct {
	MinimumLifeSeconds *int `json:"minimumLifeSeconds"`
}

// credentialJSON is the only reply that holds a token.
type credentialJSON struct {
	Username  string     `json:"username"`
	Token     string     `json:"token"`
	ExpiresAt *time.Time `json:"expiresAt"`
}

func (a *API) credential(ctx context.Context, c call) (answer, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	life, err := minimumLife(c)
	if err != nil {
		return answer{}, err
	}
	given, err := a.credentials.Credential(ctx, credential.Request{
		By: c.user(), Instance: i, Platform: platform, MinimumLife: life,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{body: credentialJSON{
		Username:  given.Username,
		Token:     given.Token.Reveal(), // the caller has bindery.credential
		ExpiresAt: optionalTime(given.ExpiresAt),
	}}, nil
}

// minimumLife returns the minimum life that the body asks for. The body may be empty.
func minimumLife(c call) (time.Duration, error) {
	if c.ContentLength == 0 {
		return credential.MinimumLife, nil
	}
	var body credentialRequestJSON
	if err := decode(c, &body); err != nil {
		return 0, err
	}
	if body.MinimumLifeSeconds == nil {
		return credential.MinimumLife, nil
	}
	seconds := *body.MinimumLifeSeconds
	if seconds < 0 || seconds > maxMinimumLife {
		return 0, malformed("minimumLifeSeconds", "")
	}
	return time.Duration(seconds) * time.Second, nil
}
