package sandbox

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"bindery/shared/secret"
)

// oauthAccess is an access token.
type oauthAccess struct {
	oauthPair
	scopes  []string
	born    time.Time
	ends    time.Time // zero: never
	refresh digest    // of the refresh token that came with it; zero: none
	number  int       // the order of issue
	lag     int       // how many calls it still is unknown for
}

// ended reports whether the token's time is over.
func (a *oauthAccess) ended(now time.Time) bool { return !a.ends.IsZero() && !now.Before(a.ends) }

// oauthRefresh is a refresh token.
type oauthRefresh struct {
	oauthPair
	scopes []string
	ends   time.Time // zero: never
}

// ended reports whether the token's time is over.
func (r *oauthRefresh) ended(now time.Time) bool { return !r.ends.IsZero() && !now.Before(r.ends) }

// oauthIssued is what a token endpoint hands out.
type oauthIssued struct {
	access, refresh secret.Text // refresh is empty if there is none
	scopes          []string
	born            time.Time
}

// issue makes an access token, and a refresh token if it is to end. Hold mu.
func (p *oauthPlatform) issue(who oauthPair, scopes []string, ending bool) oauthIssued {
	if !ending {
		return p.issueAccess(who, scopes, secret.Text{})
	}
	_, value := p.mint()
	r := &oauthRefresh{oauthPair: who, scopes: slices.Clone(scopes)}
	if p.refreshLife > 0 {
		r.ends = p.now().Add(p.refreshLife)
	}
	p.refresh[digestOf(value.Reveal())] = r
	return p.issueAccess(who, scopes, value)
}

// issueAccess makes an access token that goes with a refresh token. It never ends if there is
// none. Hold mu.
func (p *oauthPlatform) issueAccess(
	who oauthPair, scopes []string, refresh secret.Text,
) oauthIssued {
	now := p.now()
	access, _ := p.mint()
	p.issued++
	a := &oauthAccess{oauthPair: who, scopes: slices.Clone(scopes), born: now, number: p.issued}
	if !refresh.Empty() {
		a.ends = now.Add(p.accessLife)
		a.refresh = digestOf(refresh.Reveal())
	}
	p.access[digestOf(access.Reveal())] = a
	return oauthIssued{access, refresh, slices.Clone(scopes), now}
}

// alike are the live tokens of the same user, app and scopes, the oldest first. Hold mu.
func (p *oauthPlatform) alike(who oauthPair, scopes []string) []digest {
	alike := slices.DeleteFunc(slices.Collect(maps.Keys(p.access)), func(d digest) bool {
		a := p.access[d]
		return a.oauthPair != who || !slices.Equal(a.scopes, scopes) || a.ended(p.now())
	})
	slices.SortFunc(alike, func(a, b digest) int { return p.access[a].number - p.access[b].number })
	return alike
}

// tooMany reports whether ten tokens were made within the hour, if that limit is switched on. Then
// the person is asked again, and the oldest token lives on. Hold mu.
func (p *oauthPlatform) tooMany(who oauthPair, scopes []string) bool {
	if p.most == 0 || !p.sandbox.on(p.platform, GitHubHourlyLimit) {
		return false
	}
	return p.redeemedSince(who, scopes, p.now().Add(-time.Hour)) >= p.most
}

// end kills one access token and the refresh token that came with it. Hold mu.
func (p *oauthPlatform) end(d digest) {
	if a, ok := p.access[d]; ok {
		delete(p.refresh, a.refresh)
		delete(p.access, d)
	}
}

// endAll kills a user's tokens, unredeemed codes and consent, of one app or, with "", of all.
// Hold mu.
func (p *oauthPlatform) endAll(login, clientID string) {
	hit := func(o oauthPair) bool {
		return o.login == login && (clientID == "" || o.clientID == clientID)
	}
	maps.DeleteFunc(p.access, func(_ digest, a *oauthAccess) bool { return hit(a.oauthPair) })
	maps.DeleteFunc(p.refresh, func(_ digest, r *oauthRefresh) bool { return hit(r.oauthPair) })
	maps.DeleteFunc(p.consents, func(o oauthPair, _ []string) bool { return hit(o) })
	maps.DeleteFunc(p.codes, func(_ digest, a *Authorization) bool {
		return !a.Redeemed && hit(oauthPair{a.User, a.ClientID})
	})
}

// findRefresh returns a refresh token that is good for the client. Hold mu.
func (p *oauthPlatform) findRefresh(clientID, value string) (*oauthRefresh, bool) {
	r, ok := p.refresh[digestOf(value)]
	if !ok || r.clientID != clientID || r.ended(p.now()) {
		return nil, false
	}
	return r, true
}

// oauthCaller is who makes an API call: a copy, to be used without the lock.
type oauthCaller struct {
	oauthPerson
	scopes []string
	ends   time.Time
}

// may reports whether the caller was granted a scope.
func (c oauthCaller) may(scope string) bool { return slices.Contains(c.scopes, scope) }

// bearerFault is why an API call's token is no good.
type bearerFault int

// The faults.
const (
	bearerGood bearerFault = iota
	bearerNone             // there is none
	bearerUnknown
	bearerEnded // was good once
)

// caller finds out who makes an API call.
func (p *oauthPlatform) caller(value string) (oauthCaller, bearerFault) {
	if value == "" {
		return oauthCaller{}, bearerNone
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.access[digestOf(value)]
	if !ok {
		return oauthCaller{}, bearerUnknown
	}
	if a.ended(p.now()) {
		return oauthCaller{}, bearerEnded
	}
	if a.lag > 0 {
		a.lag--
		return oauthCaller{}, bearerUnknown
	}
	person, _ := p.person(a.login)
	return oauthCaller{person, slices.Clone(a.scopes), a.ends}, bearerGood
}

// bearer is the token of the Authorization header, of one of the schemes, "" if there is none.
func bearer(r *http.Request, schemes ...string) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	for _, s := range schemes {
		if strings.EqualFold(s, scheme) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
