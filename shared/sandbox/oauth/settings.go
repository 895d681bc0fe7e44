package oauth

import (
	"net/http"
	"slices"
	"strings"

	"bindery/shared/sandbox/page"
)

// settingsData is what the settings page shows.
type settingsData struct {
	pageData
	Apps           []settingsApp
	LiveTokens     int // valid access tokens
	EditableScopes bool
}

// settingsApp is an app that the user has authorized.
type settingsApp struct {
	ClientID, Name string
	Scopes         []string
}

// showSettings lists the apps that the user has authorized.
func (p *Platform) showSettings(w http.ResponseWriter, r *http.Request) {
	data := settingsData{
		pageData: pageData{Platform: p.Title, User: p.signedIn(r)}, EditableScopes: p.EditableScopes,
	}
	if data.User == "" {
		p.showLogin(w, data.pageData)
		return
	}
	data.LiveTokens = p.countLiveTokens(data.User)
	p.mu.Lock()
	for g, scopes := range p.consents {
		if g.login == data.User {
			data.Apps = append(data.Apps,
				settingsApp{g.clientID, p.apps[g.clientID].Name, slices.Clone(scopes)})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(data.Apps, func(a, b settingsApp) int {
		return strings.Compare(a.ClientID, b.ClientID)
	})
	page.Write(w, http.StatusOK, "settings.html", data)
}

// takeSettings takes the button that was pressed: {do: login:alice, switch, revoke:{client id},
// narrow to the ticked scopes, or expire, which no real platform offers}.
func (p *Platform) takeSettings(w http.ResponseWriter, r *http.Request) {
	user := p.signedIn(r)
	do := r.PostFormValue("do")
	client, revoke := strings.CutPrefix(do, "revoke:")
	switch {
	case p.takeLogin(w, r, do):
	case user == "": // the session ended while the page was open
	case revoke && client != "":
		p.mu.Lock()
		p.endAll(user, client)
		p.mu.Unlock()
	case do == "narrow" && p.EditableScopes:
		p.narrow(user, r.PostForm["scope"])
	case do == "expire":
		p.expireTokens(user)
	}
	http.Redirect(w, r, p.SettingsPath, http.StatusSeeOther)
}

// expireTokens makes a user's access tokens expire now.
func (p *Platform) expireTokens(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.access {
		if a.login == user {
			a.ExpiresAt = p.Now()
		}
	}
}

// narrow removes all but the given scopes from a user's tokens and consents.
func (p *Platform) narrow(user string, scopes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := func(from []string) []string {
		return slices.DeleteFunc(append([]string{}, from...), func(scope string) bool {
			return !slices.Contains(scopes, scope)
		})
	}
	for _, a := range p.access {
		if a.login == user {
			a.Scopes = kept(a.Scopes)
		}
	}
	for _, r := range p.refresh {
		if r.login == user {
			r.scopes = kept(r.scopes)
		}
	}
	for g, consent := range p.consents {
		if g.login == user {
			p.consents[g] = kept(consent)
		}
	}
}

// countLiveTokens counts a user's valid access tokens.
func (p *Platform) countLiveTokens(user string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.access {
		if a.login == user && !expired(a.ExpiresAt, p.Now()) {
			n++
		}
	}
	return n
}
