// Package auth determines who is calling. It verifies a request's access token (a JWT, following
// RFC 9068, signed by the one configured issuer) and reads from it the user, the account, the
// scopes and the instances that the caller may see. It also limits the calls of each caller.
//
// What a scope allows and which instances an account has is left to other packages. There are no
// sessions and no cookies: a request without a bearer token is not signed in.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"bindery/shared/cache"
	"bindery/shared/problem"
)

// maxTokenLength is in bytes. Function Compute accepts 4 KB of headers in all, and no issuer needs
// more than 8.
const maxTokenLength = 8 << 10

// Caller is the user that a verified token represents. A user is identified by issuer, subject and
// account together: the same subject in another account is another user.
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
// Verifier in a process, because it caches the keys.
type Verifier struct {
	options Options
	keys    *keySet
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

// Caller verifies the request's Authorization: Bearer (RFC 6750, 2.1). Its error is a
// [problem.Problem]: [problem.NotSignedIn] (with the reason "expired" or "no_account" if it
// applies), or [problem.SignInUnavailable] while the issuer's keys can't be fetched. Neither holds
// any part of a token that the issuer didn't sign.
func (v *Verifier) Caller(ctx context.Context, r *http.Request) (Caller, error) {
	raw, err := bearer(r)
	if err != nil {
		return Caller{}, refused(err)
	}
	signature := &check{keys: v.keys}
	token, err := oidc.NewVerifier(v.options.Issuer, signature, &oidc.Config{
		ClientID:             v.options.Audience,
		SupportedSigningAlgs: algorithms(),
		Now:                  v.options.Now,
	}).Verify(ctx, raw)
	switch {
	case !signature.done: // go-oidc's error quotes a header that anyone could have written
		return Caller{}, refused(errNotSigned)
	case errors.Is(signature.err, cache.ErrNone):
		return Caller{}, problem.New(problem.SignInUnavailable).After(retryEmptyInterval).
			From(signature.err)
	case signature.err != nil:
		return Caller{}, refused(signature.err)
	case err != nil:
		return Caller{}, expiredOr(err)
	case token.Issuer != v.options.Issuer: // go-oidc accepts one issuer without its scheme
		return Caller{}, refused(errors.New("the issuer is spelled in another way"))
	}
	return v.read(token)
}

// read returns the caller from the claims of a verified token.
func (v *Verifier) read(token *oidc.IDToken) (Caller, error) {
	var all claims
	if err := token.Claims(&all); err != nil {
		return Caller{}, refused(fmt.Errorf("reading the claims: %w", err))
	}
	c := Caller{Issuer: token.Issuer, Subject: token.Subject}
	if c.Subject == "" {
		return Caller{}, refused(errors.New("the token names no subject"))
	}
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

func expiredOr(cause error) error {
	var expired *oidc.TokenExpiredError
	if errors.As(cause, &expired) && !expired.Expiry.IsZero() { // zero: the token has no exp
		return problem.New(problem.NotSignedIn).Because("expired").From(cause)
	}
	return refused(cause)
}
