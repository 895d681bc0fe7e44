package api

import (
	"context"
	"net/http"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/consent"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// OAuthConfirm adds the routes that show an authorization and confirm it, which makes the binding.
func OAuthConfirm(a *API, mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/authorizations/{id}",
		a.signedIn(ScopeWrite, limited(a.newBindLimiter(), a.authorization)))
	mux.HandleFunc("POST /v1/authorizations/{id}/confirm",
		a.signedIn(ScopeWrite, limited(a.newBindLimiter(), a.confirm)))
}

type authorizationJSON struct {
	ID        string           `json:"id"`
	Platform  string           `json:"platform"`
	Stage     string           `json:"stage"`
	Instance  *instanceRefJSON `json:"instance"`
	ReturnTo  *string          `json:"returnTo"`
	Identity  *identityJSON    `json:"identity,omitempty"`
	ExpiresAt time.Time        `json:"expiresAt"`
	Problem   *problem.Details `json:"problem"`
}

func (a *API) authorization(ctx context.Context, c call) (answer, error) {
	code := secret.New(c.Header.Get("Bindery-Confirmation-Code"))
	found, err := a.consent.Authorization(ctx, c.user(), c.PathValue("id"), code)
	if err != nil {
		return answer{}, err
	}
	if found.Instance != "" && !c.by.Sees(found.Region, found.Instance) {
		return answer{}, problem.New(problem.AuthorizationUnknown)
	}
	return answer{body: authorizationOf(found, c.language())}, nil
}

func authorizationOf(found binding.Authorization, lang problem.Language) authorizationJSON {
	out := authorizationJSON{
		ID:        found.ID,
		Platform:  found.Platform,
		Stage:     string(found.Stage),
		ReturnTo:  text(found.ReturnTo),
		Identity:  identityOf(found.Identity),
		ExpiresAt: found.ExpiresAt,
	}
	if found.Instance != "" {
		out.Instance = &instanceRefJSON{Region: found.Region, ID: found.Instance}
	}
	if found.Problem != nil {
		p := found.Problem.DetailsIn(lang)
		out.Problem = &p
	}
	return out
}

type confirmJSON struct {
	Instance         instanceRefJSON `json:"instance"`
	ConfirmationCode secret.Text     `json:"confirmationCode"`
}

func (a *API) confirm(ctx context.Context, c call) (answer, error) {
	var body confirmJSON
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	match, err := condition(c)
	if err != nil {
		return answer{}, err
	}
	i, err := a.find(ctx, c, body.Instance.Region, body.Instance.ID)
	if err != nil {
		return answer{}, err
	}
	view, err := a.consent.Confirm(ctx, consent.ConfirmRequest{
		By:               c.user(),
		ID:               c.PathValue("id"),
		Instance:         i,
		ConfirmationCode: body.ConfirmationCode,
		Match:            match,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{body: a.bindingOf(view, c.language()), etag: view.Record.Revision}, nil
}
