package sandbox

import (
	"fmt"
	"slices"

	"bindery/shared/secret"
)

// self is for [Sandbox.oauth].
func (p *oauthPlatform) self() *oauthPlatform { return p }

// oauth returns a platform that is bound by consent. It panics at another.
func (s *Sandbox) oauth(name Platform) *oauthPlatform {
	for _, p := range s.platforms {
		if o, ok := p.(interface{ self() *oauthPlatform }); ok && p.name() == name {
			return o.self()
		}
	}
	panic(fmt.Sprintf("sandbox: %s is not bound by consent", name))
}

// Apps are the apps that the platforms have from the beginning, one each, as they are now. Their
// ids and secrets are fixed and fake; their redirect URI is empty until [Sandbox.AddApp] sets it.
func (s *Sandbox) Apps() map[Platform]App {
	all := map[Platform]App{}
	for _, name := range []Platform{Gitee, GitHub, Bitbucket} {
		app, _ := s.oauth(name).app(seededApp(name).ClientID)
		app.ClientSecrets = slices.Clone(app.ClientSecrets)
		app.Scopes = slices.Clone(app.Scopes)
		all[name] = app
	}
	return all
}

// AddApp registers an app, or changes the one with this client id. Its tokens stay as they are.
func (s *Sandbox) AddApp(p Platform, app App) {
	app.ClientSecrets = slices.Clone(app.ClientSecrets)
	app.Scopes = slices.Clone(app.Scopes)
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.apps[app.ClientID] = app
}

// ExpireTokens ends the time of a user's access tokens now. Refresh tokens live on.
func (s *Sandbox) ExpireTokens(p Platform, user string) {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.access {
		if a.login == user {
			a.ends = o.now()
		}
	}
}

// RevokeTokens is a user who takes back in the platform's settings what was granted to any app:
// access tokens, refresh tokens, codes under way and the consent itself.
func (s *Sandbox) RevokeTokens(p Platform, user string) {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endAll(user, "")
}

// NarrowScopes is a user who edits, later, what was granted: of every token and consent only the
// given scopes stay.
func (s *Sandbox) NarrowScopes(p Platform, user string, scopes []string) {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := func(from []string) []string {
		return slices.DeleteFunc(slices.Clone(from), func(scope string) bool {
			return !slices.Contains(scopes, scope)
		})
	}
	for _, a := range o.access {
		if a.login == user {
			a.scopes = kept(a.scopes)
		}
	}
	for _, r := range o.refresh {
		if r.login == user {
			r.scopes = kept(r.scopes)
		}
	}
	for who, consent := range o.consents {
		if who.login == user {
			o.consents[who] = append([]string{}, kept(consent)...)
		}
	}
}

// LiveTokens counts a user's access tokens that would be accepted now.
func (s *Sandbox) LiveTokens(p Platform, user string) int {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, a := range o.access {
		if a.login == user && !a.ended(o.now()) {
			n++
		}
	}
	return n
}

// LiveRefreshTokens counts a user's refresh tokens that would be accepted now.
func (s *Sandbox) LiveRefreshTokens(p Platform, user string) int {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, r := range o.refresh {
		if r.login == user && !r.ended(o.now()) {
			n++
		}
	}
	return n
}

// Lives reports whether an access token would be accepted now.
func (s *Sandbox) Lives(p Platform, access secret.Text) bool {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	a, ok := o.access[digestOf(access.Reveal())]
	return ok && !a.ended(o.now())
}

// Exchanges counts the requests to redeem a code that the platform worked on, however they were
// answered. A request that a fault hit before that isn't one.
func (s *Sandbox) Exchanges(p Platform) int {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.exchanges
}

// Refreshes counts the requests to renew a token, as [Sandbox.Exchanges] does the codes.
func (s *Sandbox) Refreshes(p Platform) int {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refreshes
}

// SetReplicaLag makes GitHub answer 401 to the first calls with each token that a refresh issues
// from now on, as its replicas do for a moment.
func (s *Sandbox) SetReplicaLag(calls int) {
	o := s.oauth(GitHub)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lag = calls
}
