package provider

import (
	"fmt"
	"net/http"
	"strings"

	"bindery/shared/problem"
)

// grantType is the grant that is redeemed at a token endpoint.
type grantType string

// The grants of RFC 6749, 4.1.3 and 6.
const (
	codeGrant    grantType = "authorization_code"
	refreshGrant grantType = "refresh_token"
)

// refusal is what an error code of a token endpoint means for each grant. "" means nothing
// definite.
type refusal struct {
	code, refresh problem.Code
	reason        string
	// tryNextSecret says that the app's next secret may be accepted. Only when the client wasn't
	// authenticated is the grant certainly unused.
	tryNextSecret bool
}

// refusals is the one table of what the error codes of token endpoints mean: RFC 6749, 5.2;
// GitHub's own from its "Troubleshooting OAuth app access token request errors". What isn't
// listed is [problem.PlatformError], which is transient: a token is given up only on known codes.
var refusals = map[string]refusal{
	"invalid_grant":         grantRefused("code"),
	"bad_verification_code": {code: problem.TokenRejected, reason: "code"},
	"unverified_user_email": {code: problem.TokenRejected, reason: "unverified_email"},
	"bad_refresh_token":     {refresh: problem.TokenRevoked},

	// Bitbucket sends unauthorized_client for a wrong secret too.
	"invalid_client":               appRefused(true),
	"incorrect_client_credentials": appRefused(true),
	"unauthorized_client":          appRefused(true),

	"invalid_scope":          appRefused(false),
	"redirect_uri_mismatch":  appRefused(false),
	"unsupported_grant_type": appRefused(false),
	"application_suspended":  appRefused(false),
	"Not Found":              appRefused(false), // GitHub, for a client id that it doesn't know

	"slow_down": {code: problem.PlatformRateLimited, refresh: problem.PlatformRateLimited},

	// A platform's own trouble, sent with any status.
	"server_error":            passing(),
	"temporarily_unavailable": passing(),
}

func passing() refusal {
	return refusal{code: problem.PlatformError, refresh: problem.PlatformError}
}

func grantRefused(reason string) refusal {
	return refusal{code: problem.TokenRejected, refresh: problem.TokenRevoked, reason: reason}
}

func appRefused(tryNextSecret bool) refusal {
	return refusal{
		code: problem.ClientRefused, refresh: problem.ClientRefused, tryNextSecret: tryNextSecret,
	}
}

// means returns the problem code for this grant.
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

// read interprets a token endpoint's reply. tryNextSecret reports whether the app's next secret may
// solve the problem.
//
// Rate limits, server errors and 403 come first, whatever the body says: limits and firewalls
// answer 403, and no platform is known to refuse a grant permanently with it.
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
		if t.failure == "invalid_request" && deadRefreshToken(t.description) {
			refused = refusal{refresh: problem.TokenRevoked}
		}
		return tokenReply{}, refused.tryNextSecret, o.refused(r, t.failure, refused, g)
	case !r.ok():
		return tokenReply{}, false, o.means(problem.PlatformError, r)
	}
	return t, false, nil
}

// deadRefreshToken reports whether the description of an invalid_request says that the refresh
// token isn't valid, and not that it is missing. Bitbucket answers so: "Invalid refresh_token".
//
// Source: readthedocs.org#2992, dockstore#3855.
func deadRefreshToken(description string) bool {
	text := strings.NewReplacer("_", " ", "-", " ", "\"", "", "'", "", "`", "").
		Replace(strings.ToLower(description))
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ".!")
	for _, word := range []string{"invalid", "expired", "revoked", "unknown"} {
		if text == word+" refresh token" {
			return true
		}
		for _, verb := range []string{"is", "was", "has", "has been", "is already"} {
			if strings.HasSuffix(text, "refresh token "+verb+" "+word) {
				return true
			}
		}
	}
	return strings.HasSuffix(text, "refresh token is not valid")
}

// refused returns the problem of an error code. It shows nothing of error_description, which is
// untrusted text and may quote the request.
//
// A code that isn't listed is a definite refusal nevertheless: the platform answered, and the grant
// isn't used up. Its problem has the reason "refused" and the code as a parameter.
func (o *oauth) refused(r reply, failure string, f refusal, g grantType) *problem.Problem {
	code := f.means(g)
	p := o.means(code, r).From(
		fmt.Errorf("%s answered %d with the error %s", o.title, r.status, nameOf(failure)),
	)
	switch {
	case code == problem.TokenRejected:
		return p.Because(f.reason)
	case code == problem.PlatformError && f.code != problem.PlatformError &&
		failure != unnamedFailure:
		return p.Because("refused").With("code", nameOf(failure))
	}
	return p
}

// nameOf returns an error code in a form that may be logged. An unknown one is untrusted text too:
// it is returned only if it looks like a code, which no token does.
func nameOf(failure string) string {
	if _, known := refusals[failure]; known {
		return failure
	}
	if len(failure) > 40 || strings.Trim(failure, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return unnamedFailure
	}
	return failure
}

// forbidden returns the problem of a 403. Without an error code it isn't the token endpoint's.
func (o *oauth) forbidden(r reply) *problem.Problem {
	if strings.Contains(strings.ToLower(string(r.body)), "rate limit") {
		return o.means(problem.PlatformRateLimited, r)
	}
	p := o.means(problem.PlatformError, r)
	if t, err := readTokenReply(r.header, r.body); err == nil && t.failure != "" {
		return p
	}
	return p.Because(o.forbiddenReason)
}
