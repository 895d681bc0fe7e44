package sandbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"bindery/shared/sandbox/github"
	"bindery/shared/testkit"
)

func TestGitHubAnswersInAFormUnlessAskedForJSON(t *testing.T) {
	w := newOAuthWorld(t)
	r := w.tokenRequest(GitHub, url.Values{"code": {w.code(GitHub, nil)}})
	r.Header.Del("Accept")
	reply := w.send(r)
	kind := reply.header.Get("Content-Type")
	testkit.Want(t, "kind", strings.HasPrefix(kind, "application/x-www-form-urlencoded"), true)
	form, err := url.ParseQuery(reply.text)
	if err != nil {
		t.Fatal("not a form")
	}
	testkit.Want(t, "prefix", strings.HasPrefix(form.Get("access_token"), "gho_"), true)
	testkit.Want(t, "prefix", strings.HasPrefix(form.Get("refresh_token"), "ghr_"), true)
	testkit.Want(t, "expires_in", form.Get("expires_in"), "28800")
	testkit.Want(t, "refresh_token_expires_in", form.Get("refresh_token_expires_in"), "15811200")
	testkit.Want(t, "scope", form.Get("scope"), "repo")
}

func TestGitHubAnswers200ToErrors(t *testing.T) {
	w := newOAuthWorld(t)
	for code, more := range map[string]url.Values{
		"bad_verification_code":        {"code": {"x"}},
		"incorrect_client_credentials": {"code": {w.code(GitHub, nil)}, "client_secret": {"wrong"}},
		"bad_refresh_token":            {"grant_type": {"refresh_token"}, "refresh_token": {"x"}},
		"unsupported_grant_type":       {"grant_type": {"password"}},
	} {
		reply := w.token(GitHub, more)
		testkit.Want(t, code, reply.status, 200)
		testkit.Want(t, "error", reply.get("error"), code)
		testkit.Want(t, "described", reply.get("error_description") != "", true)
		documented := strings.HasPrefix(reply.get("error_uri"), "https://docs.github.com/")
		testkit.Want(t, "error_uri", documented, true)
	}
	testkit.Want(t, "tokens", w.LiveTokens(GitHub, "alice"), 0)
}

func TestGitHubReadsTheClientFromTheBodyOnly(t *testing.T) {
	w := newOAuthWorld(t)
	app := w.Apps()[GitHub]
	r := w.tokenRequest(GitHub, url.Values{
		"code": {w.code(GitHub, nil)}, "client_id": nil, "client_secret": nil,
	})
	r.SetBasicAuth(app.ClientID, app.ClientSecrets[0].Reveal())
	testkit.Want(t, "by Basic", w.send(r).get("error"), "incorrect_client_credentials")
}

func TestAWrongClientSecretUsesUpNoCode(t *testing.T) {
	for _, p := range []Platform{GitHub, Gitee} {
		w := newOAuthWorld(t)
		code := w.code(p, nil)
		w.exchange(p, code, url.Values{"client_secret": {"wrong"}})
		testkit.Want(t, string(p), w.exchange(p, code, nil).get("error"), "")
	}
}

func TestGitHubsTokensNeverExpireIfTheAppSaysSo(t *testing.T) {
	w := newOAuthWorld(t)
	app := w.Apps()[GitHub]
	app.ExpiringTokens = false
	w.AddApp(GitHub, app)
	reply := w.bind(GitHub)
	_, ends := reply.body["expires_in"]
	testkit.Want(t, "expires_in", ends, false)
	testkit.Want(t, "refresh token", reply.get("refresh_token") != "", false)
	w.clock.Advance(1000 * codeTTL)
	testkit.Want(t, "status", w.me(GitHub, reply.get("access_token")).status, 200)

	offline := w.code(GitHub, url.Values{"scope": {"repo offline_access"}})
	reply = w.exchange(GitHub, offline, nil)
	testkit.Want(t, "offline_access: ends", reply.get("refresh_token") != "", true)
	testkit.Want(t, "scope", reply.get("scope"), "repo")
}

func TestGitHubNormalisesScopes(t *testing.T) {
	for asked, got := range map[string]string{
		"public_repo repo gist":             "gist,repo",
		"repo,user:email,user":              "repo,user",
		"admin:repo_hook write:repo_hook":   "admin:repo_hook",
		"repo everything-and-more read:org": "read:org,repo",
	} {
		w := newOAuthWorld(t)
		reply := w.exchange(GitHub, w.code(GitHub, url.Values{"scope": {asked}}), nil)
		testkit.Want(t, asked, reply.get("scope"), got)
		me := w.me(GitHub, reply.get("access_token"))
		testkit.Want(t, "header", me.header.Get("X-OAuth-Scopes"), strings.ReplaceAll(got, ",", ", "))
	}
}

func TestTheEleventhTokenRevokesTheOldest(t *testing.T) {
	w := newOAuthWorld(t)
	var tokens []string
	for range 10 {
		tokens = append(tokens, w.bind(GitHub).get("access_token"))
	}
	w.exchange(GitHub, w.code(GitHub, url.Values{"scope": {"gist"}}), nil)
	testkit.Want(t, "other scopes don't count", w.me(GitHub, tokens[0]).status, 200)
	w.bind(GitHub)
	testkit.Want(t, "the oldest", w.me(GitHub, tokens[0]).status, 401)
	testkit.Want(t, "the next", w.me(GitHub, tokens[1]).status, 200)
	testkit.Want(t, "live tokens", w.LiveTokens(GitHub, "alice"), 11)
}

func TestGitHubsIdentities(t *testing.T) {
	w := newOAuthWorld(t)
	for login, kind := range map[string]string{
		"alice": "User", "acme-org": "Organization", "acme-bot": "Bot",
	} {
		back, err := w.Consent(GitHub, login, w.authorizeURL(GitHub, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		token := w.exchange(GitHub, query(t, back).Get("code"), nil).get("access_token")
		me := w.me(GitHub, token)
		testkit.Want(t, "login", me.get("login"), login)
		testkit.Want(t, "type", me.get("type"), kind)
		id, _ := me.body["id"].(float64)
		testkit.Want(t, "id", id > 1000, true)
	}
	back, err := w.Consent(GitHub, "newcomer", w.authorizeURL(GitHub, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	reply := w.exchange(GitHub, query(t, back).Get("code"), nil)
	testkit.Want(t, "unverified", reply.get("error"), "unverified_user_email")
}

func TestGitHubRefusesACallWithoutAValidToken(t *testing.T) {
	w := newOAuthWorld(t)
	reply := w.me(GitHub, "gho_nonsense")
	testkit.Want(t, "status", reply.status, 401)
	testkit.Want(t, "message", reply.get("message"), "Bad credentials")
	testkit.Want(t, "without a token", w.send(w.request("GET", "/user", "")).get("message"),
		"Requires authentication")
	r := w.request("GET", "/user", "")
	r.Header.Set("Authorization", "token "+w.bind(GitHub).get("access_token"))
	testkit.Want(t, "the older scheme", w.send(r).status, 200)
	r.Header.Set("User-Agent", "")
	testkit.Want(t, "without a User-Agent", w.send(r).status, 403)
}

func TestGitHubsReplicasLagAfterARefresh(t *testing.T) {
	w := newOAuthWorld(t)
	w.SetReplicaLag(2)
	first := w.bind(GitHub)
	testkit.Want(t, "after an exchange", w.me(GitHub, first.get("access_token")).status, 200)
	token := w.refresh(GitHub, first.get("refresh_token")).get("access_token")
	for i, status := range []int{401, 401, 200, 200} {
		if got := w.me(GitHub, token).status; got != status {
			t.Errorf("call %d: got %d, want %d", i+1, got, status)
		}
	}
}

func TestGitHubsLongTokens(t *testing.T) {
	w := newOAuthWorld(t)
	w.SetSwitch(GitHub, github.LongTokens, true)
	token := w.bind(GitHub).get("access_token")
	testkit.Want(t, "length", len(token), 520)
	testkit.Want(t, "dots", strings.Count(token, "."), 2)
	testkit.Want(t, "status", w.me(GitHub, token).status, 200)
}

// applications calls GitHub's API for apps about one token.
func (w *oauthWorld) applications(method, what, token, clientSecret string) oauthReply {
	id := w.Apps()[GitHub].ClientID
	r := w.request(method, "/applications/"+id+"/"+what, `{"access_token":"`+token+`"}`)
	r.SetBasicAuth(id, clientSecret)
	return w.send(r)
}

func TestGitHubRevokesOneTokenOrAll(t *testing.T) {
	w := newOAuthWorld(t)
	right := w.Apps()[GitHub].ClientSecrets[0].Reveal()
	one, two := w.bind(GitHub), w.bind(GitHub)
	token := one.get("access_token")

	testkit.Want(t, "wrong secret", w.applications("DELETE", "token", token, "wrong").status, 401)
	check := w.applications("POST", "token", token, right)
	testkit.Want(t, "check", check.status, http.StatusOK)
	user, _ := check.body["user"].(map[string]any)
	testkit.Want(t, "user", user["login"], any("alice"))

	testkit.Want(t, "no token", w.applications("DELETE", "token", "", right).status, 422)
	testkit.Want(t, "delete", w.applications("DELETE", "token", token, right).status, 204)
	testkit.Want(t, "again", w.applications("DELETE", "token", token, right).status, 404)
	testkit.Want(t, "check again", w.applications("POST", "token", token, right).status, 404)
	testkit.Want(t, "revoked token", w.me(GitHub, token).status, 401)
	dead := w.refresh(GitHub, one.get("refresh_token")).get("error")
	testkit.Want(t, "its refresh token", dead, "bad_refresh_token")
	testkit.Want(t, "the other", w.me(GitHub, two.get("access_token")).status, 200)

	w.bind(GitHub)
	all := w.applications("DELETE", "grant", two.get("access_token"), right)
	testkit.Want(t, "grant", all.status, 204)
	testkit.Want(t, "live tokens", w.LiveTokens(GitHub, "alice"), 0)
}
