package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// oauthSettings is the page where a user takes back what was granted.
type oauthSettings struct {
	oauthPage
	Apps  []oauthSettingsApp
	Live  int  // access tokens
	Edits bool // scopes can be unticked one by one
}

// oauthSettingsApp is an app that the user authorized.
type oauthSettingsApp struct {
	ClientID, Name string
	Scopes         []string
}

// showSettings lists the apps that the user authorized.
func (p *oauthPlatform) showSettings(w http.ResponseWriter, r *http.Request) {
	page := oauthSettings{oauthPage: oauthPage{Platform: p.title, User: p.signedIn(r)}}
	if page.User == "" {
		p.showLogin(w, page.oauthPage)
		return
	}
	page.Edits = p.edits
	page.Live = p.sandbox.LiveTokens(p.platform, page.User)
	p.mu.Lock()
	for who, scopes := range p.consents {
		if who.login == page.User {
			name := p.apps[who.clientID].Name
			page.Apps = append(page.Apps,
				oauthSettingsApp{who.clientID, name, slices.Clone(scopes)})
		}
	}
	p.mu.Unlock()
	slices.SortFunc(page.Apps, func(a, b oauthSettingsApp) int {
		return strings.Compare(a.ClientID, b.ClientID)
	})
	p.sandbox.writePage(w, http.StatusOK, "oauth_settings.html", page)
}

// takeSettings takes what the person pressed: {do: login:alice, switch, revoke:{client id},
// narrow to the scopes that are still ticked, or expire, which no real platform offers}.
func (p *oauthPlatform) takeSettings(w http.ResponseWriter, r *http.Request) {
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
	case do == "narrow" && p.edits:
		p.sandbox.NarrowScopes(p.platform, user, r.PostForm["scope"])
	case do == "expire":
		p.sandbox.ExpireTokens(p.platform, user)
	}
	http.Redirect(w, r, p.settings, http.StatusSeeOther)
}
