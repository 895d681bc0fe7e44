package provider

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/problem"
)

// dialect is what has to be known of a platform to understand its API's replies; those of the
// token endpoints are in [refusals]. What isn't listed, and isn't told by the status (see
// [client.judge]), is [problem.PlatformError], which is transient: a token is given up only on
// words that are known to be the platform's own about this token. Gateways, sign-on proxies and
// firewalls answer 401, 403 and 404 too, in JSON of their own.
type dialect struct {
	// title is the platform's own name.
	title string
	// needs are the permissions that are named where the platform doesn't say which one is missing.
	needs string
	// userAddress says that a user entered the address, which may not be that platform at all.
	userAddress bool
	// plainText says that the API may send an error's text without JSON.
	plainText bool
	// forbiddenReason is the problem's reason for a 403 that isn't the API's, if the platform's own
	// servers are known to send one.
	forbiddenReason string
	rules           []rule
}

// rule says what a refusal means. The first rule that matches counts.
type rule struct {
	status int
	// code and text are patterns for the reply's error in lower case: "*" at an end stands for any
	// text, and "" matches any.
	code, text string
	means      problem.Code
	reason     string
}

// matches reports whether the rule says what this refusal means.
func (u rule) matches(status int, e apiError) bool {
	return u.status == status && matches(u.code, e.code) && matches(u.text, e.text)
}

// matches reports whether s fits a rule's pattern.
func matches(pattern, s string) bool {
	if pattern == "" {
		return true
	}
	inner, anyStart := strings.CutPrefix(pattern, "*")
	inner, anyEnd := strings.CutSuffix(inner, "*")
	switch {
	case anyStart && anyEnd:
		return strings.Contains(s, inner)
	case anyStart:
		return strings.HasSuffix(s, inner)
	case anyEnd:
		return strings.HasPrefix(s, inner)
	}
	return s == inner
}

// judge returns the problem that a reply means, nil for a successful one.
//
// Rate limits come first, since GitHub also sends them as 403; then the answers of proxies, load
// balancers and maintenance pages, which say nothing about the token.
func (c *client) judge(r reply) *problem.Problem {
	switch {
	case r.ok():
		return nil
	case r.limited():
		return c.means(problem.PlatformRateLimited, r)
	case r.status >= 500, r.status == http.StatusRequestTimeout:
		return c.means(problem.PlatformError, r)
	case c.userAddress && r.status == http.StatusNotFound:
		return c.unexpected(r)
	}
	e, isJSON := r.apiError()
	if r.html() || !isJSON && !c.plainText {
		return c.notTheAPI(r)
	}
	for _, rule := range c.rules {
		if rule.matches(r.status, e) {
			return c.means(rule.means, r).Because(rule.reason)
		}
	}
	switch r.status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return c.notTheAPI(r)
	case http.StatusForbidden:
		gitLabs := e.code == onlyMessage && strings.HasPrefix(e.text, "403 forbidden")
		if c.userAddress && !gitLabs || !isJSON {
			return c.notTheAPI(r)
		}
	}
	return c.means(problem.PlatformError, r)
}

// notTheAPI returns the problem of a refusal that isn't the API's: a gateway, a sign-on proxy or a
// firewall has answered instead. It says nothing about the token.
func (c *client) notTheAPI(r reply) *problem.Problem {
	reason := "intercepted"
	switch {
	case c.userAddress:
		reason = "not_the_api"
	case r.status == http.StatusForbidden && c.forbiddenReason != "":
		reason = c.forbiddenReason
	}
	return c.means(problem.PlatformError, r).Because(reason)
}

// means returns the problem with its parameters and delay.
func (c *client) means(code problem.Code, r reply) *problem.Problem {
	p := c.problem(code).From(fmt.Errorf("%s answered %d", c.title, r.status))
	switch code {
	case problem.PlatformError, problem.PlatformRateLimited:
		return p.After(r.retryAfter(c.now()))
	case problem.PermissionMissing:
		return p.With("missing", c.needs)
	}
	return p
}

// limited reports whether the reply is a rate limit: 429, or a 403 with the headers of a limit
// that was reached.
func (r reply) limited() bool {
	if r.status == http.StatusTooManyRequests {
		return true
	}
	return r.status == http.StatusForbidden &&
		(r.header.Get("Retry-After") != "" || r.exhausted())
}

func (r reply) exhausted() bool {
	return r.header.Get("X-RateLimit-Remaining") == "0" ||
		r.header.Get("RateLimit-Remaining") == "0"
}

// The bounds of a Retry-After. Without them a host could cause a flood of calls to it, or keep a
// binding waiting for days.
const (
	minRetryAfter = time.Second
	maxRetryAfter = time.Hour
)

// retryAfter returns how long the platform asks to wait, 0 if it doesn't say: Retry-After in
// seconds or as a date (RFC 9110, 10.2.3), else, when a limit was reached, its reset time: GitHub's
// X-RateLimit-Reset, GitLab's RateLimit-Reset.
func (r reply) retryAfter(now time.Time) time.Duration {
	after := strings.TrimSpace(r.header.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(after, 64); err == nil && !math.IsNaN(seconds) {
		return clampWait(seconds)
	}
	if at, err := http.ParseTime(after); err == nil {
		return clampWait(at.Sub(now).Seconds())
	}
	if !r.limited() {
		return 0 // successful replies of GitHub and GitLab name a reset too
	}
	for _, name := range []string{"X-RateLimit-Reset", "RateLimit-Reset"} {
		reset, err := strconv.ParseInt(strings.TrimSpace(r.header.Get(name)), 10, 64)
		if err != nil {
			continue
		}
		if reset < 1e9 { // seconds from now, as in later drafts of the header
			return clampWait(float64(reset))
		}
		return clampWait(float64(reset - now.Unix()))
	}
	return 0
}

func clampWait(seconds float64) time.Duration {
	seconds = min(max(seconds, minRetryAfter.Seconds()), maxRetryAfter.Seconds())
	return time.Duration(seconds * float64(time.Second))
}
