package provider_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/github"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// world is the sandbox and the platforms that call it, on one clock. Both are written
// independently, so a mistake in one shows as a difference.
type world struct {
	sandbox *sandbox.Sandbox
	set     *provider.Set
	clock   *testkit.Clock
	slept   atomic.Int64
	url     string // the sandbox's
}

const redirect = "https://bindery.example/v1/callback/x"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: testkit.NewClock()}
	w.sandbox = sandbox.New(sandbox.Options{Now: w.clock.Now, Random: rand.Reader})
	server := httptest.NewServer(w.sandbox)
	w.url = server.URL
	t.Cleanup(func() { w.sandbox.Close(); server.Close() })
	for name, app := range w.sandbox.Apps() {
		app.RedirectURI = redirect
		w.sandbox.AddApp(name, app)
	}
	w.set = provider.New(provider.Options{
		Guard: netguard.New(netguard.Options{
			PrivateHosts: []string{strings.TrimPrefix(server.URL, "http://")},
		}),
		Now:   w.clock.Now,
		Sleep: func(context.Context, time.Duration) error { w.slept.Add(1); return nil },
		Endpoints: provider.Endpoints{
			"BINDERY_CODEUP_URL": server.URL, "BINDERY_CODEUP_API_URL": server.URL,
			"BINDERY_GITEE_URL": server.URL, "BINDERY_GITEE_API_URL": server.URL,
			"BINDERY_GITHUB_URL": server.URL, "BINDERY_GITHUB_API_URL": server.URL,
			"BINDERY_BITBUCKET_URL": server.URL, "BINDERY_BITBUCKET_API_URL": server.URL,
		},
	})
	return w
}

// one is one platform of a world.
type one struct {
	*world
	provider.OAuthPlatform
	name sandbox.Platform
	app  provider.App
}

func (w *world) platform(t *testing.T, name string) one {
	t.Helper()
	p, _ := w.set.Get(name)
	oauth, ok := p.(provider.OAuthPlatform)
	if !ok {
		t.Fatalf("%s isn't bound by consent", name)
	}
	app := w.sandbox.Apps()[sandbox.Platform(name)]
	return one{w, oauth, sandbox.Platform(name), provider.App{
		ClientID: app.ClientID, ClientSecrets: app.ClientSecrets,
	}}
}

// consent lets a user grant the scopes, nil for all, and returns the code and its verifier.
func (o one) consent(t *testing.T, user string, scopes []string) (code, verifier secret.Text) {
	t.Helper()
	verifier = secret.New(rand.Text() + rand.Text())
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	to, err := o.sandbox.Consent(
		o.name, user, o.AuthorizeURL(o.app, redirect, "a state", challenge), scopes,
	)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("state") != "a state" || u.Query().Get("code") == "" {
		t.Fatalf("%s sends nobody back with a code and the state", o.name)
	}
	return secret.New(u.Query().Get("code")), verifier
}

func (o one) bind(t *testing.T, user string, scopes []string) provider.Token {
	t.Helper()
	code, verifier := o.consent(t, user, scopes)
	token, err := o.Exchange(t.Context(), o.app, redirect, code, verifier)
	if err != nil {
		t.Fatalf("%s: exchange: %v", o.name, err)
	}
	return token
}

func (o one) check(t *testing.T, token provider.Token) (provider.CheckResult, error) {
	t.Helper()
	return o.Check(t.Context(), provider.Credential{Access: token.Access, Scopes: token.Scopes})
}

func TestTheLifeOfATokenInTheSandbox(t *testing.T) {
	for name, life := range map[string]time.Duration{
		provider.Gitee: 24 * time.Hour, provider.GitHub: 8 * time.Hour,
		provider.Bitbucket: 2 * time.Hour,
	} {
		o := newWorld(t).platform(t, name)
		token := o.bind(t, "alice", nil)
		f, err := o.check(t, token)
		if err != nil || f.Identity.ID == "" || f.Identity.Username != "alice" || f.Warnings != nil {
			t.Fatalf("%s: the check gives %+v, %v", name, f, err)
		}
		o.clock.Advance(life + time.Minute)
		if _, err := o.check(t, token); !problem.Is(err, problem.TokenExpired) &&
			!problem.Is(err, problem.TokenRejected) {
			t.Errorf("%s: the check of an ended token gives %v", name, err)
		}
		newer, err := o.Refresh(t.Context(), o.app, token.Refresh)
		if err != nil || newer.Access.Equal(token.Access) || newer.Refresh.Empty() ||
			newer.ExpiresAt.Sub(token.ExpiresAt) != life+time.Minute {
			t.Fatalf("%s: the refresh gives %+v, %v", name, newer, err)
		}
		if _, err := o.check(t, newer); err != nil {
			t.Errorf("%s: the check of the new token gives %v", name, err)
		}
		o.sandbox.RevokeTokens(o.name, "alice")
		if _, err := o.check(t, newer); !problem.Is(err, problem.TokenRejected) {
			t.Errorf("%s: the check of a revoked token gives %v", name, err)
		}
		if _, err := o.Refresh(t.Context(), o.app, newer.Refresh); !problem.Is(
			err, problem.TokenRevoked) {
			t.Errorf("%s: the refresh after a revocation gives %v", name, err)
		}
	}
}

func TestA9_TheSandboxChecksTheVerifierAgainstTheChallenge(t *testing.T) {
	for _, name := range []string{provider.Gitee, provider.GitHub, provider.Bitbucket} {
		o := newWorld(t).platform(t, name)
		code, verifier := o.consent(t, "alice", nil)
		if _, err := o.Exchange(t.Context(), o.app, redirect, code, verifier); err != nil {
			t.Fatalf("%s: exchange: %v", name, err)
		}
		if a, _ := o.sandbox.Authorized(o.name, code); !a.Challenged || !a.Proved {
			t.Errorf("%s: the code came without a challenge, or without its verifier", name)
		}
		_, err := o.Exchange(t.Context(), o.app, redirect, code, verifier)
		if !problem.Is(err, problem.TokenRejected) || problem.Of(err).Reason != "code" {
			t.Errorf("%s: a used code gives %v", name, err)
		}
		stolen, _ := o.consent(t, "alice", nil)
		_, err = o.Exchange(t.Context(), o.app, redirect, stolen, secret.New(rand.Text()))
		if checked := name == provider.GitHub; checked != problem.Is(err, problem.TokenRejected) {
			t.Errorf("%s: a code with another's verifier gives %v", name, err)
		}
	}
}

func TestB14_TheSandboxRefusesTheApp(t *testing.T) {
	for _, name := range []string{provider.Gitee, provider.GitHub, provider.Bitbucket} {
		o := newWorld(t).platform(t, name)
		token := o.bind(t, "alice", nil)
		good := o.app.ClientSecrets
		wrong := []secret.Text{secret.New("wrong"), secret.New("wrong too")}
		o.app.ClientSecrets = wrong
		if _, err := o.Refresh(t.Context(), o.app, token.Refresh); !problem.Is(
			err, problem.ClientRefused) {
			t.Errorf("%s: a refresh with wrong secrets gives %v", name, err)
		}
		o.app.ClientSecrets = append(wrong, good...)
		if _, err := o.Refresh(t.Context(), o.app, token.Refresh); err != nil {
			t.Errorf("%s: a refresh with the right secret at last gives %v", name, err)
		}
	}
}

func TestA17_TheSandboxGrantsFewerScopes(t *testing.T) {
	for name, granted := range map[string][]string{
		provider.Gitee: {"user_info", "projects"}, provider.GitHub: {},
	} {
		o := newWorld(t).platform(t, name)
		_, err := o.check(t, o.bind(t, "alice", granted))
		if !problem.Is(err, problem.PermissionMissing) {
			t.Errorf("%s: a consent of %v gives %v", name, granted, err)
		}
	}
	o := newWorld(t).platform(t, provider.GitHub)
	token := o.bind(t, "alice", nil)
	o.sandbox.NarrowScopes(sandbox.GitHub, "alice", []string{})
	if _, err := o.check(t, token); !problem.Is(err, problem.PermissionMissing) {
		t.Errorf("scopes that were taken away later give %v", err)
	}
	o = newWorld(t).platform(t, provider.Bitbucket)
	app := o.sandbox.Apps()[sandbox.Bitbucket]
	app.Scopes = slices.DeleteFunc(app.Scopes, func(s string) bool { return s == "webhook" })
	o.sandbox.AddApp(sandbox.Bitbucket, app)
	_, err := o.check(t, o.bind(t, "alice", nil))
	if !problem.Is(err, problem.PermissionMissing) || problem.Of(err).Params["missing"] != "webhook" {
		t.Errorf("a consumer without webhook gives %v", err)
	}
}

func TestGitHubInTheSandbox(t *testing.T) {
	o := newWorld(t).platform(t, provider.GitHub)
	for _, user := range []string{"acme-org", "acme-bot"} {
		_, err := o.check(t, o.bind(t, user, nil))
		if !problem.Is(err, problem.NotAPersonalAccount) {
			t.Errorf("%s gives %v", user, err)
		}
	}
	code, verifier := o.consent(t, "newcomer", nil)
	_, err := o.Exchange(t.Context(), o.app, redirect, code, verifier)
	if !problem.Is(err, problem.TokenRejected) || problem.Of(err).Reason != "unverified_email" {
		t.Errorf("a user without a verified e-mail gives %v", err)
	}

	first, second := o.bind(t, "alice", nil), o.bind(t, "alice", nil)
	if err := o.Revoke(t.Context(), o.app, provider.Credential{Access: first.Access}); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if o.sandbox.Lives(o.name, first.Access) || !o.sandbox.Lives(o.name, second.Access) {
		t.Error("revoking one token didn't end that one alone")
	}
	if err := o.Revoke(t.Context(), o.app, provider.Credential{Access: first.Access}); err != nil {
		t.Errorf("revoking a dead token: %v", err)
	}

	o.sandbox.SetReplicaLag(1)
	newer, err := o.Refresh(t.Context(), o.app, second.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.check(t, newer); err != nil || o.slept.Load() != 1 {
		t.Errorf("a replica that lags gives %v after %d waits", err, o.slept.Load())
	}

	o.sandbox.SetSwitch(sandbox.GitHub, github.LongTokens, true)
	long := o.bind(t, "bob", nil)
	if _, err := o.check(t, long); err != nil || len(long.Access.Reveal()) < 100 {
		t.Errorf("a long token of %d bytes gives %v", len(long.Access.Reveal()), err)
	}
}
