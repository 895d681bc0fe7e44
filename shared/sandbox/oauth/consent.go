package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"bindery/shared/sandbox/page"
	"bindery/shared/sandbox/platform"
)

// The consent page of a platform has one address: GET shows the user and the scopes, POST takes
// the answer. The form posts to the address with its query, so the request is checked both times.

// cookieName is the platform's own, because all platforms share one origin.
func (p *Platform) cookieName() string { return "sandbox-" + string(p.Platform) }

// signedIn returns the user that the browser is signed in as, "" without a session.
func (p *Platform) signedIn(r *http.Request) string {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[digestOf(c.Value)]
}

// signIn starts a session.
func (p *Platform) signIn(w http.ResponseWriter, r *http.Request, login string) {
	value := p.NewSecret("", 16).Reveal()
	p.mu.Lock()
	p.sessions[digestOf(value)] = login
	p.mu.Unlock()
	p.setCookie(w, r, value, 0)
}

// signOut ends the browser's session.
func (p *Platform) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(p.cookieName()); err == nil {
		p.mu.Lock()
		delete(p.sessions, digestOf(c.Value))
		p.mu.Unlock()
	}
	p.setCookie(w, r, "", -1)
}

func (p *Platform) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// pageData is what the pages show.
type pageData struct {
	Platform         string // its title
	App              string
	User             string
	Users            []User // to sign in as
	Scopes           []string
	UntickableScopes bool
	Callback         string         // the app's address that the browser returns to
	Text             platform.Words // of an error
	Settings         string         // the path of the settings page
}

// readPage reads the request of a page. It answers a request that is refused.
func (p *Platform) readPage(w http.ResponseWriter, r *http.Request, user string) (request, bool) {
	req, refusal := p.readRequest(r.URL.Query(), user)
	switch {
	case refusal == nil:
		return req, true
	case refusal.redirect != "":
		http.Redirect(w, r, refusal.redirect, http.StatusSeeOther)
	default:
		page.Write(w, refusal.status, "refused.html", pageData{
			Platform: p.Title, Text: refusal.text,
		})
	}
	return req, false
}

// showConsent shows the sign-in page or the consent page. It redirects to the app at once if the
// user has consented before.
func (p *Platform) showConsent(w http.ResponseWriter, r *http.Request) {
	user := p.signedIn(r)
	req, ok := p.readPage(w, r, user)
	if !ok {
		return
	}
	name := req.app.Name
	if name == "" {
		name = req.app.ClientID
	}
	data := pageData{Platform: p.Title, App: name, User: user, Settings: p.SettingsPath}
	if user == "" || req.selectAccount {
		p.showLogin(w, data)
		return
	}
	if p.skipsPage(req, user) {
		http.Redirect(w, r, p.approve(req, user, req.scopes), http.StatusFound)
		return
	}
	data.Scopes, data.UntickableScopes = req.scopes, p.UntickableScopes
	data.Callback = req.callback()
	page.Write(w, http.StatusOK, "consent.html", data)
}

// showLogin shows the users to sign in as.
func (p *Platform) showLogin(w http.ResponseWriter, data pageData) {
	data.Users = p.users
	page.Write(w, http.StatusOK, "login.html", data)
}

// takeConsent takes the button that was pressed: {do: login:alice, switch, authorize or refuse}.
func (p *Platform) takeConsent(w http.ResponseWriter, r *http.Request) {
	user := p.signedIn(r)
	req, ok := p.readPage(w, r, user)
	if !ok {
		return
	}
	to := withoutPrompt(r.URL)
	switch do := r.PostFormValue("do"); {
	case p.takeLogin(w, r, do):
	case user == "": // the session ended while the page was open
	case do == "authorize":
		to = p.approve(req, user, slices.Clone(r.PostForm["scope"]))
	case do == "refuse":
		to = req.denied()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// takeLogin signs the user in or out, and reports whether one of these buttons was pressed.
func (p *Platform) takeLogin(w http.ResponseWriter, r *http.Request, do string) bool {
	if do == "switch" {
		p.signOut(w, r)
		return true
	}
	login, ok := strings.CutPrefix(do, "login:")
	if _, known := p.user(login); !ok || !known {
		return false
	}
	p.signIn(w, r, login)
	return true
}

// withoutPrompt returns the page's address without the prompt to select an account, which has been
// answered.
func withoutPrompt(u *url.URL) string {
	q := u.Query()
	q.Del("prompt")
	return u.Path + "?" + q.Encode()
}
