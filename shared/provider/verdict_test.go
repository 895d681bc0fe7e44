package provider

import (
	"net/http"
	"strings"
	"testing"

	"bindery/shared/problem"
)

// notTheAPI are 401, 403 and 407 replies of what stands in front of a platform: web pages, gateways,
// single sign-on, firewalls. None says anything about the token.
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
