package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// Fault is why a token endpoint refuses a request. The zero value is no fault. Each platform has
// its own words for it.
type Fault string

// The faults.
const (
	UnsupportedGrantType Fault = "unsupported grant type"
	UnknownClient        Fault = "unknown client or wrong secret"
	InvalidCode          Fault = "code unknown, used, expired, another client's or unproved"
	RedirectMismatch     Fault = "another redirect_uri than in the authorization request"
	UnverifiedUser       Fault = "user without a verified e-mail address"
	InvalidRefreshToken  Fault = "refresh token unknown, used or expired"
)

// Issued is what a token endpoint issues.
type Issued struct {
	Access, Refresh secret.Text // Refresh is empty if there is none
	Scopes          []string
	At              time.Time
}

// Token answers a request to the token endpoint: it redeems a code or refreshes a token.
func (p *Platform) Token(clientID, clientSecret string, form url.Values) (Issued, Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	grantType := form.Get("grant_type")
	switch {
	case grantType == "authorization_code", grantType == "" && p.GrantTypeOptional:
		p.exchanges++
	case grantType == "refresh_token":
		p.refreshes++
	default:
		return Issued{}, UnsupportedGrantType
	}
	app, ok := p.apps[clientID]
	anonymous := p.AnonymousRefresh && grantType == "refresh_token" &&
		!form.Has("client_id") && !form.Has("client_secret")
	switch {
	case !anonymous && (!ok || !app.HasSecret(clientSecret)):
		return Issued{}, UnknownClient
	case grantType == "refresh_token":
		return p.refreshTokens(clientID, form.Get("refresh_token"))
	}
	return p.exchange(app, form)
}

// exchange redeems a code. Hold mu.
func (p *Platform) exchange(app App, form url.Values) (Issued, Fault) {
	a, fault := p.redeem(app.ClientID, form)
	if fault != "" {
		return Issued{}, fault
	}
	if u, _ := p.user(a.User); u.Unverified {
		return Issued{}, UnverifiedUser
	}
	g := grant{a.User, app.ClientID}
	if p.MaxTokens > 0 && !p.reachedHourlyLimit(g, a.Scopes) {
		for same := p.liveTokens(g, a.Scopes); len(same) >= p.MaxTokens; same = same[1:] {
			p.end(same[0])
		}
	}
	if p.OptionalExpiry && !app.ExpiringTokens && !a.offline {
		return p.issueAccess(g, a.Scopes, secret.Text{}), ""
	}
	return p.issue(g, a.Scopes), ""
}

// refreshTokens issues new tokens for a refresh token. An empty client id is any client. Hold mu.
func (p *Platform) refreshTokens(clientID, value string) (Issued, Fault) {
	old := digestOf(value)
	r, ok := p.refresh[old]
	if !ok || clientID != "" && r.clientID != clientID || expired(r.expiresAt, p.Now()) {
		return Issued{}, InvalidRefreshToken
	}
	if p.ReusesRefreshToken {
		return p.issueAccess(r.grant, r.scopes, secret.New(value)), ""
	}
	if p.RefreshEndsAccess {
		for d, a := range p.access {
			if a.refresh == old {
				delete(p.access, d)
			}
		}
	}
	delete(p.refresh, old)
	issued := p.issue(r.grant, r.scopes)
	p.access[digestOf(issued.Access.Reveal())].lag = p.lag
	return issued, ""
}

// issue issues an access token that expires and a refresh token. Hold mu.
func (p *Platform) issue(g grant, scopes []string) Issued {
	_, value := p.NewTokens()
	r := &refreshToken{grant: g, scopes: slices.Clone(scopes)}
	if p.RefreshTTL > 0 {
		r.expiresAt = p.Now().Add(p.RefreshTTL)
	}
	p.refresh[digestOf(value.Reveal())] = r
	return p.issueAccess(g, scopes, value)
}

// issueAccess issues an access token for a refresh token. Without one it never expires. Hold mu.
func (p *Platform) issueAccess(g grant, scopes []string, refresh secret.Text) Issued {
	now := p.Now()
	access, _ := p.NewTokens()
	p.issued++
	a := &AccessToken{grant: g, Scopes: slices.Clone(scopes), IssuedAt: now, Number: p.issued}
	if !refresh.Empty() {
		a.ExpiresAt = now.Add(p.AccessTTL)
		a.refresh = digestOf(refresh.Reveal())
	}
	p.access[digestOf(access.Reveal())] = a
	return Issued{access, refresh, slices.Clone(scopes), now}
}

// WriteError writes an error of a token endpoint (RFC 6749, 5.2).
func WriteError(w http.ResponseWriter, status int, code, description string) {
	platform.WriteJSON(w, status, platform.Object{
		"error": code, "error_description": description,
	})
}
