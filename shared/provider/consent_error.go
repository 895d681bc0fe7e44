package provider

import (
	"fmt"

	"bindery/shared/problem"
)

// consentErrors are what the errors of a consent mean that come back to the redirect URI: RFC 6749,
// 4.1.2.1, and GitHub's own from its "Troubleshooting authorization request errors".
var consentErrors = map[string]struct {
	code   problem.Code
	reason string
}{
	"access_denied": {problem.ConsentRefused, ""},
	"user_denied":   {problem.ConsentRefused, ""},

	"application_suspended":        {problem.ClientRefused, "suspended"},
	"redirect_uri_mismatch":        {problem.ClientRefused, "redirect_uri"},
	"invalid_redirect_uri":         {problem.ClientRefused, "redirect_uri"},
	"invalid_scope":                {problem.ClientRefused, "scope"},
	"unauthorized_client":          {problem.ClientRefused, ""},
	"unsupported_response_type":    {problem.ClientRefused, ""},
	"invalid_request":              {problem.ClientRefused, ""},
	"invalid_client":               {problem.ClientRefused, ""},
	"incorrect_client_credentials": {problem.ClientRefused, ""},

	"unverified_user_email": {problem.TokenRejected, "unverified_email"},

	"server_error":            {problem.PlatformError, "busy"},
	"temporarily_unavailable": {problem.PlatformError, "busy"},
}

// ConsentError returns the problem of an error that came back from a consent in place of a code.
// [problem.ConsentRefused] is the user's choice; [problem.ClientRefused] is the operator's matter,
// for an alarm; [problem.PlatformError] is passing, with the reason "busy", or "refused" and the
// code for an error that isn't known. code "" means that neither a code nor an error came.
//
// The error came through a browser, so its text is shown only if it looks like an error code.
func ConsentError(platform Platform, code string) *problem.Problem {
	title := platform.Describe().Title
	if known, ok := consentErrors[code]; ok {
		return problem.New(known.code).Because(known.reason).With("platform", title).
			From(fmt.Errorf("the consent at %s ended with the error %s", title, code))
	}
	p := problem.New(problem.PlatformError).With("platform", title)
	if code == "" {
		return p
	}
	return p.Because("refused").With("code", nameOf(code)).
		From(fmt.Errorf("the consent at %s ended with the error %s", title, nameOf(code)))
}
