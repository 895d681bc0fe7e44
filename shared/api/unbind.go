package api

import (
	"context"
	"net/http"

	"bindery/shared/binding/connect"
)

// Unbind adds the route that ends a binding.
func Unbind(a *API, mux *http.ServeMux) {
	mux.HandleFunc("DELETE /v1/instances/{region}/{instance}/bindings/{platform}",
		a.signedIn(ScopeWrite, limited(a.newBindLimiter(), a.unbind)))
}

type unboundJSON struct {
	Revoked   bool    `json:"revoked"`
	RevokeURL *string `json:"revokeUrl"`
	// WebhooksLeft are the webhooks that could not be removed from the platform.
	WebhooksLeft []remainingJSON `json:"webhooksLeft"`
}

type remainingJSON struct {
	Repository  string `json:"repository"` // its name
	WebhooksURL string `json:"webhooksUrl"`
}

func (a *API) unbind(ctx context.Context, c call) (answer, error) {
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
	out, err := a.connect.Unbind(ctx, connect.UnbindRequest{
		By:       c.user(),
		Instance: i,
		Platform: platform,
		Match:    match,
		Revoke:   revoke,
	})
	if err != nil {
		return answer{}, err
	}
	left := []remainingJSON{}
	for _, r := range out.Remaining {
		left = append(left, remainingJSON{r.Repository.Name, r.WebhooksURL})
	}
	return answer{body: unboundJSON{
		Revoked: out.Revoked, RevokeURL: text(out.RevokeURL), WebhooksLeft: left,
	}}, nil
}
