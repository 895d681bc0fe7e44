package api

import (
	"context"
	"net/http"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
)

// Credential is the function that hands a build what its git client needs.
func Credential(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/instances/{region}/{instance}/bindings/{platform}/credential",
		a.signedIn(ScopeCredential, a.credential))
}

// The life that a build may ask for. No platform gives more than a day.
const (
	shortestLife = 0
	longestLife  = 24 * 60 * 60 // seconds
)

type credentialForJSON struct {
	MinimumLifeSeconds *int `json:"minimumLifeSeconds"`
}

// credentialJSON is the one reply that holds a token.
type credentialJSON struct {
	Username  string     `json:"username"`
	Token     string     `json:"token"`
	ExpiresAt *time.Time `json:"expiresAt"`
}

func (a *API) credential(ctx context.Context, c call) (answer, error) {
	if wait, ok := a.credentials.Allow(who(c)); !ok {
		return answer{}, problem.New(problem.TooManyCalls).After(wait)
	}
	i, err := a.instance(ctx, c)
	if err != nil {
		return answer{}, err
	}
	name, err := a.platform(c)
	if err != nil {
		return answer{}, err
	}
	life, err := minimumLife(c)
	if err != nil {
		return answer{}, err
	}
	given, err := a.bindings.Credential(ctx, binding.CredentialRequest{
		By: c.user(), Instance: i, Platform: name, MinimumLife: life,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{body: credentialJSON{
		Username:  given.Username,
		Token:     given.Token.Reveal(), // here it leaves, to whom it is for
		ExpiresAt: when(given.ExpiresAt),
	}}, nil
}

// minimumLife reads the body, which may be empty.
func minimumLife(c call) (time.Duration, error) {
	if c.ContentLength == 0 {
		return binding.MinimumLife, nil
	}
	var body credentialForJSON
	if err := decode(c, &body); err != nil {
		return 0, err
	}
	if body.MinimumLifeSeconds == nil {
		return binding.MinimumLife, nil
	}
	seconds := *body.MinimumLifeSeconds
	if seconds < shortestLife || seconds > longestLife {
		return 0, malformed("minimumLifeSeconds", "")
	}
	return time.Duration(seconds) * time.Second, nil
}
