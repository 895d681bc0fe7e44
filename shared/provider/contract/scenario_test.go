package contract_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/bitbucket"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/sandbox/github"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
)

const redirect = "https://bindery.example/v1/callback/x"

func noSleep(context.Context, time.Duration) error { return nil }

// recordAll lets every platform make every kind of its calls, with good and with bad tokens, and
// returns them. Other tests check the outcomes.
func recordAll(t *testing.T) []exchange {
	t.Helper()
	w := newWorld(t)
	for _, name := range w.set.Names() {
		p, _ := w.set.Get(name)
		switch p := p.(type) {
		case provider.OAuthPlatform:
			w.consents(name, p)
		case provider.TokenPlatform:
			w.pastes(name, p)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records
}

// repositories looks at the sandbox's repositories, and for what isn't there.
func (w *world) repositories(p provider.Platform, cred provider.Credential) {
	ctx := w.t.Context()
	reader, _ := provider.RepositoriesOf(p)
	name := p.Describe().Name
	page, err := reader.Repositories(ctx, cred, "", "")
	if err != nil {
		w.t.Fatalf("%s: list the repositories: %v", name, err)
	}
	_, _ = reader.Repositories(ctx, cred, "hello", "")
	for _, r := range page.Repositories {
		if !strings.HasSuffix(r.Name, "/hello") && !strings.HasSuffix(r.Name, "/empty") {
			continue
		}
		_, _ = reader.Repository(ctx, cred, r.ID)
		for _, search := range []string{"", "main"} {
			_, _ = reader.Refs(ctx, cred, r.ID, provider.Branches, search, "")
			_, _ = reader.Refs(ctx, cred, r.ID, provider.Tags, search, "")
		}
		commit, _ := reader.Commit(ctx, cred, r.ID, "heads/main")
		for _, ref := range []string{commit.Hash, "tags/v1.0.0", "tags/v2.0.0", "heads/nothing"} {
			_, _ = reader.Commit(ctx, cred, r.ID, ref)
		}
		for _, path := range []string{"Dockerfile", "docs/read me #1?.md", "nothing"} {
			_, _ = reader.File(ctx, cred, r.ID, path, "heads/main")
		}
	}
}

// webhooks installs a webhook at the sandbox, finds it by its id and by its address, repairs, tests
// and deletes it, and asks for a merge request.
func (w *world) webhooks(p provider.Platform, cred provider.Credential) {
	hooks, ok := provider.WebhooksOf(p)
	if !ok {
		return
	}
	ctx := w.t.Context()
	page, err := hooks.Repositories(ctx, cred, "hello", "")
	if err != nil || len(page.Repositories) == 0 {
		w.t.Fatalf("%s: list the repositories: %v", p.Describe().Name, err)
	}
	repository := page.Repositories[0].ID
	want := provider.WebhookParams{
		URL:    "https://bindery.example/v1/hooks/x/0123456789abcdef0123456789abcdef",
		Secret: secret.New("a-secret-of-43-letters-of-base64url-0000000"), Push: true, Merge: true,
	}
	made, err := hooks.CreateWebhook(ctx, cred, repository, want)
	if err != nil {
		made.ID = unknownHook[p.Describe().Name]
	}
	_, _, _ = hooks.FindWebhook(ctx, cred, repository, made.ID, want.URL)
	_, _, _ = hooks.FindWebhook(ctx, cred, repository, "", want.URL)
	_, _ = hooks.RepairWebhook(ctx, cred, repository, made.ID, want)
	_ = hooks.TestWebhook(ctx, cred, repository, made.ID)
	for range 2 { // the second time it doesn't exist
		_ = hooks.DeleteWebhook(ctx, cred, repository, made.ID)
	}
	if merges, ok := hooks.(provider.MergePlatform); ok {
		_, _ = merges.MergeRequest(ctx, cred, repository, "1")
	}
}

// unknownHook are ids of webhooks that don't exist, in the form that each platform has.
var unknownHook = map[string]string{
	provider.Codeup:    "4711",
	provider.Gitee:     "4711",
	provider.GitHub:    "4711",
	provider.GitLab:    "4711",
	provider.Bitbucket: "{33333333-0000-4000-8000-000000000000}",
}

// pastes binds with every sample of a platform that is bound by token, and checks and revokes.
func (w *world) pastes(name string, p provider.TokenPlatform) {
	ctx := w.t.Context()
	switches := []string{"", codeup.AllowList}
	address := ""
	if name == provider.GitLab {
		switches = []string{"", gitlab.Old, gitlab.Ancient}
		address = w.origins[userAddress]
	}
	if name == provider.Codeup {
		w.createHook()
		_, _ = p.Check(ctx, provider.Credential{
			Access: w.fullCodeupToken(), Username: "alice", Organization: mainOrganization,
		})
		cred := provider.Credential{Access: w.fullCodeupToken(), Organization: mainOrganization}
		w.repositories(p, cred)
		w.webhooks(p, cred)
	} else {
		cred := provider.Credential{
			Access: secret.New("glpat-sandbox-alice-good"), Address: address,
		}
		w.repositories(p, cred)
		w.webhooks(p, cred)
	}
	for _, on := range switches {
		if on != "" {
			w.sandbox.SetSwitch(sandbox.Platform(name), on, true)
		}
		for _, sample := range w.sandbox.Samples() {
			if string(sample.Platform) != name {
				continue
			}
			result, err := p.Verify(ctx, provider.Submission{
				Address: address, Username: sample.Username, Token: sample.Token,
				Organization: sample.Organization,
			})
			cred := provider.Credential{
				Access: sample.Token, Address: address, Username: sample.Username,
				Organization: result.Organization,
			}
			if err == nil {
				_, _ = p.Check(ctx, cred)
			}
		}
	}
	for _, on := range switches[1:] {
		w.sandbox.SetSwitch(sandbox.Platform(name), on, false)
	}
	for _, sample := range w.sandbox.Samples() {
		if string(sample.Platform) == name {
			_ = p.Revoke(ctx, provider.App{}, provider.Credential{
				Access: sample.Token, Address: address,
			})
		}
	}
}

// mainOrganization is one of the sandbox's Codeup, with repository 1001.
const mainOrganization = "sandbox-org-main"

// fullCodeupToken returns a token with every permission, also those that no user is asked to grant.
func (w *world) fullCodeupToken() secret.Text {
	return w.sandbox.Codeup.AddToken(codeup.Token{
		CloneAccount: "alice",
		Permissions: append(
			codeup.Minimal(), codeup.UserInfo, codeup.Organizations, codeup.Roles, codeup.Commits,
			codeup.Files, codeup.MergeRequests),
	})
}

// createHook installs a webhook, so that the list of webhooks has one. Bindery doesn't install any.
func (w *world) createHook() {
	token := w.fullCodeupToken()
	r := httptest.NewRequest(http.MethodPost, "/oapi/v1/codeup/organizations/"+mainOrganization+
		"/repositories/1001/webhooks", strings.NewReader(`{"url": "https://bindery.example/"}`))
	r.Header.Set("X-Yunxiao-Token", token.Reveal())
	recorder := httptest.NewRecorder()
	w.sandbox.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusOK {
		w.t.Fatalf("the sandbox answers %d to a new webhook", recorder.Code)
	}
}

// consents binds by consent, and refreshes, checks and revokes good and bad tokens.
func (w *world) consents(name string, p provider.OAuthPlatform) {
	ctx, platform := w.t.Context(), sandbox.Platform(name)
	registered := w.sandbox.Apps()[platform]
	app := provider.App{ClientID: registered.ClientID, ClientSecrets: registered.ClientSecrets}
	wrong := provider.App{
		ClientID: app.ClientID, ClientSecrets: []secret.Text{secret.New("wrong")},
	}
	check := func(token provider.Token) {
		_, _ = p.Check(ctx, provider.Credential{Access: token.Access, Scopes: token.Scopes})
	}
	bind := func(user string, scopes []string) provider.Token {
		code, verifier := w.consent(p, platform, app, user, scopes)
		_, _ = p.Exchange(ctx, wrong, redirect, code, verifier)
		token, _ := p.Exchange(ctx, app, redirect, code, verifier)
		_, _ = p.Exchange(ctx, app, redirect, code, verifier) // a used code
		check(token)
		return token
	}
	token := bind("alice", nil)
	w.repositories(p, provider.Credential{Access: token.Access, Scopes: token.Scopes})
	w.webhooks(p, provider.Credential{Access: token.Access, Scopes: token.Scopes})
	_, _ = p.Refresh(ctx, wrong, token.Refresh)
	w.minutes.Add(26 * 60) // longer than any token's life
	check(token)
	token, err := p.Refresh(ctx, app, token.Refresh)
	if err != nil {
		w.t.Errorf("%s: refresh: %v", name, err)
	}
	check(token)
	switch name {
	case provider.GitHub:
		bind("acme-org", nil)
		bind("newcomer", nil)
		w.sandbox.SetSwitch(platform, github.LongTokens, true)
	case provider.Bitbucket:
		w.sandbox.SetSwitch(platform, bitbucket.OmitRefreshToken, true)
	}
	bind("bob", []string{})
	token, _ = p.Refresh(ctx, app, token.Refresh)
	for _, app := range []provider.App{wrong, app, app} {
		_ = p.Revoke(ctx, app, provider.Credential{Access: token.Access})
	}
	w.sandbox.RevokeTokens(platform, "alice")
	check(token)
	_, _ = p.Refresh(ctx, app, token.Refresh)
}

// consent opens the authorize address as a browser does, and grants the scopes, nil for all.
func (w *world) consent(
	p provider.OAuthPlatform, name sandbox.Platform, app provider.App, user string, scopes []string,
) (code, verifier secret.Text) {
	verifier = secret.New(rand.Text() + rand.Text())
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	address := p.AuthorizeURL(app, redirect, "a state", challenge)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	page, err := w.browser.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = page.Body.Close()
	to, err := w.sandbox.Consent(name, user, address, scopes)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret.New(u.Query().Get("code")), verifier
}
