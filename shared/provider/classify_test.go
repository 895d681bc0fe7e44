package provider

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func testClient(name string) *client {
	dialects := map[string]dialect{
		Codeup: codeupDialect(), Gitee: giteeDialect(), GitHub: gitHubDialect(), GitLab: gitLabDialect(),
		Bitbucket: bitbucketDialect(),
	}
	return &client{dialect: dialects[name], now: func() time.Time { return noon }}
}

func (c canned) reply() reply {
	r := reply{status: c.status, header: http.Header{}, body: []byte(c.body)}
	r.header.Set("Content-Type", c.kind)
	for name, value := range c.header {
		r.header.Set(name, value)
	}
	return r
}

func TestRefusalsMeanWhatThePlatformsSay(t *testing.T) {
	for _, tt := range []struct {
		platform string
		status   int
		body     string
		code     problem.Code
		reason   string
	}{
		{Codeup, 401, `{"errorCode":"ExpiredTokenError"}`, problem.TokenExpired, ""},
		{Codeup, 401, `{"errorMessage":"Token has expired"}`, problem.TokenExpired, ""},
		{Codeup, 401, `{"errorCode":"InvalidTokenError"}`, problem.TokenRejected, ""},
		{Codeup, 401, `ExpiredTokenError: no JSON at all`, problem.TokenExpired, ""},
		{Codeup, 401, ``, problem.PlatformError, "intercepted"},
		{Codeup, 403, `{"errorCode":"Forbidden"}`, problem.PermissionMissing, ""},
		{Codeup, 403, `no JSON at all`, problem.PlatformError, "intercepted"},
		{
			Codeup, 403, `{"errorCode":"Forbidden.InvalidUser.UserNotInCurrentOrganization"}`,
			problem.OrganizationUnknown, "not_a_member",
		},
		{
			Codeup, 403, `{"errorCode":"Forbidden.InvalidOrganizationMember"}`,
			problem.OrganizationUnknown, "not_a_member",
		},
		{Codeup, 403, `{"errorCode":"SYSTEM_FORBIDDEN_ERROR"}`, problem.AddressNotListed, ""},
		{Codeup, 403, `{"errorDescription":"不在设置白名单范围内"}`, problem.AddressNotListed, ""},
		{
			Codeup, 400, `{"errorCode":"UnsupportedCurrentTokenType"}`,
			problem.TokenRejected, "token_type",
		},
		{Codeup, 400, `{"errorCode":"BadRequest"}`, problem.PlatformError, ""},
		{Codeup, 404, `{"errorCode":"NotFound"}`, problem.PlatformError, ""},
		{Codeup, 500, `{"errorCode":"ExpiredTokenError"}`, problem.PlatformError, ""},

		{
			Gitee, 401, `{"message":"401 Unauthorized: Access token is expired"}`,
			problem.TokenExpired, "",
		},
		{Gitee, 401, `{"message":"401 Unauthorized"}`, problem.TokenRejected, ""},
		{Gitee, 403, `{"message":"403 Forbidden"}`, problem.PlatformError, ""},

		{GitHub, 401, `{"message":"Bad credentials"}`, problem.TokenRejected, ""},
		{
			GitHub, 403, `{"message":"You have exceeded a secondary rate limit."}`,
			problem.PlatformRateLimited, "",
		},
		{
			GitHub, 403, `{"message":"API rate limit exceeded for user"}`,
			problem.PlatformRateLimited, "",
		},
		{
			GitHub, 403, `{"message":"Sorry. Your account was suspended"}`,
			problem.UserBlocked, "suspended",
		},
		{GitHub, 403, `{"message":"Forbidden"}`, problem.PlatformError, ""},

		{GitLab, 401, `{"message":"401 Unauthorized"}`, problem.TokenRejected, ""},
		{
			GitLab, 401, `{"error":"invalid_token","error_description":"Token is expired. Renew it."}`,
			problem.TokenExpired, "",
		},
		{
			GitLab, 401, `{"error":"invalid_token","error_description":"Token was revoked."}`,
			problem.TokenRejected, "revoked",
		},
		{GitLab, 401, `Unauthorized`, problem.PlatformError, "not_the_api"},
		{GitLab, 403, `{"error":"insufficient_scope"}`, problem.PermissionMissing, ""},
		{
			GitLab, 403, `{"message":"403 Forbidden - Your account has been blocked."}`,
			problem.UserBlocked, "blocked",
		},
		{
			GitLab, 403, `{"message":"Your account has been deactivated"}`,
			problem.UserBlocked, "deactivated",
		},
		{GitLab, 403, `{"message":"403 Forbidden"}`, problem.PlatformError, ""},
		{GitLab, 403, `you are blocked by the firewall`, problem.PlatformError, "not_the_api"},
		{GitLab, 404, `404 page not found`, problem.PlatformError, "not_the_platform"},

		{
			Bitbucket, 401,
			`{"type":"error","error":{"message":"Access token expired. Use your refresh token"}}`,
			problem.TokenExpired, "",
		},
		{Bitbucket, 401, `{"type":"error","error":{"message":"Bad"}}`, problem.TokenRejected, ""},
		{
			Bitbucket, 403,
			`{"error":{"message":"Your credentials lack one or more required privilege scopes."}}`,
			problem.PermissionMissing, "",
		},
		{Bitbucket, 403, `{"error":"insufficient_scope"}`, problem.PermissionMissing, ""},
	} {
		what := fmt.Sprintf("%s, %d %s", tt.platform, tt.status, tt.body)
		c := testClient(tt.platform)
		p := c.judge(canned{status: tt.status, body: tt.body}.reply())
		testkit.WantProblem(t, what, p, tt.code, tt.reason)
		if p.Params["platform"] != c.title {
			t.Errorf("%s: the platform is %q", what, p.Params["platform"])
		}
	}
}

func TestB5_AForbiddenOfARateLimitIsNotAMissingPermission(t *testing.T) {
	reset := strconv.FormatInt(noon.Add(10*time.Minute).Unix(), 10)
	for _, name := range Names() {
		for header, want := range map[[4]string]time.Duration{
			{"Retry-After", "60"}: time.Minute,
			{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset}:        10 * time.Minute,
			{"RateLimit-Remaining", "0", "RateLimit-Reset", reset}:            10 * time.Minute,
			{"RateLimit-Remaining", "0", "RateLimit-Reset", "30"}:             30 * time.Second,
			{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "in a while"}: 0,
		} {
			p := testClient(name).judge(canned{
				status: 403, body: `{"message":"insufficient_scope"}`,
				header: map[string]string{header[0]: header[1], header[2]: header[3]},
			}.reply())
			if p.Code != problem.PlatformRateLimited || p.RetryAfter != want {
				t.Errorf("%s %v: got %v after %v, want %v", name, header, p, p.RetryAfter, want)
			}
		}
	}
}

// GitHub's limits come without headers too.
func TestB5_ALimitOfGitHubsIsToldByItsText(t *testing.T) {
	for _, text := range []string{
		"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		"API rate limit exceeded for user ID 1.",
		"You have triggered an abuse detection mechanism.",
		"Maximum number of login attempts exceeded. Please try again later.",
	} {
		p := testClient(GitHub).judge(canned{status: 403, body: `{"message":"` + text + `"}`}.reply())
		testkit.WantProblem(t, text, p, problem.PlatformRateLimited, "")
	}
}

func TestB4_RetryAfterIsBounded(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":              0,
		"soon":          0,
		"NaN":           0,
		"0":             time.Second,
		"-5":            time.Second,
		"7":             7 * time.Second,
		" 7 ":           7 * time.Second,
		"1.5":           1500 * time.Millisecond,
		"86400":         time.Hour,
		"1e300":         time.Hour,
		"+Inf":          time.Hour,
		"9999999999999": time.Hour,

		noon.Add(30 * time.Second).Format(http.TimeFormat):    30 * time.Second,
		noon.Add(-30 * time.Second).Format(http.TimeFormat):   time.Second,
		noon.Add(30 * 24 * time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		r := canned{status: 503, header: map[string]string{"Retry-After": text}}.reply()
		if got := r.retryAfter(noon); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	// Good replies name a reset too; a failure of the server doesn't wait for it.
	r := canned{status: 500, header: map[string]string{
		"X-RateLimit-Remaining": "4999",
		"X-RateLimit-Reset":     strconv.FormatInt(noon.Add(50*time.Minute).Unix(), 10),
	}}.reply()
	if got := r.retryAfter(noon); got != 0 {
		t.Errorf("a server's failure waits %v for a limit that wasn't reached", got)
	}
}
