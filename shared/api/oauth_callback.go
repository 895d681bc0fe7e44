package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// OAuthCallback is the function that browsers come back to from the platforms: one path each.
func OAuthCallback(a *API, mux *http.ServeMux) {
	mux.HandleFunc("GET "+callbackPath+"{platform}", a.arrive)
}

const callbackPath = "/v1/callback/"

// arrive ends on the console whatever happens: nobody is left on raw JSON.
func (a *API) arrive(w http.ResponseWriter, r *http.Request) {
	// A browser that goes away must not end the exchange halfway: nobody would have the token, and
	// nobody could revoke it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), whole)
	defer cancel()
	in, err := callbackOf(r)
	if err != nil || r.Method != http.MethodGet {
		a.toConsole(w, r, binding.CallbackResult{}, err)
		return
	}
	to, err := a.bindings.HandleCallback(ctx, in)
	if to.Cookie {
		clearTicket(w, in.Handshake)
	}
	a.toConsole(w, r, to, err)
}

func callbackOf(r *http.Request) (binding.CallbackRequest, error) {
	c := call{Request: r}
	state, stateErr := parameter(c, "state")
	code, codeErr := parameter(c, "code")
	failure, failureErr := parameter(c, "error")
	issuer, issuerErr := parameter(c, "iss")
	in := binding.CallbackRequest{
		Platform: r.PathValue("platform"),
		State:    secret.New(state),
		Code:     secret.New(code),
		Error:    failure,
		Issuer:   issuer,
	}
	in.Handshake = ticketFor(r, in.State)
	return in, errors.Join(stateErr, codeErr, failureErr, issuerErr)
}

// toConsole sends the browser back to the console. What it carries is in the fragment, which
// reaches no server and no Referer.
func (a *API) toConsole(
	w http.ResponseWriter, r *http.Request, to binding.CallbackResult, err error,
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
	path := to.ReturnTo
	if path == "" {
		path = "/"
	}
	redirect(w, http.StatusSeeOther, a.console+path+"#"+fragment.Encode())
}

func redirect(w http.ResponseWriter, status int, to string) {
	h := w.Header()
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
}
