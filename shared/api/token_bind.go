package api

import (
	"context"
	"net/http"

	"bindery/shared/binding/connect"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// TokenBind adds the route that binds by a personal access token.
func TokenBind(a *API, mux *http.ServeMux) {
	mux.HandleFunc("PUT /v1/instances/{region}/{instance}/bindings/{platform}",
		a.signedIn(ScopeWrite, limited(a.bindLimiter, a.bindToken)))
}

type tokenBindJSON struct {
	Address      string      `json:"address"`
	Username     string      `json:"username"`
	Token        secret.Text `json:"token"`
	Organization string      `json:"organization"`
	ExpiresAt    string      `json:"expiresAt"`
}

func (b tokenBindJSON) submission() (provider.Submission, error) {
	expiresAt, err := parseTime("expiresAt", b.ExpiresAt)
	return provider.Submission{
		Address:      b.Address,
		Username:     b.Username,
		Token:        b.Token,
		Organization: b.Organization,
		ExpiresAt:    expiresAt,
	}, err
}

func (a *API) bindToken(ctx context.Context, c call) (answer, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	revoke, err := flag(c, "revoke")
	if err != nil {
		return answer{}, err
	}
	match, err := condition(c)
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
	view, err := a.connect.BindToken(ctx, connect.TokenBindRequest{
		By:         c.user(),
		Instance:   i,
		Platform:   platform,
		Submission: submission,
		Match:      match,
		Revoke:     revoke,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{body: a.bindingOf(view, c.language()), etag: view.Record.Revision}, nil
}
