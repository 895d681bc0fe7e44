package provider

import (
	"fmt"
	"net/http"
	"strings"

	"bindery/shared/problem"
)

// grantType is what is redeemed at a token endpoint.
type grantType string

// The grants of RFC 6749, 4.1.3 and 6.
const (
	codeGrant    grantType = "authorization_code"
	refreshGrant grantType = "refresh_token"
)

// refusal is what an error code of a token endpoint means for the one grant and the other. "" is
// nothing definite.
type refusal struct {
	code, refresh problem.Code
	reason        string
	// tryNextSecret says that the app's next secret may do better. Only a client that was not let
	// in has left the grant untouched for sure.
	tryNextSecret bool
}

// refusals is the one table of what the error codes of token endpoints mean: RFC 6749, 5.2;
// GitHub's own from its "Troubleshooting OAuth app access token request errors". What isn't
// listed is [problem.PlatformError], which is passing: a token is given up on known words only.
var refusals = map[string]refusal{
	"invalid_grant":         grantRefused("code"),
	"bad_verification_code": {code: problem.TokenRejected, reason: "code"},
	"unverified_user_email": {code: problem.TokenRejected, reason: "unverified_email"},
	"bad_refresh_token":     {refresh: problem.TokenRevoked},

	// Bitbucket says unauthorized_client of a wrong secret too.
	"invalid_client":               appRefused(true),
	"incorrect_client_credentials": appRefused(true),
	"unauthorized_client":          appRefused(true),

	"redirect_uri_mismatch":  appRefused(false),
	"unsupported_grant_type": appRefused(false),
	"application_suspended":  appRefused(false),
	"Not Found":              appRefused(false), // GitHub, for a client id that it doesn't know

	"slow_down": {code: problem.PlatformRateLimited, refresh: problem.PlatformRateLimited},
}

func grantRefused(reason string) refusal {
	return refusal{code: problem.TokenRejected, refresh: problem.TokenRevoked, reason: reason}
}

func appRefused(tryNextSecret bool) refusal {
	return refusal{
		code: problem.ClientRefused, refresh: problem.ClientRefused, tryNextSecret: tryNextSecret,
	}
}

// means is the problem code for this grant.
func (f refusal) means(g grantType) problem.Code {
	code := f.code
	if g == refreshGrant {
		code = f.refresh
	}
	if code == "" {
		return problem.PlatformError
	}
	return code
}

// read says what a token endpoint's reply means. tryNextSecret is true for a problem that the
// app's next secret may mend.
//
// Limits, a server's own failure and 403 come first, whatever the body says: 403 is what limits
// and firewalls answer, and no platform is known to refuse a grant for good with it.
func (o *oauth) read(r reply, g grantType) (t tokenReply, tryNextSecret bool, err error) {
	switch {
	case r.limited():
		return t, false, o.means(problem.PlatformRateLimited, r)
	case r.status >= 500, r.status == http.StatusRequestTimeout:
		return t, false, o.means(problem.PlatformError, r)
	case r.status == http.StatusForbidden:
		return t, false, o.forbidden(r)
	}
	t, err = readTokenReply(r.header, r.body)
	switch {
	case err != nil:
		cause := fmt.Errorf("%s answered %d: %w", o.title, r.status, err)
		return tokenReply{}, false, o.means(problem.PlatformError, r).From(cause)
	case t.failure != "":
		refused := refusals[t.failure]
		return tokenReply{}, refused.tryNextSecret, o.refused(r, t.failure, refused, g)
	case !r.ok():
		return tokenReply{}, false, o.means(problem.PlatformError, r)
	}
	return t, false, nil
}

// refused is the problem of an error code. error_description isn't looked at: it is anybody's
// text, and may quote what we sent.
func (o *oauth) refused(r reply, failure string, f refusal, g grantType) *problem.Problem {
	code := f.means(g)
	p := o.means(code, r).From(
		fmt.Errorf("%s answered %d with the error %s", o.title, r.status, nameOf(failure)),
	)
	if code == problem.TokenRejected {
		return p.Because(f.reason)
	}
	return p
}

// nameOf is an error code as it may be logged. An unknown one is anybody's text too: it is named
// only if it looks like a code, which no token does.
func nameOf(failure string) string {
	if _, known := refusals[failure]; known {
		return failure
	}
	if len(failure) > 40 || strings.Trim(failure, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return unnamedFailure
	}
	return failure
}

// forbidden is the problem of a 403. Gitee answers so to a call without a User-Agent (its
// oauth_doc), which then was lost on the way, for every call of ours carries one.
func (o *oauth) forbidden(r reply) *problem.Problem {
	if strings.Contains(r.errorText(), "rate limit") {
		return o.means(problem.PlatformRateLimited, r)
	}
	p := o.means(problem.PlatformError, r)
	if t, err := readTokenReply(r.header, r.body); err == nil && t.failure != "" {
		return p
	}
	return p.Because(o.forbiddenReason)
}
