package sandbox

import (
	"net/url"
	"strings"
	"testing"

	"bindery/shared/testkit"
)

func TestGiteesTokenReply(t *testing.T) {
	w := newOAuthWorld(t)
	reply := w.bind(Gitee)
	testkit.Want(t, "scope", reply.get("scope"), "hook projects user_info")
	testkit.Want(t, "token_type", reply.get("token_type"), "bearer")
	testkit.Want(t, "expires_in", reply.body["expires_in"], any(86400.0))
	testkit.Want(t, "created_at", reply.body["created_at"], any(float64(w.env.Now().Unix())))
	me := w.me(Gitee, reply.get("access_token"))
	testkit.Want(t, "login", me.get("login"), "alice")
	testkit.Want(t, "id", me.body["id"], any(2001.0))
}

func TestGiteesErrors(t *testing.T) {
	w := newOAuthWorld(t)
	for _, c := range []struct {
		more   url.Values
		status int
		code   string
	}{
		{url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}, 400, "invalid_grant"},
		{url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 400, "invalid_grant"},
		{url.Values{
			"grant_type": {"authorization_code"}, "client_secret": {"x"},
		}, 401, "invalid_client"},
		{url.Values{
			"grant_type": {"refresh_token"}, "client_secret": {"x"},
		}, 401, "invalid_client"},
		{url.Values{"grant_type": nil}, 400, "unsupported_grant_type"},
	} {
		reply := w.token(Gitee, c.more)
		testkit.Want(t, "status", reply.status, c.status)
		testkit.Want(t, "error", reply.get("error"), c.code)
		testkit.Want(t, "described", reply.get("error_description") != "", true)
	}
	reply := w.me(Gitee, "nonsense")
	testkit.Want(t, "status", reply.status, 401)
	token := w.bind(Gitee).get("access_token")
	w.ExpireTokens(Gitee, "alice")
	testkit.Want(t, "ended", w.me(Gitee, token).get("message"),
		"401 Unauthorized: Access token is expired")
}

func TestGiteeRefreshesWithoutClientCredentials(t *testing.T) {
	w := newOAuthWorld(t)
	reply := w.token(Gitee, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {w.bind(Gitee).get("refresh_token")},
		"client_id": nil, "client_secret": nil,
	})
	testkit.Want(t, "status", reply.status, 200)
}

func TestGiteeRefusesARequestWithoutAUserAgent(t *testing.T) {
	w := newOAuthWorld(t)
	r := w.tokenRequest(Gitee, url.Values{"grant_type": {"authorization_code"}})
	r.Header.Set("User-Agent", "")
	testkit.Want(t, "token endpoint", w.send(r).status, 403)
	testkit.Want(t, "exchanges", w.Exchanges(Gitee), 0)
	r = w.request("GET", "/api/v5/user", "")
	r.Header.Set("User-Agent", "")
	testkit.Want(t, "API", w.send(r).status, 403)
}

func TestGiteeAcceptsATokenInTheQuery(t *testing.T) {
	w := newOAuthWorld(t)
	token := w.bind(Gitee).get("access_token")
	reply := w.send(w.request("GET", "/api/v5/user?access_token="+token, ""))
	testkit.Want(t, "status", reply.status, 200)
	testkit.Want(t, "unknown path", w.send(w.request("GET", "/api/v5/nothing", "")).status, 404)
	page := w.send(w.request("GET", "/oauth/authorize", "")).text
	testkit.Want(t, "a page for a person", strings.Contains(page, `id="refusal"`), true)
}
