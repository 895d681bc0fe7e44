package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The consent page of a platform is one address: GET shows who is there and what is asked, POST
// takes the answer. The form posts to the address with its query, so that what was shown and what
// is answered is the same request, checked twice.

// cookieName is the platform's own, since all share one origin.
func (p *oauthPlatform) cookieName() string { return "sandbox-" + string(p.platform) }

// signedIn is who the browser is signed in as, "" if nobody.
func (p *oauthPlatform) signedIn(r *http.Request) string {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[digestOf(c.Value)]
}

// signIn gives the browser a session.
func (p *oauthPlatform) signIn(w http.ResponseWriter, r *http.Request, login string) {
	value := p.sandbox.random("", 16).Reveal()
	p.mu.Lock()
	p.sessions[digestOf(value)] = login
	p.mu.Unlock()
	p.setCookie(w, r, value, 0)
}

// signOut ends the browser's session.
func (p *oauthPlatform) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(p.cookieName()); err == nil {
		p.mu.Lock()
		delete(p.sessions, digestOf(c.Value))
		p.mu.Unlock()
	}
	p.setCookie(w, r, "", -1)
}

// setCookie sets the session's cookie.
func (p *oauthPlatform) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// oauthPage is what the pages show.
type oauthPage struct {
	Platform string // its title
	App      string
	User     string
	People   []oauthPagePerson
	Scopes   []string
	Ticks    bool
	Callback string // where the browser goes from here
	Text     Words  // of an error
	Settings string // the path of the page where consent is taken back
}

// oauthPagePerson is somebody to sign in as.
type oauthPagePerson struct {
	Login, Name string
	Expect      Words
}

// readPage checks the request of a page and answers one that may not go on.
func (p *oauthPlatform) readPage(w http.ResponseWriter, r *http.Request, user string) (
	oauthRequest, bool,
) {
	req, refusal := p.readRequest(r.URL.Query(), func(clientID string) []string {
		return p.consented(user, clientID)
	})
	if refusal == nil {
		return req, true
	}
	if refusal.redirect != "" {
		http.Redirect(w, r, refusal.redirect, http.StatusSeeOther)
		return req, false
	}
	p.sandbox.writePage(w, refusal.status, "oauth_refused.html",
		oauthPage{Platform: p.title, Text: refusal.text})
	return req, false
}

// showConsent shows the sign-in page, or the consent page, or goes back to the app at once if the
// user consented before.
func (p *oauthPlatform) showConsent(w http.ResponseWriter, r *http.Request) {
	user := p.signedIn(r)
	req, ok := p.readPage(w, r, user)
	if !ok {
		return
	}
	name := req.app.Name
	if name == "" {
		name = req.app.ClientID
	}
	page := oauthPage{Platform: p.title, App: name, User: user, Settings: p.settings}
	if user == "" || req.pickAccount {
		p.showLogin(w, page)
		return
	}
	if p.skipsPage(req, user) {
		http.Redirect(w, r, p.grant(req, user, req.scopes), http.StatusFound)
		return
	}
	page.Scopes, page.Ticks = req.scopes, p.ticks
	page.Callback = req.sentURI
	if page.Callback == "" {
		page.Callback = req.app.RedirectURI
	}
	p.sandbox.writePage(w, http.StatusOK, "oauth_consent.html", page)
}

// showLogin shows whom one can sign in as.
func (p *oauthPlatform) showLogin(w http.ResponseWriter, page oauthPage) {
	for _, o := range p.people {
		page.People = append(page.People, oauthPagePerson{o.login, o.name, o.expect})
	}
	p.sandbox.writePage(w, http.StatusOK, "oauth_login.html", page)
}

// takeConsent takes what the person pressed: {do: login:alice, switch, authorize or refuse}.
func (p *oauthPlatform) takeConsent(w http.ResponseWriter, r *http.Request) {
	user := p.signedIn(r)
	req, ok := p.readPage(w, r, user)
	if !ok {
		return
	}
	to := again(r.URL)
	switch do := r.PostFormValue("do"); {
	case p.takeLogin(w, r, do):
	case user == "": // the session ended while the page was open
	case do == "authorize":
		to = p.grant(req, user, slices.Clone(r.PostForm["scope"]))
	case do == "refuse":
		to = req.denied()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// takeLogin signs in or out if that is what was pressed.
func (p *oauthPlatform) takeLogin(w http.ResponseWriter, r *http.Request, do string) bool {
	if do == "switch" {
		p.signOut(w, r)
		return true
	}
	login, ok := strings.CutPrefix(do, "login:")
	if _, known := p.person(login); !ok || !known {
		return false
	}
	p.signIn(w, r, login)
	return true
}

// again is the page's own address, without the wish to pick an account, which was granted.
func again(u *url.URL) string {
	q := u.Query()
	q.Del("prompt")
	return u.Path + "?" + q.Encode()
}
