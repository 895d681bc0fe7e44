package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"time"

	"bindery/shared/secret"
)

// codeTTL is how long an authorization code may be redeemed.
const codeTTL = 10 * time.Minute

// Authorization is what a code stands for.
type Authorization struct {
	ClientID    string
	User        string
	Scopes      []string
	RedirectURI string // as sent, "" if the request had none
	// Challenged reports whether the request had a PKCE challenge, and Proved whether the code was
	// redeemed with the right verifier, also on a platform that ignores both.
	Challenged, Proved bool
	// Redeemed reports whether the code was used up, also by a wrong verifier.
	Redeemed bool

	challenge  string
	offline    bool
	expiresAt  time.Time
	redeemedAt time.Time
}

// newCode stores an authorization under a new code. Hold mu.
func (p *Platform) newCode(a Authorization) secret.Text {
	code := p.NewSecret("", 20)
	a.expiresAt = p.Now().Add(codeTTL)
	p.codes[digestOf(code.Reveal())] = &a
	return code
}

// redeem uses up a code (RFC 6749, 4.1.3; RFC 7636, 4.6). A wrong verifier uses it up too, a
// wrong redirect_uri doesn't. Hold mu.
func (p *Platform) redeem(clientID string, form url.Values) (*Authorization, Fault) {
	a, ok := p.codes[digestOf(form.Get("code"))]
	if !ok || a.Redeemed || a.ClientID != clientID || !p.Now().Before(a.expiresAt) {
		return nil, InvalidCode
	}
	sent := form.Get("redirect_uri")
	if sent != a.RedirectURI && (sent != "" || p.StrictRequest) {
		return nil, RedirectMismatch
	}
	a.Redeemed, a.redeemedAt = true, p.Now()
	a.Proved = a.Challenged && challengeOf(form.Get("code_verifier")) == a.challenge
	if p.ChecksPKCE && a.Challenged && !a.Proved {
		return nil, InvalidCode
	}
	return a, ""
}

// HourlyLimit is the switch that limits GitHub's tokens per hour.
const HourlyLimit = "hourly-limit"

// reachedHourlyLimit reports whether [Rules.MaxTokens] tokens were issued within the hour, if the
// limit is switched on. Then the user is asked again, and the oldest token stays valid. Hold mu.
func (p *Platform) reachedHourlyLimit(g grant, scopes []string) bool {
	if p.MaxTokens == 0 || !p.On(HourlyLimit) {
		return false
	}
	n, after := 0, p.Now().Add(-time.Hour)
	for _, a := range p.codes {
		if a.User == g.login && a.ClientID == g.clientID && slices.Equal(a.Scopes, scopes) &&
			a.redeemedAt.After(after) {
			n++
		}
	}
	return n >= p.MaxTokens
}

// challengeOf returns the S256 challenge of a verifier (RFC 7636, 4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
