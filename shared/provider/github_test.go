package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

const octocat = `{"id": 9007199254740993, "login": "octocat", "name": null, "type": "User",
	"avatar_url": "https://a.example/u/1", "html_url": "https://github.com/octocat"}`

// withScopes is a user's reply with X-OAuth-Scopes.
func withScopes(body, scopes string) canned {
	return canned{body: body, header: map[string]string{"X-OAuth-Scopes": scopes}}
}

func TestGitHubCheckReturnsIdentityAndScopes(t *testing.T) {
	s := newOAuthSite(t, withScopes(octocat, "gist, repo"))
	f, err := check(s.platform(t, GitHub), "stale")
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{
		ID: "9007199254740993", Username: "octocat",
		AvatarURL: "https://a.example/u/1", ProfileURL: "https://github.com/octocat",
	}
	if f.Identity != want {
		t.Errorf("identity = %+v, want %+v", f.Identity, want)
	}
	if f.GitUsername != "x-access-token" || !f.ExpiresAt.IsZero() || f.Warnings != nil ||
		!slices.Equal(f.Scopes, []string{"gist", "repo"}) {
		t.Errorf("found %+v", f)
	}
	call := s.got(t, 1)[0]
	if call.method != http.MethodGet || call.path != "/user" ||
		call.header.Get("Authorization") != "Bearer "+canaryAccess ||
		call.header.Get("X-GitHub-Api-Version") == "" {
		t.Errorf("GitHub was asked by %s %s, or without its headers", call.method, call.path)
	}
}

func TestA17_GitHubConsentWithFewerScopes(t *testing.T) {
	const lacks = problem.PermissionMissing
	for name, c := range map[string]struct {
		reply   canned
		granted []string
		code    problem.Code // "" is a good check
		warns   problem.Code
	}{
		"taken away later": {withScopes(octocat, "gist"), []string{"repo"}, lacks, ""},
		"all taken away":   {withScopes(octocat, ""), []string{"repo"}, lacks, ""},
		"only public ones": {withScopes(octocat, "public_repo"), nil, lacks, ""},
		"hooks alone":      {withScopes(octocat, "admin:repo_hook"), nil, lacks, ""},
		"told by the token": {
			canned{body: octocat}, []string{"gist"}, lacks, "",
		},
		"good by the token": {canned{body: octocat}, []string{"repo"}, "", ""},
		"told by nobody":    {canned{body: octocat}, nil, "", problem.PermissionNotProvable},
	} {
		s := newOAuthSite(t, c.reply)
		f, err := check(s.platform(t, GitHub), c.granted...)
		s.got(t, 1)
		if c.code != "" {
			wantTold(t, name, err, c.code, "whole_consent")
			if got := problem.Of(err).Params["missing"]; got != "repo" {
				t.Errorf("%s: %q is named as missing, want repo", name, got)
			}
			continue
		}
		wantWarning(t, name, f, err, c.warns)
	}
}

// wantWarning fails unless the check is good and warns of this alone; "" is of nothing.
func wantWarning(t *testing.T, name string, f CheckResult, err error, code problem.Code) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	var codes []problem.Code
	for _, w := range f.Warnings {
		codes = append(codes, w.Code)
	}
	if code == "" && codes != nil || code != "" && !slices.Equal(codes, []problem.Code{code}) {
		t.Errorf("%s: the warnings are %v, want %q", name, codes, code)
	}
}

func TestOnlyPersonalGitHubAccounts(t *testing.T) {
	for body, kind := range map[string]string{
		`{"id": 1, "login": "acme", "type": "Organization"}`:   "Organization",
		`{"id": 1, "login": "ci[bot]", "type": "Bot"}`:         "Bot",
		`{"id": 1, "login": "x", "type": "<b>hostile</b> 42"}`: "unknown",
	} {
		_, err := check(newOAuthSite(t, withScopes(body, "repo")).platform(t, GitHub))
		wantTold(t, body, err, problem.NotAPersonalAccount, "")
		if got := problem.Of(err).Params["type"]; got != kind {
			t.Errorf("the type is told as %q, want %q", got, kind)
		}
	}
}

func TestGitHubRepliesThatAreNoUser(t *testing.T) {
	for name, reply := range map[string]canned{
		"no id":        {body: `{"login": "x", "type": "User"}`},
		"id 0":         {body: `{"id": 0, "login": "x", "type": "User"}`},
		"negative id":  {body: `{"id": -1, "login": "x", "type": "User"}`},
		"float id":     {body: `{"id": 1.5, "login": "x", "type": "User"}`},
		"huge id":      {body: `{"id": 99999999999999999999, "login": "x", "type": "User"}`},
		"no login":     {body: `{"id": 1, "type": "User"}`},
		"no type":      {body: `{"id": 1, "login": "x"}`},
		"a list":       {body: `[]`},
		"empty":        {},
		"HTML":         {kind: "text/html", body: "<html>"},
		"not found":    {status: 404, body: `{"message": "Not Found"}`},
		"a redirect":   {status: 301, header: map[string]string{"Location": "/x"}},
		"unavailable":  {status: 503},
		"rate limited": {status: 429, header: map[string]string{"Retry-After": "5"}},
		"secondary limit": {
			status: 403, body: `{"message": "You have exceeded a secondary rate limit"}`,
		},
	} {
		s := newOAuthSite(t, reply)
		_, err := check(s.platform(t, GitHub), "repo")
		if !problem.Is(err, problem.PlatformError) && !problem.Is(err, problem.PlatformRateLimited) {
			t.Errorf("%s: the check gives %v", name, err)
		}
		s.got(t, 1)
	}
}

func TestB5_AnUnauthorizedRightAfterARefreshIsRetriedOnce(t *testing.T) {
	refused := canned{status: 401, body: `{"message": "Bad credentials"}`}
	s := newOAuthSite(t, refused, withScopes(octocat, "repo"))
	if f, err := check(s.platform(t, GitHub)); err != nil || f.Identity.Username != "octocat" {
		t.Errorf("a check that is let in at the second try gives %v", err)
	}
	s.got(t, 2)
	if len(s.slept) != 1 || s.slept[0] <= 0 || s.slept[0] > 5*time.Second {
		t.Errorf("it waited %v in between, want once and shortly", s.slept)
	}

	s = newOAuthSite(t, refused, refused)
	_, err := check(s.platform(t, GitHub))
	wantTold(t, "refused twice", err, problem.TokenRejected, "consent")
	s.got(t, 2)

	s = newOAuthSite(t, refused)
	p := s.platform(t, GitHub).(*gitHub)
	ctx, cancel := context.WithCancel(context.Background())
	p.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	if _, err := p.Check(ctx, Credential{Access: secret.New(canaryAccess)}); err == nil ||
		problem.Is(err, problem.TokenRejected) {
		t.Errorf("a wait that is cut short gives %v, want nothing said of the token", err)
	}
	s.got(t, 1)
}

func TestSuspendedGitHubUser(t *testing.T) {
	s := newOAuthSite(t, canned{
		status: 403, body: `{"message": "Sorry. Your account was suspended."}`,
	})
	_, err := check(s.platform(t, GitHub))
	wantTold(t, "suspended", err, problem.UserBlocked, "suspended")
}

func TestGitHubRevokesOneTokenNeverTheGrant(t *testing.T) {
	s, err := gitHubRevoke(t, canned{status: http.StatusNoContent})
	if err != nil {
		t.Fatal(err)
	}
	call := s.got(t, 1)[0]
	id, password, _ := (&http.Request{Header: call.header}).BasicAuth()
	if call.method != http.MethodDelete || call.path != "/applications/id%201/token" {
		t.Errorf("it was revoked by %s %s", call.method, call.path)
	}
	if id != "id 1" || password != canaryNew || call.body != `{"access_token":"`+canaryAccess+`"}` {
		t.Error("the app's id, its newest secret or the token are not where they belong")
	}
}

func TestGitHubRevokeOutcomes(t *testing.T) {
	wrong := canned{status: 401, body: `{"message": "Bad credentials"}`}
	for name, c := range map[string]struct {
		replies []canned
		code    problem.Code // "" is nil
	}{
		"dead already":          {[]canned{{status: 404, body: `{"message": "Not Found"}`}}, ""},
		"dead already, by 422":  {[]canned{{status: 422, body: `{"message": "Invalid"}`}}, ""},
		"a gateway's 404":       {[]canned{{status: 404}}, problem.PlatformError},
		"a gateway's 401":       {[]canned{{status: 401, body: `{}`}}, problem.PlatformError},
		"the older secret":      {[]canned{wrong, {status: 204}}, ""},
		"no secret is accepted": {[]canned{wrong, wrong}, problem.ClientRefused},
		"down":                  {[]canned{{status: 502}}, problem.PlatformError},
		"limited":               {[]canned{{status: 429}}, problem.PlatformRateLimited},
		"forbidden":             {[]canned{{status: 403}}, problem.PlatformError},
		"a redirect": {
			[]canned{{status: 307, header: map[string]string{"Location": "/x"}}}, problem.PlatformError,
		},
	} {
		s, err := gitHubRevoke(t, c.replies...)
		if c.code == "" && err != nil || c.code != "" && !problem.Is(err, c.code) {
			t.Errorf("%s: Revoke gives %v, want %q", name, err, c.code)
		}
		s.got(t, len(c.replies))
	}
	s := newOAuthSite(t)
	err := s.platform(t, GitHub).Revoke(context.Background(), App{ClientID: "x"}, Credential{})
	if !problem.Is(err, problem.ClientRefused) || !errors.Is(err, errNoSecret) {
		t.Errorf("without a secret Revoke gives %v", err)
	}
	s.got(t, 0)
}
