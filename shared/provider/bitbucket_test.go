package provider

import (
	"testing"

	"bindery/shared/problem"
)

const bitbucketUser = `{"uuid": "{87bb15eb-47c1-49b3-9f16-ca824a2979a4}", "account_id": "557058:2a",
	"nickname": "brad", "display_name": "Brad R", "type": "user", "links": {
		"avatar": {"href": "https://a.example/brad"}, "html": {"href": "https://bitbucket.org/brad/"}
	}}`

func TestBitbucketCheckReturnsIdentityAndScopes(t *testing.T) {
	s := newOAuthSite(t, canned{body: bitbucketUser})
	f, err := check(s.platform(t, Bitbucket), "account", "repository", "webhook")
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{
		ID: "{87bb15eb-47c1-49b3-9f16-ca824a2979a4}", Username: "brad", Name: "Brad R",
		AvatarURL: "https://a.example/brad", ProfileURL: "https://bitbucket.org/brad/",
	}
	if f.Identity != want {
		t.Errorf("identity = %+v, want %+v", f.Identity, want)
	}
	if f.GitUsername != "x-token-auth" || f.Warnings != nil || len(f.Scopes) != 3 {
		t.Errorf("found %+v", f)
	}
	call := s.got(t, 1)[0]
	if call.path != "/2.0/user" || call.header.Get("Authorization") != "Bearer "+canaryAccess {
		t.Errorf("Bitbucket was asked at %s, or without the token in its header", call.path)
	}
}

func TestA17_BitbucketConsumerWithFewerScopes(t *testing.T) {
	for name, c := range map[string]struct {
		granted []string
		header  string
		missing string // "" is a good check
	}{
		"told by the token": {[]string{"account", "repository"}, "", "webhook"},
		"told by a header":  {nil, "account", "repository, webhook"},
		"the token's win":   {[]string{"account", "repository", "webhook"}, "account", ""},
		"write includes":    {[]string{"account", "repository:write", "webhook"}, "", ""},
		"account's write":   {[]string{"account:write", "repository", "webhook"}, "", ""},
		"pull requests do":  {[]string{"account", "pullrequest", "webhook"}, "", ""},
		"projects do":       {nil, "project, webhook, account", ""},
		"admin does not":    {[]string{"account", "repository:admin", "webhook"}, "", "repository"},
	} {
		reply := canned{body: bitbucketUser}
		if c.header != "" {
			reply = withScopes(bitbucketUser, c.header)
		}
		f, err := check(newOAuthSite(t, reply).platform(t, Bitbucket), c.granted...)
		if c.missing == "" {
			wantWarning(t, name, f, err, "")
			continue
		}
		wantTold(t, name, err, problem.PermissionMissing, "consumer")
		if got := problem.Of(err).Params["missing"]; got != c.missing {
			t.Errorf("%s: %q is named as missing, want %q", name, got, c.missing)
		}
	}
	f, err := check(newOAuthSite(t, canned{body: bitbucketUser}).platform(t, Bitbucket))
	wantWarning(t, "told by nobody", f, err, problem.PermissionNotProvable)
}

func TestBitbucketRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		reply  canned
		code   problem.Code
		reason string
	}{
		"expired": {
			canned{status: 401, body: `{"type": "error", "error": {"message": "Access token expired. ` +
				`Use your refresh token to obtain a new access token."}}`},
			problem.TokenExpired, "consent",
		},
		"revoked": {
			canned{status: 401, body: `{"type": "error", "error": {"message": "Token is invalid"}}`},
			problem.TokenRejected, "consent",
		},
		"no right": {
			canned{status: 403, body: `{"type": "error", "error": {"message": "Your credentials lack ` +
				`one or more required privilege scopes."}}`},
			problem.PermissionMissing, "consumer",
		},
		"gone": {
			canned{status: 410, body: `{"type": "error", "error": {"message": "Gone", "data": ` +
				`{"announcement_url": "https://x.example"}}}`},
			problem.PlatformError, "gone",
		},
		"no uuid":     {canned{body: `{"nickname": "x"}`}, problem.PlatformError, ""},
		"odd uuid":    {canned{body: `{"uuid": "{a b}", "nickname": "x"}`}, problem.PlatformError, ""},
		"no nickname": {canned{body: `{"uuid": "{1}"}`}, problem.PlatformError, ""},
	} {
		s := newOAuthSite(t, c.reply)
		_, err := check(s.platform(t, Bitbucket), "account", "repository", "webhook")
		wantTold(t, name, err, c.code, c.reason)
		s.got(t, 1)
	}
}
