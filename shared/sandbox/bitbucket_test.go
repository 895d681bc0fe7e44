package sandbox

import (
	"net/url"
	"strings"
	"testing"

	"bindery/shared/sandbox/bitbucket"
)

func TestBitbucketsTokenReply(t *testing.T) {
	w := newOAuthWorld(t)
	reply := w.bind(Bitbucket)
	want(t, "scopes", reply.get("scopes"), "account repository webhook")
	_, singular := reply.body["scope"]
	want(t, "no key scope", singular, false)
	want(t, "expires_in", reply.body["expires_in"], any(7200.0))
	me := w.me(Bitbucket, reply.get("access_token"))
	want(t, "nickname", me.get("nickname"), "alice")
	want(t, "uuid", strings.HasPrefix(me.get("uuid"), "{"), true)
	_, id := me.body["id"]
	want(t, "no key id", id, false)
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
	want(t, "in the body", reply.status, 401)
	want(t, "error", reply.get("error"), "unauthorized_client")
	r = w.tokenRequest(Bitbucket, inBody)
	r.SetBasicAuth(app.ClientID, "wrong")
	want(t, "wrong secret", w.send(r).get("error"), "unauthorized_client")
	want(t, "by Basic", w.exchange(Bitbucket, code, nil).status, 200)
}

func TestBitbucketsErrors(t *testing.T) {
	w := newOAuthWorld(t)
	for _, more := range []url.Values{
		{"grant_type": {"authorization_code"}, "code": {"x"}},
		{"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
		{"grant_type": nil},
	} {
		reply := w.token(Bitbucket, more)
		want(t, "status", reply.status, 400)
		want(t, "error", reply.get("error"), "invalid_grant")
	}
	token := w.bind(Bitbucket).get("access_token")
	w.ExpireTokens(Bitbucket, "alice")
	me := w.me(Bitbucket, token)
	want(t, "type", me.get("type"), "error")
	failure, _ := me.body["error"].(map[string]any)
	text, _ := failure["message"].(string)
	want(t, "says expired", strings.Contains(text, "expired"), true)
}

func TestBitbucketCanOmitTheRefreshToken(t *testing.T) {
	w := newOAuthWorld(t)
	w.SetSwitch(Bitbucket, bitbucket.OmitRefreshToken, true)
	first := w.bind(Bitbucket)
	second := w.refresh(Bitbucket, first.get("refresh_token"))
	want(t, "status", second.status, 200)
	want(t, "refresh token", second.get("refresh_token") != "", false)
	want(t, "the old one stays valid", w.refresh(Bitbucket, first.get("refresh_token")).status, 200)
}

func TestBitbucketsListsAcrossWorkspacesAreGone(t *testing.T) {
	w := newOAuthWorld(t)
	for _, path := range []string{"/2.0/repositories", "/2.0/workspaces"} {
		reply := w.send(w.request("GET", path, ""))
		want(t, path, reply.status, 410)
		failure, _ := reply.body["error"].(map[string]any)
		data, _ := failure["data"].(map[string]any)
		address, _ := data["announcement_url"].(string)
		want(t, "announcement", strings.HasPrefix(address, "https://"), true)
	}
	want(t, "another path", w.send(w.request("GET", "/2.0/repositories/acme", "")).status, 404)
}
