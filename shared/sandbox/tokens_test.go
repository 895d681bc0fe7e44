package sandbox

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"bindery/shared/testkit"
)

func TestACodeIsValidOnceForTenMinutes(t *testing.T) {
	refused := map[Platform]string{
		GitHub: "bad_verification_code", Gitee: "invalid_grant", Bitbucket: "invalid_grant",
	}
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			code := w.code(p, nil)
			w.clock.Advance(codeTTL - time.Second)
			testkit.Want(t, "first use", w.exchange(p, code, nil).get("error"), "")
			testkit.Want(t, "second use", w.exchange(p, code, nil).get("error"), refused[p])
			late := w.code(p, nil)
			w.clock.Advance(codeTTL)
			testkit.Want(t, "late", w.exchange(p, late, nil).get("error"), refused[p])
			testkit.Want(t, "made up", w.exchange(p, "made-up", nil).get("error"), refused[p])
			testkit.Want(t, "exchanges", w.Exchanges(p), 4)
			testkit.Want(t, "live tokens", w.LiveTokens(p, "alice"), 1)
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
			testkit.Want(t, "another's code", w.exchange(p, code, nil).get("access_token"), "")

			code = w.code(p, nil)
			elsewhere := url.Values{"redirect_uri": {oauthCallback + "/elsewhere"}}
			reply := w.exchange(p, code, elsewhere)
			testkit.Want(t, "another address", reply.get("access_token"), "")
			if p == GitHub {
				testkit.Want(t, "error", reply.get("error"), "redirect_uri_mismatch")
			}
			testkit.Want(t, "the right address", w.exchange(p, code, nil).get("error"), "")
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
			testkit.Want(t, "right", w.exchange(p, code, right).get("error"), "")
			a, _ := w.Authorized(p, secretOf(code))
			testkit.Want(t, "challenged", a.Challenged, true)
			testkit.Want(t, "proved", a.Proved, true)
			for what, more := range map[string]url.Values{
				"wrong": {"code_verifier": {verifier + "x"}}, "none": nil,
			} {
				code := w.code(p, challenge)
				issued := w.exchange(p, code, more).get("access_token") != ""
				testkit.Want(t, what+": issued", issued, p != GitHub)
				a, _ := w.Authorized(p, secretOf(code))
				testkit.Want(t, what+": proved", a.Proved, false)
				testkit.Want(t, what+": used up", w.exchange(p, code, right).get("access_token"), "")
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
			testkit.Want(t, "expires_in", first.body["expires_in"], any(life.Seconds()))
			w.clock.Advance(life - time.Second)
			testkit.Want(t, "before", w.me(p, first.get("access_token")).status, 200)
			w.clock.Advance(time.Second)
			testkit.Want(t, "after", w.me(p, first.get("access_token")).status, 401)
			second := w.refresh(p, first.get("refresh_token"))
			testkit.Want(t, "refreshed", w.me(p, second.get("access_token")).status, 200)
			testkit.Want(t, "refreshes", w.Refreshes(p), 1)
			testkit.Want(t, "exchanges", w.Exchanges(p), 1)
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
			testkit.Want(t, "same refresh token", same, c.refreshStays)
			lives := w.Lives(c.platform, secretOf(first.get("access_token")))
			testkit.Want(t, "old access token is valid", lives, c.accessStays)
			third := w.refresh(c.platform, first.get("refresh_token"))
			testkit.Want(t, "second use", third.get("error"), c.refusal)
			testkit.Want(t, "the new one is valid", w.me(c.platform, second.get("access_token")).status, 200)
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
			testkit.Want(t, "winners", n, 1)
			testkit.Want(t, "refreshes", w.Refreshes(p), 20)
			testkit.Want(t, "refresh tokens", w.LiveRefreshTokens(p, "alice"), 1)
		})
	}
}

func TestAUsersTokensCanBeExpiredNarrowedAndRevoked(t *testing.T) {
	for _, p := range oauthPlatforms() {
		t.Run(string(p), func(t *testing.T) {
			w := newOAuthWorld(t)
			first := w.bind(p)
			w.ExpireTokens(p, "bob")
			testkit.Want(t, "another's are not touched", w.LiveTokens(p, "alice"), 1)
			w.ExpireTokens(p, "alice")
			testkit.Want(t, "ended", w.me(p, first.get("access_token")).status, 401)
			second := w.refresh(p, first.get("refresh_token"))
			testkit.Want(t, "refreshed", w.me(p, second.get("access_token")).status, 200)

			w.NarrowScopes(p, "alice", nil)
			me := w.me(p, second.get("access_token"))
			if p == GitHub {
				testkit.Want(t, "status", me.status, 200)
				testkit.Want(t, "scopes", me.header.Get("X-OAuth-Scopes"), "")
			} else {
				testkit.Want(t, "status", me.status, 403)
			}
			w.RevokeTokens(p, "alice")
			testkit.Want(t, "revoked", w.me(p, second.get("access_token")).status, 401)
			dead := w.refresh(p, second.get("refresh_token")).get("access_token")
			testkit.Want(t, "refreshed after revocation", dead != "", false)
			testkit.Want(t, "refresh tokens", w.LiveRefreshTokens(p, "alice"), 0)
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
		testkit.Want(t, string(p), w.bind(p).status, 200)
		app.ClientSecrets = app.ClientSecrets[1:]
		w.AddApp(p, app)
		testkit.Want(t, string(p)+" knows the old one", w.Apps()[p].HasSecret(old.Reveal()), false)
		testkit.Want(t, string(p), w.bind(p).status, 200)
	}
}
