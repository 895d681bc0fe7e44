package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// oauthError is a reply with an error code. It quotes what a hostile platform would like to see
// in our errors.
func oauthError(status int, code string) canned {
	return canned{status: status, body: fmt.Sprintf(
		`{"error": %q, "error_description": "<b>hostile</b> %s", "error_uri": "https://evil.example"}`,
		code, strings.Join(canaries(), " "),
	)}
}

func canaries() []string {
	return []string{
		canaryCode, canaryVerifier, canaryRefresh, canaryAccess, canaryOld, canaryNew,
		url.QueryEscape(canaryOld), url.QueryEscape(canaryNew),
	}
}

func TestWhatErrorCodesMean(t *testing.T) {
	const (
		none = problem.PlatformError
		ours = problem.ClientRefused
	)
	for _, c := range []struct {
		platform          string
		status            int
		error             string
		exchange, refresh problem.Code
		reason            string // of the exchange
		calls             int    // each
	}{
		{GitHub, 200, "bad_verification_code", problem.TokenRejected, none, "code", 1},
		{GitHub, 200, "bad_refresh_token", none, problem.TokenRevoked, "", 1},
		{GitHub, 200, "unverified_user_email", problem.TokenRejected, none, "unverified_email", 1},
		{GitHub, 200, "redirect_uri_mismatch", ours, ours, "", 1},
		{GitHub, 200, "incorrect_client_credentials", ours, ours, "", 2},
		{GitHub, 200, "application_suspended", ours, ours, "", 1},
		{GitHub, 404, "Not Found", ours, ours, "", 1},
		{GitHub, 200, "slow_down", problem.PlatformRateLimited, problem.PlatformRateLimited, "", 1},
		{GitHub, 200, "something_new", none, none, "", 1},
		{Gitee, 400, "invalid_grant", problem.TokenRejected, problem.TokenRevoked, "code", 1},
		{Gitee, 401, "invalid_grant", problem.TokenRejected, problem.TokenRevoked, "code", 1},
		{Gitee, 401, "invalid_client", ours, ours, "", 2},
		{Gitee, 401, "unsupported_grant_type", ours, ours, "", 1},
		{Bitbucket, 400, "invalid_grant", problem.TokenRejected, problem.TokenRevoked, "code", 1},
		{Bitbucket, 400, "unauthorized_client", ours, ours, "", 2},
		{Bitbucket, 400, "invalid_request", none, none, "", 1},
		{Bitbucket, 400, "temporarily_unavailable", none, none, "", 1},
	} {
		name := fmt.Sprint(c.platform, " ", c.status, " ", c.error)
		reply := oauthError(c.status, c.error)
		s := newOAuthSite(t, reply, reply)
		_, err := exchange(s.platform(t, c.platform))
		wantTold(t, name+" to an exchange", err, c.exchange, reasonOf(c.exchange, c.reason, c.error))
		s.got(t, c.calls)

		s = newOAuthSite(t, reply, reply)
		_, err = refresh(s.platform(t, c.platform))
		wantTold(t, name+" to a refresh", err, c.refresh, reasonOf(c.refresh, "", c.error))
		s.got(t, c.calls)
	}
}

// reasonOf returns the reason of a problem: a definite refusal that isn't listed for this grant has
// "refused", with the platform's own code.
func reasonOf(code problem.Code, reason, failure string) string {
	if code == problem.PlatformError && failure != "temporarily_unavailable" {
		return "refused"
	}
	return reason
}

func TestB4_FailuresOfTheSiteSayNothingAboutTheToken(t *testing.T) {
	const failed = problem.PlatformError
	for name, c := range map[string]struct {
		reply  canned
		code   problem.Code
		reason string
		after  time.Duration
	}{
		"500": {canned{status: 500, body: `{"error": "invalid_grant"}`}, failed, "", 0},
		"502 as HTML": {
			canned{status: 502, kind: "text/html", body: "<html>"}, failed, "", 0,
		},
		"503 with Retry-After": {
			canned{status: 503, header: map[string]string{"Retry-After": "30"}},
			failed, "", 30 * time.Second,
		},
		"408": {canned{status: 408}, failed, "", 0},
		"429": {
			canned{
				status: 429, header: map[string]string{"Retry-After": "7"},
				body: `{"error": "invalid_grant"}`,
			}, problem.PlatformRateLimited, "", 7 * time.Second,
		},
		"200 as HTML":       {canned{kind: "text/html", body: "access_token=a"}, failed, "", 0},
		"401 as HTML":       {canned{status: 401, kind: "text/html", body: "no"}, failed, "", 0},
		"200, nothing":      {canned{}, failed, "", 0},
		"200, empty object": {canned{body: "{}"}, failed, "", 0},
		"400 with a token":  {canned{status: 400, body: `{"access_token": "a"}`}, failed, "", 0},
		"401 without words": {canned{status: 401, body: `{}`}, failed, "", 0},
		"a very long body": {
			canned{body: `{"access_token": "` + strings.Repeat("a", 2<<20)}, failed, "", 0,
		},
		"a redirect": {
			canned{status: 307, header: map[string]string{"Location": "/elsewhere"}},
			failed, "intercepted", 0,
		},
	} {
		for _, platform := range oauthNames {
			for grant, redeem := range map[string]func(OAuthPlatform) (Token, error){
				"exchange": exchange, "refresh": refresh,
			} {
				s := newOAuthSite(t, c.reply)
				_, err := redeem(s.platform(t, platform))
				what := fmt.Sprintf("%s: %s to a %s", platform, name, grant)
				wantTold(t, what, err, c.code, c.reason)
				if got := problem.Of(err).RetryAfter; got != c.after {
					t.Errorf("%s: retry after %v, want %v", what, got, c.after)
				}
				s.got(t, 1)
			}
		}
	}
}

func TestB4_ASiteThatIsDownOrSilentIsUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	away := &oauthSite{url: "http://" + address}
	silent := newOAuthSite(t)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, name := range oauthNames {
		_, err := refresh(away.platform(t, name))
		wantTold(t, name+" away", err, problem.PlatformUnreachable, "refused")
		_, err = silent.platform(t, name).Refresh(gone, testApp(), secret.New(canaryRefresh))
		if !problem.Is(err, problem.PlatformUnreachable) {
			t.Errorf("%s: a refresh out of time gives %v", name, err)
		}
	}
}

func TestB5_ForbiddenIsNotRevoked(t *testing.T) {
	limited := map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772366460"}
	for name, c := range map[string]struct {
		platform string
		reply    canned
		code     problem.Code
		reason   string
	}{
		"a limit by headers": {
			GitHub, canned{status: 403, header: limited}, problem.PlatformRateLimited, "",
		},
		"a limit by words": {
			Gitee,
			canned{status: 403, kind: "text/plain", body: "403 Forbidden (Rate Limit Exceeded)"},
			problem.PlatformRateLimited, "",
		},
		"a bare 403 of Gitee": {
			Gitee,
			canned{status: 403, kind: "text/html", body: "<html>"},
			problem.PlatformError, "user_agent",
		},
		"a bare 403 of GitHub": {
			GitHub, canned{status: 403, kind: "text/html", body: "<html>"}, problem.PlatformError, "",
		},
		"a code with Gitee's 403": {
			Gitee, oauthError(403, "invalid_grant"), problem.PlatformError, "",
		},
		"a code with Bitbucket's 403": {
			Bitbucket, oauthError(403, "invalid_client"), problem.PlatformError, "",
		},
	} {
		s := newOAuthSite(t, c.reply, c.reply)
		p := s.platform(t, c.platform)
		_, err := refresh(p)
		wantTold(t, name+" to a refresh", err, c.code, c.reason)
		if c.reply.header != nil && problem.Of(err).RetryAfter != time.Minute {
			t.Errorf("%s: retry after %v, want a minute", name, problem.Of(err).RetryAfter)
		}
		_, err = check(p)
		if problem.Is(err, problem.TokenRejected) || err == nil {
			t.Errorf("%s to a check: %v", name, err)
		}
		s.got(t, 2)
	}
}

func TestTheNextClientSecretIsTried(t *testing.T) {
	wrong := map[string]canned{
		Gitee:     oauthError(401, "invalid_client"),
		GitHub:    oauthError(200, "incorrect_client_credentials"),
		Bitbucket: oauthError(400, "unauthorized_client"),
	}
	for name, reply := range wrong {
		s := newOAuthSite(t, reply, canned{body: `{"access_token": "a"}`})
		if token, err := refresh(s.platform(t, name)); err != nil || token.Access.Reveal() != "a" {
			t.Errorf("%s: the second secret gives %v", name, err)
		}
		calls := s.got(t, 2)
		wantClient(t, name, calls[0], canaryNew)
		wantClient(t, name, calls[1], canaryOld)
		if calls[1].form(t).Get("refresh_token") != canaryRefresh {
			t.Errorf("%s: the second try lacks the refresh token", name)
		}

		s = newOAuthSite(t, reply, oauthError(400, "invalid_grant"))
		_, err := refresh(s.platform(t, name))
		wantTold(t, name+" with the second secret", err, problem.TokenRevoked, "")
		s.got(t, 2)

		s = newOAuthSite(t)
		_, err = s.platform(t, name).Refresh(context.Background(), App{ClientID: "id"},
			secret.New(canaryRefresh))
		wantTold(t, name+" without a secret", err, problem.ClientRefused, "")
		s.got(t, 0)
	}
}

// gitHubRevoke revokes at a GitHub that gives these replies.
func gitHubRevoke(t *testing.T, replies ...canned) (*oauthSite, error) {
	t.Helper()
	s := newOAuthSite(t, replies...)
	cred := Credential{Access: secret.New(canaryAccess)}
	return s, s.platform(t, GitHub).Revoke(context.Background(), testApp(), cred)
}

func TestD1_NoFailureShowsASecret(t *testing.T) {
	quoting := strings.Join(canaries(), " ")
	replies := []canned{
		oauthError(400, "invalid_grant"), oauthError(401, "invalid_client"),
		oauthError(403, "x"), oauthError(500, "x"), oauthError(200, canaryAccess),
		oauthError(200, "a_new_code"),
		{body: `{"message": "` + quoting + `"}`},
		{body: quoting},
		{status: 401, body: `{"message": "Bad credentials ` + quoting + `"}`},
		{status: 404, kind: "text/html", body: "<html>" + quoting},
		{status: 410, body: `{"type": "error", "error": {"message": "` + quoting + `"}}`},
		{status: 429, header: map[string]string{"Retry-After": canaryAccess}},
		{status: 302, header: map[string]string{"Location": "https://" + canaryAccess + ".example"}},
		{body: `{"id": 7, "login": "x", "type": "` + canaryAccess + `"}`},
	}
	for i, reply := range replies {
		for _, name := range oauthNames {
			s := newOAuthSite(t, reply, reply, reply, reply, reply, reply, reply, reply)
			p := s.platform(t, name)
			_, exchanged := exchange(p)
			_, refreshed := refresh(p)
			_, checked := check(p)
			_, revoked := gitHubRevoke(t, reply, reply)
			for what, err := range map[string]error{
				"exchange": exchanged, "refresh": refreshed, "check": checked, "revoke": revoked,
			} {
				if leaks(err) {
					t.Errorf("%s: the error of the %s shows a secret of reply %d", name, what, i)
				}
			}
		}
	}
	// The transport's own errors name the address, and a hostile reply may break it.
	p, _ := New(Options{
		Guard: netguard.New(netguard.Options{}),
		Endpoints: Endpoints{
			"BINDERY_GITHUB_URL": "http://127.0.0.1:1", "BINDERY_GITHUB_API_URL": "http://127.0.0.1:1",
		},
	}).Get(GitHub)
	_, err := exchange(p.(OAuthPlatform))
	if err == nil || leaks(err) {
		t.Error("the error of an exchange with nobody shows a secret, or is none")
	}
}

// leaks reports whether an error shows a secret, in its text or as a problem in a reader's
// language.
func leaks(err error) bool {
	if err == nil || errors.Is(err, ErrNoRevoke) {
		return false
	}
	p := problem.Of(err)
	shown := fmt.Sprintf("%v %+v %#v %s %v %+v", err, err, err, p, p.Params, p.In(problem.English))
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		shown += fmt.Sprintf(" %v %+v", cause, cause)
	}
	for _, canary := range canaries() {
		if strings.Contains(shown, canary) {
			return true
		}
	}
	return strings.Contains(shown, "hostile")
}

func TestA10_ADescriptionIsNeverShown(t *testing.T) {
	huge := canned{status: 400, body: `{"error": "x", "error_description": "` +
		strings.Repeat("hostile ", 12_500) + `"}`}
	for _, name := range oauthNames {
		_, err := exchange(newOAuthSite(t, huge).platform(t, name))
		if err == nil || leaks(err) || len(err.Error()) > 200 {
			t.Errorf("%s: the description is shown, or there is no error", name)
		}
		_, err = exchange(newOAuthSite(t, oauthError(http.StatusBadRequest, "a<b")).platform(t, name))
		if err == nil || strings.Contains(err.Error(), "a<b") {
			t.Errorf("%s: a code that is none is shown", name)
		}
	}
}
