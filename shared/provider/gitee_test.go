package provider

import (
	"slices"
	"testing"

	"bindery/shared/problem"
)

const giteeUser = `{"id": 1535738, "login": "kit", "name": "小 K\u0007", "type": "User",
	"avatar_url": "javascript:alert(1)", "html_url": "https://gitee.com/kit"}`

func TestGiteeCheckReturnsIdentityAndScopes(t *testing.T) {
	s := newOAuthSite(t, canned{body: giteeUser})
	f, err := check(s.platform(t, Gitee), "user_info", "projects", "hook", "groups", "gists")
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{
		ID: "1535738", Username: "kit", Name: "小 K", ProfileURL: "https://gitee.com/kit",
	}
	if f.Identity != want {
		t.Errorf("identity = %+v, want %+v", f.Identity, want)
	}
	if f.GitUsername != "oauth2" || f.Warnings != nil || !slices.Contains(f.Scopes, "gists") {
		t.Errorf("found %+v", f)
	}
	call := s.got(t, 1)[0]
	if call.path != "/api/v5/user" || call.header.Get("Authorization") != "Bearer "+canaryAccess {
		t.Errorf("Gitee was asked at %s, or without the token in its header", call.path)
	}
}

func TestA17_GiteeConsentWithFewerScopes(t *testing.T) {
	for name, c := range map[string]struct {
		granted []string
		missing string // "" is a good check
		warns   problem.Code
	}{
		"all":              {[]string{"user_info", "projects", "hook", "groups"}, "", ""},
		"hook unticked":    {[]string{"user_info", "projects", "groups"}, "hook", ""},
		"one left":         {[]string{"user_info"}, "projects, hook", ""},
		"groups unticked":  {[]string{"hook", "projects", "user_info"}, "", problem.PermissionMissing},
		"told by nobody":   {nil, "", problem.PermissionNotProvable},
		"a name like it's": {[]string{"user_info", "projects_x", "hook"}, "projects", ""},
	} {
		f, err := check(newOAuthSite(t, canned{body: giteeUser}).platform(t, Gitee), c.granted...)
		if c.missing != "" {
			wantTold(t, name, err, problem.PermissionMissing, "consent")
			if got := problem.Of(err).Params["missing"]; got != c.missing {
				t.Errorf("%s: %q is named as missing, want %q", name, got, c.missing)
			}
			continue
		}
		wantWarning(t, name, f, err, c.warns)
		if c.warns == problem.PermissionMissing && f.Warnings[0].Params["missing"] != "groups" {
			t.Errorf("%s: the warning names %v", name, f.Warnings[0].Params)
		}
	}
}

func TestGiteeRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		reply  canned
		code   problem.Code
		reason string
	}{
		"expired": {
			canned{status: 401, body: `{"message": "401 Unauthorized: Access token is expired"}`},
			problem.TokenExpired, "consent",
		},
		"revoked": {
			canned{status: 401, body: `{"message": "401 Unauthorized"}`},
			problem.TokenRejected, "consent",
		},
		"no right": {
			canned{status: 403, body: `{"error": "insufficient_scope"}`},
			problem.PermissionMissing, "consent",
		},
		"forbidden": {canned{status: 403, body: `{}`}, problem.PlatformError, ""},
		"no login":  {canned{body: `{"id": 1}`}, problem.PlatformError, ""},
		"text id":   {canned{body: `{"id": "one", "login": "x"}`}, problem.PlatformError, ""},
	} {
		s := newOAuthSite(t, c.reply)
		_, err := check(s.platform(t, Gitee), "user_info", "projects", "hook")
		wantTold(t, name, err, c.code, c.reason)
		s.got(t, 1) // a 401 is tried again at GitHub only
	}
}
