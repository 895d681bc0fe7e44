package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"time"

	"bindery/shared/secret"
)

// codeLife is how long an authorization code may wait to be redeemed.
const codeLife = 10 * time.Minute

// Authorization is what a code stands for.
type Authorization struct {
	ClientID    string
	User        string
	Scopes      []string
	RedirectURI string // as sent; "" if the request had none
	// Challenged reports whether a PKCE challenge came with the request, and Proved whether the
	// right verifier came with the code, also where the platform doesn't look at either.
	Challenged, Proved bool
	// Redeemed reports whether the code was used up, rightly or with a wrong verifier.
	Redeemed bool

	challenge string
	offline   bool
	ends      time.Time
	redeemed  time.Time
}

// Authorized tells what a code stands for, false if it was never issued.
func (s *Sandbox) Authorized(p Platform, code secret.Text) (Authorization, bool) {
	o := s.oauth(p)
	o.mu.Lock()
	defer o.mu.Unlock()
	a, ok := o.codes[digestOf(code.Reveal())]
	if !ok {
		return Authorization{}, false
	}
	copied := *a
	copied.Scopes = slices.Clone(a.Scopes)
	return copied, true
}

// newCode remembers an authorization under a new code. Hold mu.
func (p *oauthPlatform) newCode(a Authorization) secret.Text {
	code := p.sandbox.random("", 20)
	a.ends = p.now().Add(codeLife)
	p.codes[digestOf(code.Reveal())] = &a
	return code
}

// codeFault is why a code was not redeemed.
type codeFault int

// The faults.
const (
	codeGood codeFault = iota
	codeBad            // unknown, used, too old, another client's, or the verifier is wrong
	codeElsewhere
)

// redeem uses up a code (RFC 6749, 4.1.3; RFC 7636, 4.6). A wrong verifier uses it up too, a
// wrong address doesn't. Hold mu.
func (p *oauthPlatform) redeem(clientID string, form url.Values) (*Authorization, codeFault) {
	a, ok := p.codes[digestOf(form.Get("code"))]
	if !ok || a.Redeemed || a.ClientID != clientID || !p.now().Before(a.ends) {
		return nil, codeBad
	}
	sent := form.Get("redirect_uri")
	if sent != a.RedirectURI && (sent != "" || p.needsRequest) {
		return nil, codeElsewhere
	}
	a.Redeemed, a.redeemed = true, p.now()
	a.Proved = a.Challenged && s256(form.Get("code_verifier")) == a.challenge
	if p.checksPKCE && a.Challenged && !a.Proved {
		return nil, codeBad
	}
	return a, codeGood
}

// redeemedSince counts the codes for these scopes that were redeemed after a time. Hold mu.
func (p *oauthPlatform) redeemedSince(who oauthPair, scopes []string, after time.Time) int {
	n := 0
	for _, a := range p.codes {
		if a.User == who.login && a.ClientID == who.clientID && slices.Equal(a.Scopes, scopes) &&
			a.redeemed.After(after) {
			n++
		}
	}
	return n
}

// s256 is the challenge to a verifier (RFC 7636, 4.2).
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
