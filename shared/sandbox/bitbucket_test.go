package sandbox

import (
	"net/url"
	"strings"
	"testing"

	"bindery/shared/sandbox/bitbucket"
	"bindery/shared/testkit"
)

func TestBitbucketsTokenReply(t *testing.T) {
	w := newOAuthWorld(t)
	reply := w.bind(Bitbucket)
	testkit.Want(t, "scopes", reply.get("scopes"), "account pullrequest repository webhook")
	_, singular := reply.body["scope"]
	testkit.Want(t, "no key scope", singular, false)
	testkit.Want(t, "expires_in", reply.body["expires_in"], any(7200.0))
	me := w.me(Bitbucket, reply.get("access_token"))
	testkit.Want(t, "nickname", me.get("nickname"), "alice")
	testkit.Want(t, "uuid", strings.HasPrefix(me.get("uuid"), "{"), true)
	_, id := me.body["id"]
	testkit.Want(t, "no key id", id, false)
}

func TestBitbucketRequiresBasicAuthentication(t *testing.T) {
	w := newOAuthWorld(t)
	app := w.Apps()[Bitbucket]
	code := w.code(Bitbucket, nil)
	inBody := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {oauthCallback},
		"client_id": {app.ClientID}, "client_secret": {app.ClientSecrets[0].Reveal()},
	}
	r := w.tokenRequest(Bitbucket, inBody)
	r.Header.Del("Authorization")
	reply := w.send(r)
	testkit.Want(t, "in the body", reply.status, 401)
	testkit.Want(t, "error", reply.get("error"), "unauthorized_client")
	r = w.tokenRequest(Bitbucket, inBody)
	r.SetBasicAuth(app.ClientID, "wrong")
	testkit.Want(t, "wrong secret", w.send(r).get("error"), "unauthorized_client")
	testkit.Want(t, "by Basic", w.exchange(Bitbucket, code, nil).status, 200)
}

func TestBitbucketsErrors(t *testing.T) {
	w := newOAuthWorld(t)
	for _, more := range []url.Values{
		{"grant_type": {"authorization_code"}, "code": {"x"}},
		{"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
		{"grant_type": nil},
	} {
		reply := w.token(Bitbucket, more)
		testkit.Want(t, "status", reply.status, 400)
		testkit.Want(t, "error", reply.get("error"), "invalid_grant")
	}
	token := w.bind(Bitbucket).get("access_token")
	w.ExpireTokens(Bitbucket, "alice")
	me := w.me(Bitbucket, token)
	testkit.Want(t, "type", me.get("type"), "error")
	failure, _ := me.body["error"].(map[string]any)
	text, _ := failure["message"].(string)
	testkit.Want(t, "says expired", strings.Contains(text, "expired"), true)
}

func TestBitbucketCanOmitTheRefreshToken(t *testing.T) {
	w := newOAuthWorld(t)
	w.SetSwitch(Bitbucket, bitbucket.OmitRefreshToken, true)
	first := w.bind(Bitbucket)
	second := w.refresh(Bitbucket, first.get("refresh_token"))
	testkit.Want(t, "status", second.status, 200)
	testkit.Want(t, "refresh token", second.get("refresh_token") != "", false)
	testkit.Want(t, "the old one stays valid", w.refresh(Bitbucket, first.get("refresh_token")).status,
		200)
}

func TestBitbucketsListsAcrossWorkspacesAreGone(t *testing.T) {
	w := newOAuthWorld(t)
	for _, path := range []string{"/2.0/repositories", "/2.0/workspaces"} {
		reply := w.send(w.request("GET", path, ""))
		testkit.Want(t, path, reply.status, 410)
		failure, _ := reply.body["error"].(map[string]any)
		data, _ := failure["data"].(map[string]any)
		address, _ := data["announcement_url"].(string)
		testkit.Want(t, "announcement", strings.HasPrefix(address, "https://"), true)
	}
	testkit.Want(t, "another path", w.send(w.request("GET", "/2.0/teams/acme", "")).status, 404)
}
