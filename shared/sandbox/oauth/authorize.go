package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"bindery/shared/sandbox/platform"
)

// request is an authorization request (RFC 6749, 4.1.1).
type request struct {
	app           App
	redirectURI   string // as sent, "" if the request has none
	state         string
	scopes        []string
	challenge     string
	offline       bool // asks for a token that expires
	selectAccount bool
}

// requestError is an authorization request that is refused, on a page or by a redirect.
type requestError struct {
	status   int
	text     platform.Words
	redirect string // "": show the page
}

// Error returns the text without the address, which may hold a state.
func (e *requestError) Error() string { return "sandbox: " + e.text.English }

// readRequest reads and checks an authorization request of a user.
func (p *Platform) readRequest(q url.Values, user string) (request, *requestError) {
	app, ok := p.App(q.Get("client_id"))
	if !ok {
		return request{}, &requestError{status: http.StatusNotFound, text: platform.Text(
			"没有这个 client_id 的应用。", "There is no app with this client_id.")}
	}
	req := request{
		app: app, redirectURI: q.Get("redirect_uri"), state: q.Get("state"),
		challenge:     q.Get("code_challenge"),
		offline:       slices.Contains(strings.Fields(q.Get("scope")), "offline_access"),
		selectAccount: q.Get("prompt") == "select_account",
	}
	if err := p.checkRedirectURI(req); err != nil {
		return req, err
	}
	if p.StrictRequest && q.Get("response_type") != "code" {
		return req, req.refuse("unsupported_response_type", "The response_type must be code.")
	}
	if p.ChecksPKCE && req.challenge != "" && q.Get("code_challenge_method") != "S256" {
		return req, req.refuse("invalid_request", "The code_challenge_method must be S256.")
	}
	if req.scopes, ok = p.Scopes(app, q.Get("scope"), p.consented(user, app.ClientID)); !ok {
		return req, req.refuse("invalid_scope", "The request names a scope that does not exist.")
	}
	return req, nil
}

// checkRedirectURI compares the redirect_uri with the registered one.
func (p *Platform) checkRedirectURI(req request) *requestError {
	text := platform.Text("redirect_uri 与应用登记的回调地址不符。",
		"The redirect_uri does not match the callback address that the app registered.")
	switch {
	case req.app.RedirectURI == "":
		return &requestError{status: http.StatusBadRequest, text: platform.Text(
			"这个应用没有登记回调地址。", "The app has registered no callback address.")}
	case req.redirectURI == "" && !p.StrictRequest:
		return nil
	case p.RedirectFits(req.app.RedirectURI, req.redirectURI):
		return nil
	case p.ReportsMismatch:
		req.redirectURI = ""
		return req.refuse("redirect_uri_mismatch", text.English)
	}
	return &requestError{status: http.StatusBadRequest, text: text}
}

// callback returns the callback's address: the one that was sent, else the registered one.
func (r request) callback() string {
	if r.redirectURI != "" {
		return r.redirectURI
	}
	return r.app.RedirectURI
}

// redirect returns the callback's address with the parameters and the state.
func (r request) redirect(params url.Values) string {
	u, err := url.Parse(r.callback())
	if err != nil { // a registered address is not checked
		return r.callback()
	}
	q := u.Query()
	for name, values := range params {
		q[name] = values
	}
	if r.state != "" {
		q.Set("state", r.state)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// refuse returns an error that is reported to the app (RFC 6749, 4.1.2.1).
func (r request) refuse(code, description string) *requestError {
	return &requestError{
		text:     platform.Words{English: description},
		redirect: r.redirect(url.Values{"error": {code}, "error_description": {description}}),
	}
}

// denied returns the address that the browser is sent to when the user refuses.
func (r request) denied() string {
	return r.refuse("access_denied", "The user refused the app's request.").redirect
}

// consented returns the scopes that a user has granted to an app, nil without a consent.
func (p *Platform) consented(login, clientID string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.consents[grant{login, clientID}])
}

// approve records the consent and returns the callback's address with a new code.
func (p *Platform) approve(req request, login string, ticked []string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := grant{login, req.app.ClientID}
	scopes := slices.DeleteFunc(slices.Clone(req.scopes), func(scope string) bool {
		return p.UntickableScopes && !slices.Contains(ticked, scope)
	})
	// A consent to no scope is one, too: it is empty and not nil.
	p.consents[g] = append([]string{}, p.merge(p.consents[g], scopes)...)
	code := p.newCode(Authorization{
		ClientID: req.app.ClientID, User: login, Scopes: scopes, RedirectURI: req.redirectURI,
		Challenged: req.challenge != "", challenge: req.challenge, offline: req.offline,
	})
	return req.redirect(url.Values{"code": {code.Reveal()}})
}

// merge returns the consent to scopes after an earlier one.
func (p *Platform) merge(before, scopes []string) []string {
	if p.MergeScopes == nil {
		return scopes
	}
	return p.MergeScopes(before, scopes)
}

// skipsPage reports whether an earlier consent makes the consent page unnecessary: the request
// changes nothing about it.
func (p *Platform) skipsPage(req request, login string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := grant{login, req.app.ClientID}
	before, ok := p.consents[g]
	return ok && slices.Equal(before, p.merge(before, req.scopes)) &&
		!p.reachedHourlyLimit(g, req.scopes)
}

// open reads an authorization address for a user. It returns a redirect if the platform redirects
// the browser at once.
func (p *Platform) open(user, authorizeURL string) (req request, redirect string, err error) {
	u, parseErr := url.Parse(authorizeURL)
	if parseErr != nil || u.Path != p.AuthorizePath {
		return req, "", &requestError{text: platform.Words{ // without the cause: it has the address
			English: "not an authorization address of " + p.Title,
		}}
	}
	if _, ok := p.user(user); !ok {
		return req, "", &requestError{text: platform.Words{English: "no such user: " + user}}
	}
	req, refusal := p.readRequest(u.Query(), user)
	switch {
	case refusal == nil:
		return req, "", nil
	case refusal.redirect != "":
		return req, refusal.redirect, nil
	}
	return req, "", refusal
}
