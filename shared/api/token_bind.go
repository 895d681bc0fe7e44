package api

import (
	"context"
	"errors"
	"net/http"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// TokenBind is the function that binds by a personal access token.
func TokenBind(a *API, mux *http.ServeMux) {
	mux.HandleFunc("PUT /v1/instances/{region}/{instance}/bindings/{platform}",
		a.signedIn(ScopeWrite, a.bindToken))
}

// The longest texts, in bytes, that anything real has.
const (
	maxAddress  = 2048
	maxUsername = 255
	maxToken    = 8192
)

type tokenBindJSON struct {
	Address      string      `json:"address"`
	Username     string      `json:"username"`
	Token        secret.Text `json:"token"`
	Organization string      `json:"organization"`
	ExpiresAt    string      `json:"expiresAt"`
}

func (b tokenBindJSON) submission() (provider.Submission, error) {
	expiresAt, timeErr := instant("expiresAt", b.ExpiresAt)
	err := errors.Join(
		short("address", b.Address, maxAddress),
		short("username", b.Username, maxUsername),
		short("token", b.Token.Reveal(), maxToken),
		short("organization", b.Organization, maxUsername),
		timeErr,
	)
	return provider.Submission{
		Address:      b.Address,
		Username:     b.Username,
		Token:        b.Token,
		Organization: b.Organization,
		ExpiresAt:    expiresAt,
	}, err
}

func (a *API) bindToken(ctx context.Context, c call) (answer, error) {
	if wait, ok := a.binds.Allow(who(c)); !ok {
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
	revoke, err := flag(c, "revoke")
	if err != nil {
		return answer{}, err
	}
	var body tokenBindJSON
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	submission, err := body.submission()
	if err != nil {
		return answer{}, err
	}
	view, err := a.bindings.BindToken(ctx, binding.TokenBindRequest{
		By:         c.user(),
		Instance:   i,
		Platform:   name,
		Submission: submission,
		Match:      ifMatch(c),
		Revoke:     revoke,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{body: bindingOf(view, language(c.Request)), etag: view.Record.Revision}, nil
}

// who names a caller for the caps.
func who(c call) string { return c.by.Issuer + "\x00" + c.by.Subject + "\x00" + c.by.Account }
