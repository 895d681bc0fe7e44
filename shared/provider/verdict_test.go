package provider

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// notTheAPI are 401, 403 and 407 replies of what stands in front of a platform: web pages,
// gateways, single sign-on, firewalls. None says anything about the token.
func notTheAPI() map[string]canned {
	page := func(status int) canned {
		return canned{status: status, kind: "text/html", body: "<html><title>Just a moment"}
	}
	replies := map[string]canned{
		"401 page": page(401), "403 page": page(403), "407 page": page(407),
		"401 empty": {status: 401}, "401 white": {status: 401, body: "  \n"},
		"401 text":    {status: 401, kind: "text/plain", body: "Unauthorized"},
		"403 text":    {status: 403, kind: "text/plain", body: "Access denied by policy"},
		"407 text":    {status: 407, kind: "text/plain", body: "Proxy Authentication Required"},
		"401 list":    {status: 401, body: `["401 Unauthorized"]`},
		"401 a text":  {status: 401, body: `"401 Unauthorized"`},
		"401 null":    {status: 401, body: `null`},
		"407 as JSON": {status: 407, body: `{"message":"401 Unauthorized"}`},
	}
	for _, body := range []string{
		`{}`,
		`{"error":"You need to sign in or sign up before continuing."}`,
		`{"error":"您需要登录或注册后才能继续。"}`,
		`{"message":"Missing API key found in request"}`,
		`{"message":"No API key found in request"}`,
		`{"message":"no Route matched"}`,
		`{"message":"no Route matched with those values"}`,
		`{"message":"Unauthorized"}`,
		`{"message":"Invalid authentication credentials"}`,
		`{"message":"The incoming token has expired"}`,
		`{"message":"Token is expired"}`,
		`{"error":"unauthorized","login":"https://sso.example/login"}`,
		`{"error":"unauthorized"}`,
		`{"error":"invalid_token","error_description":"Cannot convert access token to JSON"}`,
		`{"error":"expired","message":"session expired, sign in again"}`,
		`{"error":{"code":401,"status":"Unauthorized","message":"Access credentials are invalid"}}`,
		`{"fault":{"faultstring":"Invalid access token","detail":{"errorcode":"x"}}}`,
		`{"status":401,"error":"Unauthorized","message":"401 Unauthorized","path":"/api/v4/user"}`,
		`{"code":"16","message":"401 Unauthorized"}`,
	} {
		replies["401 "+body] = canned{status: 401, body: body}
	}
	return replies
}

func TestF1_WhatIsNotTheAPISaysNothingAboutTheToken(t *testing.T) {
	for name, reply := range notTheAPI() {
		for _, platform := range Names() {
			p := testClient(platform).judge(reply.reply())
			if p.Code != problem.PlatformError || p.Reason == "" {
				t.Errorf("%s, %s: got %v", platform, name, p)
			}
			speaksOfAnAddress := strings.Contains(p.In(problem.English).Remedy, "address") ||
				strings.Contains(p.In(problem.Chinese).Remedy, "地址")
			if speaksOfAnAddress != (platform == GitLab) {
				t.Errorf("%s, %s: the remedy is %q", platform, name, p.In(problem.English).Remedy)
			}
		}
		for _, path := range []string{userPath, selfPath} {
			s := newTokenSite(t, with(gitLabReplies(), path, reply))
			_, err := s.gitLab().Verify(t.Context(), submit(s.URL))
			wantTold(t, "Verify, "+path+" "+name, err, problem.PlatformError, "not_the_api")
			_, err = s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
			wantTold(t, "Check, "+path+" "+name, err, problem.PlatformError, "not_the_api")
		}
		s := newCodeupSite(t, with(codeupReplies(), cuUser, reply), aliceOnly)
		_, err := s.codeup().Verify(t.Context(), codeupSubmission())
		wantTold(t, "Codeup's Verify, "+name, err, problem.PlatformError, "intercepted")
		for _, platform := range oauthNames {
			o := newOAuthSite(t, reply, reply, reply, reply)
			_, err := check(o.platform(t, platform), "repo")
			if !problem.Is(err, problem.PlatformError) {
				t.Errorf("%s, %s to a check: got %v", platform, name, err)
			}
			o = newOAuthSite(t, reply, reply)
			if _, err = refresh(o.platform(t, platform)); !problem.Is(err, problem.PlatformError) {
				t.Errorf("%s, %s to a refresh: got %v", platform, name, err)
			}
			o = newOAuthSite(t, reply, reply)
			if _, err = exchange(o.platform(t, platform)); !problem.Is(err, problem.PlatformError) {
				t.Errorf("%s, %s to an exchange: got %v", platform, name, err)
			}
		}
	}
}

func TestF1_ThePlatformsOwnWordsEndAToken(t *testing.T) {
	for _, tt := range []struct {
		platform, body string
		code           problem.Code
		reason         string
	}{
		{GitLab, `{"message":"401 Unauthorized"}`, problem.TokenRejected, ""},
		{GitLab, `{"error":"invalid_token","error_description":"Token was revoked. You have to ` +
			`re-authorize from the user."}`, problem.TokenRejected, "revoked"},
		{GitLab, `{"error":"invalid_token","error_description":"Token is expired. You can either do ` +
			`re-authorization or token refresh."}`, problem.TokenExpired, ""},
		{
			GitLab, `{"error":"invalid_token","error_description":"Bad Access Token."}`,
			problem.TokenRejected, "",
		},
		{GitLab, `{"error":"invalid_token","error_description":"Token is an impersonation token but ` +
			`impersonation was disabled."}`, problem.PermissionMissing, "impersonation"},
		{
			GitLab, `{"error":"dpop_error","error_description":"DPoP validation error"}`,
			problem.PermissionMissing, "dpop",
		},
		{
			Codeup, `{"errorCode":"InvalidTokenError","errorMessage":"Token is invalid","requestId":"1"}`,
			problem.TokenRejected, "",
		},
		{Codeup, `{"errorCode":"Unauthorized","errorMessage":"x"}`, problem.TokenRejected, ""},
		{Codeup, `{"errorDescription":"Token is invalid"}`, problem.TokenRejected, ""},
		{GitHub, `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest",` +
			`"status":"401"}`, problem.TokenRejected, ""},
		{
			Gitee, `{"message":"401 Unauthorized: Access token does not exist"}`,
			problem.TokenRejected, "",
		},
		{Gitee, `{"message":"401 Unauthorized: Access token is expired"}`, problem.TokenExpired, ""},
		{
			Gitee, `{"error":"invalid_token","error_description":"The access token was revoked"}`,
			problem.TokenRejected, "",
		},
		{Bitbucket, `{"type":"error","error":{"message":"Access token expired. Use your refresh ` +
			`token to obtain a new access token."}}`, problem.TokenExpired, ""},
		{Bitbucket, `{"type":"error","error":{"message":"Token is invalid, expired, or not ` +
			`supported for this endpoint."}}`, problem.TokenRejected, ""},
	} {
		p := testClient(tt.platform).judge(canned{status: 401, body: tt.body}.reply())
		wantTold(t, tt.platform+" "+tt.body, p, tt.code, tt.reason)
	}
}

func TestF3_ADeadRefreshTokenByInvalidRequest(t *testing.T) {
	body := func(description string) canned {
		return canned{status: 400, body: `{"error_description": "` + description +
			`", "error": "invalid_request"}`}
	}
	for _, description := range []string{
		"Invalid refresh_token", "invalid refresh token.", "Invalid refresh_token!",
		"The refresh token is invalid", "The refresh_token was revoked.",
		"This refresh token has expired", "refresh token is not valid",
	} {
		s := newOAuthSite(t, body(description), body(description))
		p := s.platform(t, Bitbucket)
		_, err := refresh(p)
		wantTold(t, description, err, problem.TokenRevoked, "")
		_, err = exchange(p)
		wantTold(t, description+" to an exchange", err, problem.PlatformError, "refused")
	}
	for _, description := range []string{
		"", "Missing required parameter: refresh_token", "refresh_token is required",
		"Invalid parameter", "Invalid request: refresh_token parameter is repeated", "Invalid client",
	} {
		_, err := refresh(newOAuthSite(t, body(description)).platform(t, Bitbucket))
		wantTold(t, description, err, problem.PlatformError, "refused")
		if got := problem.Of(err).Params["code"]; got != "invalid_request" {
			t.Errorf("%q: the code is %q", description, got)
		}
	}
}

func TestF5_OnlyARedirectOfTheSameSiteIsAMovedPlatform(t *testing.T) {
	elsewhere := "https://sso.example"
	for location, want := range map[string]string{
		"{site}/gitlab/api/v4/user":                     "redirect",
		"/gitlab/api/v4/user":                           "redirect",
		"https://127.0.0.1/api/v4/user":                 "redirect", // from http
		"https://127.0.0.1/":                            "redirect",
		elsewhere + "/api/v4/user":                      "not_the_api",
		"//sso.example/api/v4/user":                     "not_the_api",
		elsewhere + "/login?return=/api/v4/user":        "not_the_api",
		"https://127.0.0.1:8443/api/v4/user":            "not_the_api",
		"https://user@127.0.0.1/api/v4/user":            "not_the_api",
		"https://127.0.0.1@sso.example/api/v4/user":     "not_the_api",
		"/users/sign_in":                                "not_the_api",
		"{site}/login":                                  "not_the_api",
		"{site}/oauth2/start?rd=%2Fapi%2Fv4%2Fuser":     "not_the_api",
		"/x?rd=/api/v4/user":                            "not_the_api",
		"/saml/api/v4/user":                             "not_the_api",
		"/cdn-cgi/access/login/gitlab.example.com":      "not_the_api",
		"ftp://127.0.0.1/api/v4/user":                   "not_the_api",
		"":                                              "not_the_api",
		"https://127.0.0.1.sso.example/api/v4/user":     "not_the_api",
		"/auth/realms/company/protocol/openid-connect/": "not_the_api",
	} {
		s := newTokenSite(t, nil)
		s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", strings.ReplaceAll(location, "{site}", s.URL))
			w.WriteHeader(http.StatusFound)
			return true
		}
		_, err := s.gitLab().Verify(t.Context(), submit(s.URL))
		wantTold(t, location, err, problem.PlatformError, want)
		same(t, location, s.paths(), []string{"GET " + userPath})
	}
}

func TestF4_RefusalsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		platform string
		status   int
		body     string
		code     problem.Code
		reason   string
	}{
		{GitLab, 403, `{"message":"403 Forbidden - You (@mei) must accept the Terms of Service in ` +
			`order to perform this action. To accept these terms, please access GitLab from a web ` +
			`browser at https://gitlab.example.com."}`, problem.UserBlocked, "terms"},
		{GitLab, 403, `{"message":"403 Forbidden - Your password expired. Please access GitLab from ` +
			`a web browser to update your password."}`, problem.UserBlocked, "password_expired"},
		{
			GitLab, 403, `{"message":"403 Forbidden - Your primary email address is not confirmed. ` +
				`Please check your inbox for the confirmation instructions."}`,
			problem.UserBlocked, "unconfirmed_email",
		},
		{GitLab, 403, `{"message":"403 Forbidden - Your account is pending approval from your ` +
			`administrator and hence blocked."}`, problem.UserBlocked, "pending_approval"},
		{
			GitLab, 403, `{"message":"403 Forbidden - Your account has been deactivated by your ` +
				`administrator. Please log back in from a web browser to reactivate your account"}`,
			problem.UserBlocked, "deactivated",
		},
		{GitLab, 403, `{"message":"403 Forbidden - This action cannot be performed by internal ` +
			`users"}`, problem.UserBlocked, "internal_user"},
		{
			GitLab, 403, `{"message":"403 Forbidden - Your account has been blocked."}`,
			problem.UserBlocked, "blocked",
		},
		{GitLab, 403, `{"message":"403 Forbidden - 您的帐户已被禁用。"}`, problem.UserBlocked, ""},
		{GitLab, 403, `{"message":"403 Forbidden"}`, problem.PlatformError, ""},
		{GitLab, 403, `{"message":"Forbidden"}`, problem.PlatformError, "not_the_api"},
		{
			GitLab, 403, `{"message":"403 Forbidden - blocked by policy","rule":"7"}`,
			problem.PlatformError, "not_the_api",
		},
		{
			GitLab, 403, `{"error":"insufficient_granular_scope","error_description":"Access denied"}`,
			problem.PermissionMissing, "fine_grained",
		},
		{GitHub, 403, `{"message":"Although you appear to have the correct authorization ` +
			`credentials, the organization has an IP allow list enabled, and your IP address is not ` +
			`permitted to access this resource."}`, problem.AddressNotListed, ""},
		{
			GitHub, 403, `{"message":"Resource protected by organization SAML enforcement. You must ` +
				`grant your OAuth token access to this organization."}`,
			problem.PermissionMissing, "single_sign_on",
		},
		{
			GitHub, 403, `{"message":"Although you appear to have the correct authorization ` +
				`credentials, the organization has enabled OAuth App access restrictions"}`,
			problem.PermissionMissing, "not_approved",
		},
		{
			GitHub, 403, `{"message":"At least one email address must be verified to do that."}`,
			problem.UserBlocked, "unconfirmed_email",
		},
		{
			GitHub, 403, `{"message":"Resource not accessible by integration"}`,
			problem.ClientRefused, "github_app",
		},
		{GitHub, 403, `{"message":"Maximum number of login attempts exceeded. Please try again ` +
			`later."}`, problem.PlatformRateLimited, ""},
		{GitHub, 403, `{"message":"Request forbidden by administrative rules. Please make sure your ` +
			`request has a User-Agent header"}`, problem.PlatformError, "user_agent"},
		{
			Gitee, 403, `{"message":"403 Forbidden: scope user_info is missing"}`,
			problem.PermissionMissing, "",
		},
		{Gitee, 403, `{"message":"该账号已被锁定"}`, problem.UserBlocked, "blocked"},
		{Gitee, 403, `Forbidden`, problem.PlatformError, "user_agent"},
		{Bitbucket, 403, `{"type":"error","error":{"message":"To access this repository, an admin ` +
			`must whitelist your IP."}}`, problem.AddressNotListed, ""},
		{Bitbucket, 403, `{"type":"error","error":{"message":"You must enable two-step ` +
			`verification."}}`, problem.UserBlocked, "two_step"},
		{Bitbucket, 403, `{"type":"error","error":{"message":"The token lacks a scope that this ` +
			`needs."}}`, problem.PermissionMissing, ""},
		{Codeup, 400, `{"errorCode":"SYSTEM_FORBIDDEN_ERROR"}`, problem.AddressNotListed, ""},
		{Codeup, 403, `{"errorCode":"SomethingNew"}`, problem.PlatformError, ""},
	} {
		p := testClient(tt.platform).judge(canned{status: tt.status, body: tt.body}.reply())
		wantTold(t, tt.platform+" "+tt.body, p, tt.code, tt.reason)
	}
}

func TestF4_AStateThatIsNotActiveSaysWhatToDo(t *testing.T) {
	for state, reason := range map[string]string{
		"blocked": "blocked", "ldap_blocked": "ldap_blocked", "deactivated": "deactivated",
		"banned": "banned", "blocked_pending_approval": "pending_approval", "newer": "",
	} {
		s := newTokenSite(t, with(gitLabReplies(), userPath, canned{
			body: `{"id":42,"username":"alice","state":"` + state + `"}`,
		}))
		_, err := s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
		wantTold(t, state, err, problem.UserBlocked, reason)
	}
}

func TestF6_ErrorsOfAConsent(t *testing.T) {
	for code, want := range map[string]struct {
		code   problem.Code
		reason string
	}{
		"access_denied":             {problem.ConsentRefused, ""},
		"application_suspended":     {problem.ClientRefused, "suspended"},
		"redirect_uri_mismatch":     {problem.ClientRefused, "redirect_uri"},
		"unauthorized_client":       {problem.ClientRefused, ""},
		"invalid_scope":             {problem.ClientRefused, "scope"},
		"unsupported_response_type": {problem.ClientRefused, ""},
		"invalid_request":           {problem.ClientRefused, ""},
		"server_error":              {problem.PlatformError, "busy"},
		"temporarily_unavailable":   {problem.PlatformError, "busy"},
		"something_new":             {problem.PlatformError, "refused"},
		"<b>hostile</b>":            {problem.PlatformError, "refused"},
		"":                          {problem.PlatformError, ""},
	} {
		for _, name := range oauthNames {
			p := ConsentError(newOAuthSite(t).platform(t, name), code)
			wantTold(t, name+" "+code, p, want.code, want.reason)
			if leaks(p) {
				t.Errorf("%s: the problem shows %q", name, code)
			}
		}
	}
}

// No platform that is bound by consent has an address that a user typed.
func TestF6_NoRemedySpeaksOfAnAddressThatNobodyTyped(t *testing.T) {
	codes := []problem.Code{
		problem.PlatformError, problem.PlatformUnreachable, problem.ClientRefused,
	}
	for _, code := range codes {
		for _, reason := range append(problem.Reasons(code), "") {
			switch reason {
			case "not_the_platform", "not_the_api", "redirect": // only of a typed address
				continue
			}
			p := problem.New(code).Because(reason).With("platform", "GitHub").With("code", "x")
			for lang, word := range map[problem.Language]string{
				problem.English: "address", problem.Chinese: "地址",
			} {
				if text := p.In(lang); strings.Contains(text.Remedy, word) {
					t.Errorf("%s %s: the remedy is %q", code, reason, text.Remedy)
				}
			}
		}
	}
}

func TestF6_AGitHubAppIsTheOperatorsMatter(t *testing.T) {
	s := newOAuthSite(t, withScopes(octocat, ""))
	cred := Credential{Access: secret.New("ghu_canary")}
	_, err := s.platform(t, GitHub).Check(t.Context(), cred)
	wantTold(t, "a GitHub App's token", err, problem.ClientRefused, "github_app")
}

func TestF7_ACompressedTokenReplyIsRead(t *testing.T) {
	var packed strings.Builder
	w := gzip.NewWriter(&packed)
	body := `{"access_token":"a","refresh_token":"r","expires_in":60}`
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range oauthNames {
		s := newOAuthSite(t, canned{
			header: map[string]string{"Content-Encoding": "gzip"}, body: packed.String(),
		})
		token, err := refresh(s.platform(t, name))
		if err != nil || token.Access.Reveal() != "a" || token.Refresh.Reveal() != "r" {
			t.Errorf("%s: got %v", name, err)
		}
		if got := s.got(t, 1)[0].header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("%s: Accept-Encoding is %q", name, got)
		}
	}
}

func TestF8_ABotsUserNameIsNamed(t *testing.T) {
	old := newTokenSite(t, with(gitLabReplies(), userPath, canned{
		body: `{"id":42,"username":"group_9_bot","state":"active"}`,
	}))
	_, err := old.gitLab().Verify(t.Context(), submit(old.URL))
	wantTold(t, "Verify at an older GitLab", err, problem.UsernameMismatch, "bot")
	s := newTokenSite(t, with(gitLabReplies(), userPath, canned{
		body: `{"id":42,"username":"project_7_bot_0a","state":"active","bot":true}`,
	}))
	_, err = s.gitLab().Verify(t.Context(), submit(s.URL))
	wantTold(t, "Verify", err, problem.UsernameMismatch, "bot")
	if remedy := problem.Of(err).In(problem.English).Remedy; !strings.Contains(
		remedy, "project_7_bot_0a") {
		t.Errorf("the remedy is %q", remedy)
	}
	in := submit(s.URL)
	in.Username = "project_7_bot_0a"
	if _, err := s.gitLab().Verify(t.Context(), in); err != nil {
		t.Errorf("with the bot's name: %v", err)
	}
}

func TestB9_TheServersWordOnAnExpiryCounts(t *testing.T) {
	s := newTokenSite(t, with(gitLabReplies(), selfPath, canned{
		body: `{"id":5,"active":true,"scopes":["api"],"expires_at":"2026-03-01"}`,
	}))
	f, err := s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
	if err != nil || !f.ExpiresAt.IsZero() {
		t.Errorf("the end is %v, %v", f.ExpiresAt, err)
	}
	same(t, "warnings", warned(f), []string{"token_in_the_clear", "expiry_unknown"})
	// And the other way round: by this machine's clock the token is valid for a year.
	s = newTokenSite(t, with(gitLabReplies(), selfPath, canned{
		body: `{"id":5,"active":false,"scopes":["api"],"expires_at":"2027-03-01"}`,
	}))
	_, err = s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
	if !problem.Is(err, problem.TokenRejected) {
		t.Errorf("a token that isn't active: got %v, want %s", err, problem.TokenRejected)
	}
}
