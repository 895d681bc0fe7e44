package oauth

import (
	"fmt"
	"slices"

	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// Platforms are the platforms that are bound by consent. Its methods are for tests: they do what
// a user or the platform's operator does, and tell what the platform has done. They panic at a
// platform that is not one of them.
type Platforms map[platform.Name]*Platform

// locked returns a platform with its lock held.
func (ps Platforms) locked(name platform.Name) *Platform {
	p := ps[name]
	if p == nil {
		panic(fmt.Sprintf("sandbox: %s is not bound by consent", name))
	}
	p.mu.Lock()
	return p
}

// Apps returns the app that each platform has from the start, as it is now. Ids and secrets are
// fixed and fake; the redirect URI is empty until [Platforms.AddApp] sets it.
func (ps Platforms) Apps() map[platform.Name]App {
	all := map[platform.Name]App{}
	for name, p := range ps {
		app, _ := p.App(SeededApp(name).ClientID)
		all[name] = app.clone()
	}
	return all
}

// AddApp registers an app, or changes the one with this client id. Issued tokens stay as they are.
func (ps Platforms) AddApp(name platform.Name, app App) {
	p := ps.locked(name)
	defer p.mu.Unlock()
	p.apps[app.ClientID] = app.clone()
}

// Consent opens the address as a user who grants the scopes or, if scopes is nil, all that are
// asked for. It returns the address that the browser is sent to: the callback with a code, or with
// an error if the platform reports one that way. It fails if the platform shows an error or
// doesn't have the user; the address is not in the error's text.
func (ps Platforms) Consent(
	name platform.Name, user, authorizeURL string, scopes []string,
) (string, error) {
	req, redirect, err := ps[name].open(user, authorizeURL)
	if err != nil || redirect != "" {
		return redirect, err
	}
	if scopes == nil {
		scopes = req.scopes
	}
	return ps[name].approve(req, user, scopes), nil
}

// Refuse opens the address as a user who refuses. It returns what [Platforms.Consent] returns.
func (ps Platforms) Refuse(name platform.Name, user, authorizeURL string) (string, error) {
	req, redirect, err := ps[name].open(user, authorizeURL)
	if err != nil || redirect != "" {
		return redirect, err
	}
	return req.denied(), nil
}

// Authorized returns what a code stands for, false if it was never issued.
func (ps Platforms) Authorized(name platform.Name, code secret.Text) (Authorization, bool) {
	p := ps.locked(name)
	defer p.mu.Unlock()
	a, ok := p.codes[digestOf(code.Reveal())]
	if !ok {
		return Authorization{}, false
	}
	copied := *a
	copied.Scopes = slices.Clone(a.Scopes)
	return copied, true
}

// ExpireTokens makes a user's access tokens expire now. Refresh tokens stay valid.
func (ps Platforms) ExpireTokens(name platform.Name, user string) { ps[name].expireTokens(user) }

// RevokeTokens revokes, as a user does in the platform's settings, what was granted to all apps:
// access tokens, refresh tokens, unredeemed codes and the consent itself.
func (ps Platforms) RevokeTokens(name platform.Name, user string) {
	p := ps.locked(name)
	defer p.mu.Unlock()
	p.endAll(user, "")
}

// NarrowScopes removes, as a user does in the platform's settings, all but the given scopes from
// every token and consent.
func (ps Platforms) NarrowScopes(name platform.Name, user string, scopes []string) {
	ps[name].narrow(user, scopes)
}

// LiveTokens counts a user's access tokens that are valid now.
func (ps Platforms) LiveTokens(name platform.Name, user string) int {
	return ps[name].countLiveTokens(user)
}

// LiveRefreshTokens counts a user's refresh tokens that are valid now.
func (ps Platforms) LiveRefreshTokens(name platform.Name, user string) int {
	p := ps.locked(name)
	defer p.mu.Unlock()
	n := 0
	for _, r := range p.refresh {
		if r.login == user && !expired(r.expiresAt, p.Now()) {
			n++
		}
	}
	return n
}

// Lives reports whether an access token is valid now.
func (ps Platforms) Lives(name platform.Name, access secret.Text) bool {
	p := ps.locked(name)
	defer p.mu.Unlock()
	a, ok := p.access[digestOf(access.Reveal())]
	return ok && !expired(a.ExpiresAt, p.Now())
}

// Exchanges counts the requests to redeem a code that reached the platform, whatever the answer.
// A request that a fault answered instead of the platform doesn't count.
func (ps Platforms) Exchanges(name platform.Name) int {
	p := ps.locked(name)
	defer p.mu.Unlock()
	return p.exchanges
}

// Refreshes counts the requests to refresh a token, as [Platforms.Exchanges] does for codes.
func (ps Platforms) Refreshes(name platform.Name) int {
	p := ps.locked(name)
	defer p.mu.Unlock()
	return p.refreshes
}

// SetReplicaLag makes GitHub answer 401 to the first calls with each token that a later refresh
// issues, as its replicas do for a moment.
func (ps Platforms) SetReplicaLag(calls int) {
	p := ps.locked(platform.GitHub)
	defer p.mu.Unlock()
	p.lag = calls
}
