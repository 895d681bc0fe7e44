package sandbox

import (
	"net/url"
	"slices"
)

// oauthRequest is an authorization request that may go on (RFC 6749, 4.1.1).
type oauthRequest struct {
	app         App
	sentURI     string // redirect_uri as sent, "" if it was not
	state       string
	scopes      []string
	challenge   string
	offline     bool // a token that ends was asked for
	pickAccount bool
}

// oauthRefusal is why a request may not go on: shown on a page, or told to the app.
type oauthRefusal struct {
	status   int
	text     Words
	redirect string // "": show the page
}

// Error is the text without the address, which may hold a state.
func (r *oauthRefusal) Error() string { return "sandbox: " + r.text.English }

// readRequest checks an authorization request.
func (p *oauthPlatform) readRequest(q url.Values, before func(clientID string) []string) (
	oauthRequest, *oauthRefusal,
) {
	app, ok := p.app(q.Get("client_id"))
	if !ok {
		return oauthRequest{}, &oauthRefusal{status: 404, text: Words{
			"没有这个 client_id 的应用。", "There is no app with this client_id.",
		}}
	}
	req := oauthRequest{
		app: app, sentURI: q.Get("redirect_uri"), state: q.Get("state"),
		challenge: q.Get("code_challenge"), offline: asksOffline(q.Get("scope")),
		pickAccount: q.Get("prompt") == "select_account",
	}
	if refusal := p.checkRedirect(req); refusal != nil {
		return req, refusal
	}
	if p.needsRequest && q.Get("response_type") != "code" {
		return req, req.refused("unsupported_response_type", "The response_type must be code.")
	}
	if p.checksPKCE && req.challenge != "" && q.Get("code_challenge_method") != "S256" {
		return req, req.refused("invalid_request", "The code_challenge_method must be S256.")
	}
	if req.scopes, ok = p.scopes(app, q.Get("scope"), before(app.ClientID)); !ok {
		return req, req.refused("invalid_scope", "The request names a scope that does not exist.")
	}
	return req, nil
}

// checkRedirect holds the redirect_uri against the registered one.
func (p *oauthPlatform) checkRedirect(req oauthRequest) *oauthRefusal {
	text := Words{
		"redirect_uri 与应用登记的回调地址不符。",
		"The redirect_uri does not match the callback address that the app registered.",
	}
	if req.app.RedirectURI == "" {
		return &oauthRefusal{status: 400, text: Words{
			"这个应用没有登记回调地址。", "The app has registered no callback address.",
		}}
	}
	if req.sentURI == "" && !p.needsRequest {
		return nil
	}
	if p.redirectFits(req.app.RedirectURI, req.sentURI) {
		return nil
	}
	if p.reportsMismatch {
		req.sentURI = ""
		return req.refused("redirect_uri_mismatch", text.English)
	}
	return &oauthRefusal{status: 400, text: text}
}

// back is the callback's address with more parameters and the state.
func (r oauthRequest) back(params url.Values) string {
	address := r.sentURI
	if address == "" {
		address = r.app.RedirectURI
	}
	u, err := url.Parse(address)
	if err != nil { // what is registered may be anything
		return address
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

// refused tells the app (RFC 6749, 4.1.2.1).
func (r oauthRequest) refused(code, description string) *oauthRefusal {
	return &oauthRefusal{
		text:     Words{English: description},
		redirect: r.back(url.Values{"error": {code}, "error_description": {description}}),
	}
}

// denied is where the user's refusal leads.
func (r oauthRequest) denied() string {
	return r.refused("access_denied", "The user refused the app's request.").redirect
}

// consented returns what a user granted an app before, nil if nothing.
func (p *oauthPlatform) consented(login, clientID string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.consents[oauthPair{login, clientID}])
}

// grant remembers the consent and returns the callback's address with a new code.
func (p *oauthPlatform) grant(req oauthRequest, login string, ticked []string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := oauthPair{login, req.app.ClientID}
	scopes := slices.DeleteFunc(slices.Clone(req.scopes), func(scope string) bool {
		return p.ticks && !slices.Contains(ticked, scope)
	})
	// Not nil, even if nothing was ticked: that was an answer, too.
	p.consents[who] = append([]string{}, p.merge(p.consents[who], scopes)...)
	code := p.newCode(Authorization{
		ClientID: req.app.ClientID, User: login, Scopes: scopes, RedirectURI: req.sentURI,
		Challenged: req.challenge != "", challenge: req.challenge, offline: req.offline,
	})
	return req.back(url.Values{"code": {code.Reveal()}})
}

// skipsPage reports whether the consent page isn't needed again.
func (p *oauthPlatform) skipsPage(req oauthRequest, login string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := oauthPair{login, req.app.ClientID}
	before, ok := p.consents[who]
	return ok && p.settled(before, req.scopes) && !p.tooMany(who, req.scopes)
}

// Consent plays the person: the given user opens the address and grants the scopes, or, with nil,
// all that are asked for. It returns where the browser is sent: the callback with a code, or with
// an error where the platform tells one that way. Where the platform would show an error, or the
// user is not one of the platform's, it is an error here, without the address in its text.
func (s *Sandbox) Consent(p Platform, user, authorizeURL string, scopes []string) (string, error) {
	o := s.oauth(p)
	req, redirect, err := o.open(user, authorizeURL)
	if err != nil || redirect != "" {
		return redirect, err
	}
	if scopes == nil {
		scopes = req.scopes
	}
	return o.grant(req, user, scopes), nil
}

// Refuse plays the person who says no, as [Sandbox.Consent] plays the one who says yes.
func (s *Sandbox) Refuse(p Platform, user, authorizeURL string) (string, error) {
	req, redirect, err := s.oauth(p).open(user, authorizeURL)
	if err != nil || redirect != "" {
		return redirect, err
	}
	return req.denied(), nil
}

// open reads the address as if the user had opened it. A redirect is where the platform sends the
// browser at once.
func (p *oauthPlatform) open(user, authorizeURL string) (
	req oauthRequest, redirect string, err error,
) {
	bad := &oauthRefusal{text: Words{English: "not an authorization address of " + p.title}}
	u, parseErr := url.Parse(authorizeURL)
	if parseErr != nil || u.Path != p.authorize {
		return req, "", bad // without the cause, which quotes the address
	}
	if _, ok := p.person(user); !ok {
		return req, "", &oauthRefusal{text: Words{English: "no such user: " + user}}
	}
	req, refusal := p.readRequest(u.Query(), func(clientID string) []string {
		return p.consented(user, clientID)
	})
	if refusal == nil {
		return req, "", nil
	}
	if refusal.redirect != "" {
		return req, refusal.redirect, nil
	}
	return req, "", refusal
}
