// Package auth determines who is calling. It verifies a request's access token (a JWT, following
// RFC 9068, signed by the one configured issuer) and reads from it the user, the account, the
// scopes and the instances that the caller may see. It also limits the calls of each caller.
//
// What a scope allows and which instances an account has is left to other packages. There are no
// sessions and no cookies: a request without a bearer token is not signed in.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bindery/shared/cache"
	"bindery/shared/problem"
)

// maxTokenLength is in bytes. Function Compute accepts 4 KB of headers in all, and no issuer needs
// more than 8.
const maxTokenLength = 8 << 10

// notBeforeLeeway is how far an issuer's clock may be ahead of this one when it sets the claim nbf.
const notBeforeLeeway = 5 * time.Minute

// Caller is the user that a verified token represents. A user is identified by issuer, subject and
// account together: the same subject in another account is another user. All calls with the same
// token may share the two lists, so don't change them.
type Caller struct {
	Issuer  string
	Subject string
	// Account is the tenant. It comes only from the token, never from the request.
	Account string
	// Scopes are the scopes that the token grants.
	Scopes []string
	// Narrowed says that the token is limited to Instances, as region/id. See [Caller.Sees].
	Narrowed  bool
	Instances []string
}

// Has reports whether the token grants the scope. No scope implies another.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Sees reports whether the token lets its caller see an instance of the account. A token without a
// list of instances sees all; one with an empty list sees none.
func (c Caller) Sees(region, id string) bool {
	if !c.Narrowed {
		return true
	}
	// A region that contains a slash would make two instances look alike.
	return !strings.Contains(region, "/") && slices.Contains(c.Instances, region+"/"+id)
}

// Options says whose tokens are accepted.
type Options struct {
	// Issuer must equal the claim iss exactly.
	Issuer string
	// Audience must be in the claim aud.
	Audience string
	// JWKSURL is the address of the issuer's public keys. It is not discovered: that would cost
	// another round trip on a cold start.
	JWKSURL string
	// AccountClaim and InstanceClaim are the claims' names; if empty, "account" and "instances".
	AccountClaim  string
	InstanceClaim string
	// Client fetches the keys; it follows no redirect. Nil is a client without a proxy.
	Client *http.Client
	// Now is the clock; nil is [time.Now].
	Now func() time.Time
}

// Verifier verifies tokens. Its methods may be called at once from many goroutines. Use one
// Verifier in a process, because it caches the keys and the callers.
type Verifier struct {
	options  Options
	keys     *keySet
	verified callerCache
}

// New returns a Verifier. It fetches nothing yet.
func New(o Options) *Verifier {
	if o.AccountClaim == "" {
		o.AccountClaim = "account"
	}
	if o.InstanceClaim == "" {
		o.InstanceClaim = "instances"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Verifier{options: o, keys: newKeySet(o.JWKSURL, o.Client, o.Now)}
}

// Prefetch begins to fetch the issuer's keys, and doesn't wait for them.
func (v *Verifier) Prefetch(ctx context.Context) { v.keys.document.Prefetch(ctx) }

// Caller verifies the request's Authorization: Bearer (RFC 6750, 2.1). Its error is a
// [problem.Problem]: [problem.NotSignedIn] (with the reason "expired" or "no_account" if it
// applies), or [problem.SignInUnavailable] while the issuer's keys can't be fetched. Neither holds
// any part of a token that the issuer didn't sign.
//
// A caller is kept in memory under the SHA-256 of its token, and the token isn't verified again for
// a minute, until it expires or the issuer's keys are fetched again, whichever is first.
func (v *Verifier) Caller(ctx context.Context, r *http.Request) (Caller, error) {
	raw, err := bearer(r)
	if err != nil {
		return Caller{}, refused(err)
	}
	hash := sha256.Sum256([]byte(raw))
	if known, ok := v.verified.get(hash); ok {
		_, version, err := v.keys.document.Current(ctx)
		if err == nil && known.keysVersion == version && v.options.Now().Before(known.until) {
			return known.caller, nil
		}
	}
	token, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil { // its text may quote a header that anyone could have written
		return Caller{}, refused(errNotSigned)
	}
	payload, version, err := v.keys.verify(ctx, token)
	switch {
	case errors.Is(err, cache.ErrNone):
		return Caller{}, problem.New(problem.SignInUnavailable).After(retryEmptyInterval).From(err)
	case err != nil:
		return Caller{}, refused(err)
	}
	now := v.options.Now()
	caller, expiry, err := v.read(payload, now)
	if err != nil {
		return Caller{}, err
	}
	v.verified.put(hash, cachedCaller{caller, version, cachedUntil(now, expiry)})
	return caller, nil
}

// read returns the caller and the expiry from the payload of a token that the issuer has signed. It
// refuses a token that isn't for this audience, or isn't valid now (RFC 7519, 4.1).
func (v *Verifier) read(payload []byte, now time.Time) (Caller, time.Time, error) {
	var token jwt.Claims
	var all claims
	err := errors.Join(json.Unmarshal(payload, &token), json.Unmarshal(payload, &all))
	expiry := token.Expiry.Time()
	switch {
	case err != nil:
		err = fmt.Errorf("reading the claims: %w", err)
	case token.Issuer != v.options.Issuer:
		err = fmt.Errorf("the token is of the issuer %q", token.Issuer)
	case !token.Audience.Contains(v.options.Audience):
		err = fmt.Errorf("the token is for the audience %q", token.Audience)
	case token.Expiry == nil:
		err = errors.New("the token never expires")
	case !now.Before(expiry):
		return Caller{}, expiry, problem.New(problem.NotSignedIn).Because("expired").
			From(fmt.Errorf("the token has expired at %v", expiry.UTC()))
	case token.NotBefore != nil && now.Add(notBeforeLeeway).Before(token.NotBefore.Time()):
		err = fmt.Errorf("the token is not valid before %v", token.NotBefore.Time().UTC())
	case token.Subject == "":
		err = errors.New("the token names no subject")
	}
	if err != nil {
		return Caller{}, expiry, refused(err)
	}
	caller, err := v.caller(token, all)
	return caller, expiry, err
}

// caller returns the caller that the claims of a valid token describe.
func (v *Verifier) caller(token jwt.Claims, all claims) (Caller, error) {
	c := Caller{Issuer: token.Issuer, Subject: token.Subject}
	var err error
	if c.Account, err = all.text(v.options.AccountClaim); err != nil {
		return Caller{}, problem.New(problem.NotSignedIn).Because("no_account").From(err)
	}
	if c.Scopes, err = all.scopes(); err != nil {
		return Caller{}, refused(err)
	}
	if c.Instances, c.Narrowed, err = all.words(v.options.InstanceClaim); err != nil {
		return Caller{}, refused(err)
	}
	return c, nil
}

// bearer returns the only bearer token of a request.
func bearer(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return "", errors.New("there is no Authorization header")
	case 1:
	default: // two readers might each use a different one
		return "", errors.New("there are several Authorization headers")
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	switch {
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return "", errors.New("the Authorization header holds no bearer token")
	case len(token) > maxTokenLength:
		return "", fmt.Errorf("the token is longer than %d bytes", maxTokenLength)
	}
	return token, nil
}

var errNotSigned = errors.New(
	"the bearer token isn't a JWT, or not signed with an asymmetric algorithm")

func refused(cause error) error { return problem.New(problem.NotSignedIn).From(cause) }
