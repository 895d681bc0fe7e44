package sandbox

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

func TestACodeIsValidOnceForTenMinutes(t *testing.T) {
	refused := map[Platform]string{
		GitHub: "bad_verification_code", Gitee: "invalid_grant", Bitbucket: "invalid_grant",
	}
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			code := w.code(p, nil)
			w.pass(codeTTL - time.Second)
			want(t, "first use", w.exchange(p, code, nil).get("error"), "")
			want(t, "second use", w.exchange(p, code, nil).get("error"), refused[p])
			late := w.code(p, nil)
			w.pass(codeTTL)
			want(t, "late", w.exchange(p, late, nil).get("error"), refused[p])
			want(t, "made up", w.exchange(p, "made-up", nil).get("error"), refused[p])
			want(t, "exchanges", w.Exchanges(p), 4)
			want(t, "live tokens", w.LiveTokens(p, "alice"), 1)
		})
	}
}

func TestACodeIsBoundToClientAndAddress(t *testing.T) {
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			other := w.Apps()[p]
			other.ClientID = "another-app"
			w.AddApp(p, other)
			code := w.code(p, url.Values{"client_id": {"another-app"}})
			want(t, "another's code", w.exchange(p, code, nil).get("access_token"), "")

			code = w.code(p, nil)
			elsewhere := url.Values{"redirect_uri": {oauthCallback + "/elsewhere"}}
			reply := w.exchange(p, code, elsewhere)
			want(t, "another address", reply.get("access_token"), "")
			if p == GitHub {
				want(t, "error", reply.get("error"), "redirect_uri_mismatch")
			}
			want(t, "the right address", w.exchange(p, code, nil).get("error"), "")
		})
	}
}

func TestTheVerifierCountsAtGitHubOnly(t *testing.T) {
	const verifier = "a-verifier-that-is-long-enough-to-be-taken-for-one"
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			challenge := url.Values{
				"code_challenge":        {oauth2.S256ChallengeFromVerifier(verifier)},
				"code_challenge_method": {"S256"},
			}
			code := w.code(p, challenge)
			right := url.Values{"code_verifier": {verifier}}
			want(t, "right", w.exchange(p, code, right).get("error"), "")
			a, _ := w.Authorized(p, secretOf(code))
			want(t, "challenged", a.Challenged, true)
			want(t, "proved", a.Proved, true)
			for what, more := range map[string]url.Values{
				"wrong": {"code_verifier": {verifier + "x"}}, "none": nil,
			} {
				code := w.code(p, challenge)
				issued := w.exchange(p, code, more).get("access_token") != ""
				want(t, what+": issued", issued, p != GitHub)
				a, _ := w.Authorized(p, secretOf(code))
				want(t, what+": proved", a.Proved, false)
				want(t, what+": used up", w.exchange(p, code, right).get("access_token"), "")
			}
		})
	}
}

func TestTokensExpireAndAreRefreshed(t *testing.T) {
	for p, life := range map[Platform]time.Duration{
		GitHub: 8 * time.Hour, Gitee: 24 * time.Hour, Bitbucket: 2 * time.Hour,
	} {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			first := w.bind(p)
			want(t, "expires_in", first.body["expires_in"], any(life.Seconds()))
			w.pass(life - time.Second)
			want(t, "before", w.me(p, first.get("access_token")).status, 200)
			w.pass(time.Second)
			want(t, "after", w.me(p, first.get("access_token")).status, 401)
			second := w.refresh(p, first.get("refresh_token"))
			want(t, "refreshed", w.me(p, second.get("access_token")).status, 200)
			want(t, "refreshes", w.Refreshes(p), 1)
			want(t, "exchanges", w.Exchanges(p), 1)
		})
	}
}

func TestWhatARefreshDoesToTheOldTokens(t *testing.T) {
	for _, c := range []struct {
		platform                  Platform
		accessStays, refreshStays bool
		refusal                   string
	}{
		{GitHub, false, false, "bad_refresh_token"},
		{Gitee, true, false, "invalid_grant"},
		{Bitbucket, true, true, ""},
	} {
		t.Run(string(c.platform), func(t *testing.T) {
			w := newOAuthWorld(t)
			first := w.bind(c.platform)
			second := w.refresh(c.platform, first.get("refresh_token"))
			old := secretOf(first.get("refresh_token"))
			same := old.Equal(secretOf(second.get("refresh_token")))
			want(t, "same refresh token", same, c.refreshStays)
			lives := w.Lives(c.platform, secretOf(first.get("access_token")))
			want(t, "old access token is valid", lives, c.accessStays)
			third := w.refresh(c.platform, first.get("refresh_token"))
			want(t, "second use", third.get("error"), c.refusal)
			want(t, "the new one is valid", w.me(c.platform, second.get("access_token")).status, 200)
		})
	}
}

func TestOneOfManyConcurrentRefreshesWins(t *testing.T) {
	for _, p := range []Platform{GitHub, Gitee} {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			refresh := w.bind(p).get("refresh_token")
			var all sync.WaitGroup
			won := make(chan bool, 20)
			for range cap(won) {
				all.Go(func() { won <- w.refresh(p, refresh).get("access_token") != "" })
			}
			all.Wait()
			close(won)
			n := 0
			for yes := range won {
				if yes {
					n++
				}
			}
			want(t, "winners", n, 1)
			want(t, "refreshes", w.Refreshes(p), 20)
			want(t, "refresh tokens", w.LiveRefreshTokens(p, "alice"), 1)
		})
	}
}

func TestAUsersTokensCanBeExpiredNarrowedAndRevoked(t *testing.T) {
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			first := w.bind(p)
			w.ExpireTokens(p, "bob")
			want(t, "another's are not touched", w.LiveTokens(p, "alice"), 1)
			w.ExpireTokens(p, "alice")
			want(t, "ended", w.me(p, first.get("access_token")).status, 401)
			second := w.refresh(p, first.get("refresh_token"))
			want(t, "refreshed", w.me(p, second.get("access_token")).status, 200)

			w.NarrowScopes(p, "alice", nil)
			me := w.me(p, second.get("access_token"))
			if p == GitHub {
				want(t, "status", me.status, 200)
				want(t, "scopes", me.header.Get("X-OAuth-Scopes"), "")
			} else {
				want(t, "status", me.status, 403)
			}
			w.RevokeTokens(p, "alice")
			want(t, "revoked", w.me(p, second.get("access_token")).status, 401)
			dead := w.refresh(p, second.get("refresh_token")).get("access_token")
			want(t, "refreshed after revocation", dead != "", false)
			want(t, "refresh tokens", w.LiveRefreshTokens(p, "alice"), 0)
		})
	}
}

func TestTwoClientSecretsAreValidAtOnce(t *testing.T) {
	for _, p := range oauthPlatforms() {
		w := newOAuthWorld(t)
		app := w.Apps()[p]
		old := app.ClientSecrets[0]
		app.ClientSecrets = append(app.ClientSecrets, secretOf("a-second-fake-secret"))
		w.AddApp(p, app)
		want(t, string(p), w.bind(p).status, 200)
		app.ClientSecrets = app.ClientSecrets[1:]
		w.AddApp(p, app)
		want(t, string(p)+" knows the old one", w.Apps()[p].HasSecret(old.Reveal()), false)
		want(t, string(p), w.bind(p).status, 200)
	}
}
