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
// words that are known.
type dialect struct {
	// title is the platform's own name.
	title string
	// needs are the permissions that are named where the platform doesn't say which one is missing.
	needs string
	// userAddress says that a user entered the address, which may not be that platform at all.
	userAddress bool
	rules       []rule
}

// rule says what a refusal means. The first rule that matches counts.
type rule struct {
	status int
	// contains is text of the reply's error in lower case; "" matches any.
	contains string
	means    problem.Code
	reason   string
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
	case r.html():
		return c.unexpected(r)
	case c.userAddress && !r.json() && r.status != http.StatusNotFound:
		return c.means(problem.PlatformError, r) // a proxy in front of the API answered
	}
	text := r.errorText()
	for _, rule := range c.rules {
		if rule.status == r.status && strings.Contains(text, rule.contains) {
			return c.means(rule.means, r).Because(rule.reason)
		}
	}
	return c.means(problem.PlatformError, r)
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
