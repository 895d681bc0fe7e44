// Package auth says who is calling: it verifies the access token of a request (a JWT, RFC 9068
// in spirit, signed by the one configured issuer) and reads from it the user, the account, the
// scopes and the instances that the caller may see. It also holds the cap on calls per caller.
//
// It leaves to others what a scope allows and which instances an account has. It knows no
// sessions and no cookies: a request without a bearer is not signed in.
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

// maxTokenLength in bytes. Function Compute takes 4 KB of headers in all; nobody needs more than 8.
const maxTokenLength = 8 << 10

// Caller is who a verified token speaks for. A user is issuer, subject and account together: the
// same subject in another account is somebody else.
type Caller struct {
	Issuer  string
	Subject string
	// Account is the tenant. It comes from the token alone, never from the request.
	Account string
	// Scopes are what the token grants.
	Scopes []string
	// Instances are those that the token is narrowed to, as region/id. See [Caller.Sees].
	Instances []string

	narrowed bool
}

// Has reports whether the token grants the scope. No scope implies another.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Sees reports whether the token lets its caller see the instance, if it is the account's at all. A
// token that isn't narrowed sees all; one that is narrowed to nothing sees none.
func (c Caller) Sees(region, id string) bool {
	if !c.narrowed {
		return true
	}
	// A region with a slash in it would make two instances look alike.
	return !strings.Contains(region, "/") && slices.Contains(c.Instances, region+"/"+id)
}

// Options say whose tokens are taken.
type Options struct {
	// Issuer must equal the claim iss, letter for letter.
	Issuer string
	// Audience must be in the claim aud.
	Audience string
	// JWKSURL is where the issuer's public keys are. Nothing is discovered: on a cold start that
	// would be another round trip.
	JWKSURL string
	// AccountClaim and InstanceClaim name the claims, "account" and "instances" if empty.
	AccountClaim  string
	InstanceClaim string
	// Client fetches the keys; its redirects are not followed. Without one, a client is made that
	// uses no proxy.
	Client *http.Client
	// Now is the clock, [time.Now] if nil.
	Now func() time.Time
}

// Verifier verifies tokens. Its methods may be called at once from many goroutines; one Verifier
// a process keeps the keys warm.
type Verifier struct {
	options Options
	keys    *keySet
}

// New makes a Verifier. It fetches nothing yet.
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
// [problem.Problem]: [problem.NotSignedIn] (with the reason "expired" or "no_account" where it is
// that), or [problem.SignInUnavailable] while the issuer's keys can't be had. Neither holds any
// part of a token that is not the issuer's own.
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
	case !signature.done: // go-oidc's error quotes a header that anybody can have written
		return Caller{}, refused(errNotSigned)
	case errors.Is(signature.err, cache.ErrNone):
		return Caller{}, problem.New(problem.SignInUnavailable).After(retryEmpty).
			From(signature.err)
	case signature.err != nil:
		return Caller{}, refused(signature.err)
	case err != nil:
		return Caller{}, expiredOr(err)
	case token.Issuer != v.options.Issuer: // go-oidc lets one issuer leave out its scheme
		return Caller{}, refused(errors.New("the issuer is written in another way"))
	}
	return v.read(token)
}

// read takes the caller from the claims of a token that is genuine.
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
	if c.Instances, c.narrowed, err = all.words(v.options.InstanceClaim); err != nil {
		return Caller{}, refused(err)
	}
	return c, nil
}

// bearer finds the one token of a request.
func bearer(r *http.Request) (string, error) {
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return "", errors.New("there is no Authorization header")
	case 1:
	default: // two readers might each believe another one
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

var errNotSigned = errors.New("the bearer is no JWT, or not signed by an asymmetric algorithm")

func refused(cause error) error { return problem.New(problem.NotSignedIn).From(cause) }

func expiredOr(cause error) error {
	var expired *oidc.TokenExpiredError
	if errors.As(cause, &expired) && !expired.Expiry.IsZero() { // zero: it has no exp at all
		return problem.New(problem.NotSignedIn).Because("expired").From(cause)
	}
	return refused(cause)
}
