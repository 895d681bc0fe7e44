package oauth

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// AccessToken is an access token.
type AccessToken struct {
	grant
	Scopes    []string
	IssuedAt  time.Time
	ExpiresAt time.Time // zero: never
	Number    int       // its place in the order of issue
	refresh   digest    // of the refresh token that came with it; zero: none
	lag       int       // the number of calls for which it is still unknown
}

// refreshToken is a refresh token.
type refreshToken struct {
	grant
	scopes    []string
	expiresAt time.Time // zero: never
}

// expired reports whether a token that expires at a time has expired. The zero time is never.
func expired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// liveTokens returns the valid access tokens of a grant for these scopes, oldest first. Hold mu.
func (p *Platform) liveTokens(g grant, scopes []string) []digest {
	live := slices.DeleteFunc(slices.Collect(maps.Keys(p.access)), func(d digest) bool {
		a := p.access[d]
		return a.grant != g || !slices.Equal(a.Scopes, scopes) || expired(a.ExpiresAt, p.Now())
	})
	slices.SortFunc(live, func(a, b digest) int { return p.access[a].Number - p.access[b].Number })
	return live
}

// end revokes an access token and the refresh token that came with it. Hold mu.
func (p *Platform) end(d digest) {
	if a, ok := p.access[d]; ok {
		delete(p.refresh, a.refresh)
		delete(p.access, d)
	}
}

// endAll revokes a user's tokens, unredeemed codes and consent for one app or, with "", for all.
// Hold mu.
func (p *Platform) endAll(login, clientID string) {
	hit := func(g grant) bool {
		return g.login == login && (clientID == "" || g.clientID == clientID)
	}
	maps.DeleteFunc(p.access, func(_ digest, a *AccessToken) bool { return hit(a.grant) })
	maps.DeleteFunc(p.refresh, func(_ digest, r *refreshToken) bool { return hit(r.grant) })
	maps.DeleteFunc(p.consents, func(g grant, _ []string) bool { return hit(g) })
	maps.DeleteFunc(p.codes, func(_ digest, a *Authorization) bool {
		return !a.Redeemed && hit(grant{a.User, a.ClientID})
	})
}

// Find returns a client's access token and its user. An expired token is not found.
func (p *Platform) Find(clientID, value string) (AccessToken, User, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.access[digestOf(value)]
	if a == nil || a.clientID != clientID || expired(a.ExpiresAt, p.Now()) {
		return AccessToken{}, User{}, false
	}
	copied := *a
	copied.Scopes = append([]string{}, a.Scopes...)
	user, _ := p.user(a.login)
	return copied, user, true
}

// Revoke revokes a client's access token with its refresh token or, if all, every token and the
// consent that the client has of the token's user. It reports whether there is such a token.
func (p *Platform) Revoke(clientID, value string, all bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.access[digestOf(value)]
	switch {
	case a == nil || a.clientID != clientID:
		return false
	case all:
		p.endAll(a.login, clientID)
	default:
		p.end(digestOf(value))
	}
	return true
}

// Caller is the user who makes an API call, and what the token permits.
type Caller struct {
	User
	Scopes    []string
	ExpiresAt time.Time // zero: never
}

// Has reports whether the caller's token has a scope.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// The errors of [Platform.Caller].
var (
	ErrNoToken      = errors.New("sandbox: no token")
	ErrUnknownToken = errors.New("sandbox: unknown token")
	ErrExpiredToken = errors.New("sandbox: expired token")
)

// Caller authenticates an API call by its access token. The error is [ErrNoToken],
// [ErrUnknownToken] or [ErrExpiredToken].
func (p *Platform) Caller(value string) (Caller, error) {
	if value == "" {
		return Caller{}, ErrNoToken
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.access[digestOf(value)]
	switch {
	case !ok:
		return Caller{}, ErrUnknownToken
	case expired(a.ExpiresAt, p.Now()):
		return Caller{}, ErrExpiredToken
	case a.lag > 0:
		a.lag--
		return Caller{}, ErrUnknownToken
	}
	user, _ := p.user(a.login)
	return Caller{user, slices.Clone(a.Scopes), a.ExpiresAt}, nil
}

// Bearer returns the token of the Authorization header in one of the schemes, "" if there is none.
func Bearer(r *http.Request, schemes ...string) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	for _, s := range schemes {
		if strings.EqualFold(s, scheme) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
