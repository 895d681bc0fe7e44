package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"bindery/shared/binding/consent"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// OAuthCallback adds the route to which the platforms redirect the browser, with one path for each
// platform.
func OAuthCallback(a *API, mux *http.ServeMux) {
	mux.HandleFunc("GET "+callbackPath+"{platform}", a.handleCallback)
}

const callbackPath = "/v1/callback/"

// handleCallback redirects to the console in every case, since the user must not end on raw JSON.
func (a *API) handleCallback(w http.ResponseWriter, r *http.Request) {
	// A browser that disconnects must not stop the exchange halfway: the platform would have issued
	// a token that Bindery neither has nor can revoke.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), requestTimeout)
	defer cancel()
	in, err := callbackOf(r)
	if err != nil || r.Method != http.MethodGet {
		a.toConsole(w, r, consent.CallbackResult{}, err)
		return
	}
	used := slotsOf(r)
	in.Shown = handshakes(used)
	to, err := a.consent.HandleCallback(ctx, in)
	if !to.Used.State.Empty() {
		clearHandshake(w, to.Used, used)
	}
	a.toConsole(w, r, to, err)
}

// callbackOf reads the parameters of a callback. It fails if they name no single attempt.
func callbackOf(r *http.Request) (consent.CallbackRequest, error) {
	c := call{Request: r}
	state, err := wordParameter(c, "state")
	code, codeErr := wordParameter(c, "code")
	failure, failureErr := wordParameter(c, "error")
	issuer, issuerErr := wordParameter(c, "iss")
	return consent.CallbackRequest{
		Platform:  r.PathValue("platform"),
		State:     secret.New(state),
		Code:      secret.New(code),
		Error:     failure,
		Issuer:    issuer,
		Malformed: errors.Join(codeErr, failureErr, issuerErr),
	}, err
}

// toConsole redirects the browser to the console's page, never to returnTo: a redirect from there
// to another origin would take the fragment along (RFC 9110, 10.2.2). The result is in the
// fragment, which is sent to no server and is not part of a Referer.
func (a *API) toConsole(
	w http.ResponseWriter, r *http.Request, to consent.CallbackResult, err error,
) {
	fragment := url.Values{}
	if to.ID != "" {
		fragment.Set("authorization", to.ID)
	}
	switch {
	case err != nil:
		p := problem.Of(err)
		a.logRefused(r, p, err)
		fragment.Set("problem", string(p.Code))
	case !to.ConfirmationCode.Empty():
		fragment.Set("confirmationCode", to.ConfirmationCode.Reveal())
	}
	redirect(w, http.StatusSeeOther, a.console+"/#"+fragment.Encode())
}

func redirect(w http.ResponseWriter, status int, to string) {
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
}
