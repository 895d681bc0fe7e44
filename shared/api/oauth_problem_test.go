package api_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/api"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// wantProblem wants the request to be refused with the problem's title in both languages.
func (r request) wantProblem(w *world, code problem.Code, reason string) {
	w.t.Helper()
	for _, lang := range []problem.Language{problem.English, problem.Chinese} {
		r.header = map[string]string{"Accept-Language": string(lang)}
		got := w.do(r).refused(code, reason)
		want := problem.New(code).Because(reason).In(lang)
		if !fits(got.text("title"), want.Title) || !fits(got.text("remedy"), want.Remedy) {
			w.t.Errorf("%s in %s: got %s", code, lang, got.body)
		}
		if got.header.Get("Content-Language") != string(lang) || got.text("requestId") == "" {
			w.t.Errorf("%s: Content-Language %q, requestId %q", code,
				got.header.Get("Content-Language"), got.text("requestId"))
		}
	}
}

// fits reports whether a text is the catalogue's with any parameters.
func fits(text, want string) bool {
	for part := range strings.SplitSeq(want, "…") {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return text != "" && !strings.Contains(text, "…")
}

// wantFailed wants an attempt to show its failure in both languages.
func (w *world) wantFailed(a attempt, code problem.Code, reason string) {
	w.t.Helper()
	for _, lang := range []problem.Language{problem.English, problem.Chinese} {
		r := w.do(request{
			method: "GET", path: "/v1/authorizations/" + a.id,
			header: map[string]string{"Accept-Language": string(lang)},
		}).ok()
		p, _ := r.json()["problem"].(map[string]any)
		title, _ := p["title"].(string)
		got, _ := p["reason"].(string)
		if r.text("stage") != "failed" || p["code"] != string(code) || got != reason ||
			!fits(title, problem.New(code).Because(reason).In(lang).Title) {
			w.t.Errorf("the attempt shows %s, want %s (%s) in %s", r.body, code, reason, lang)
		}
	}
	w.unbound(home, sandbox.Platform(a.platform))
}

func TestTheProblemsOfConfirmInBothLanguages(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.Gitee)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	confirmation(a.id, known).wantProblem(w, problem.AuthorizationUnknown, "")
	confirmation(strings.Repeat("0", 32), confirmationCode).
		wantProblem(w, problem.AuthorizationUnknown, "")
	confirmation("nonsense", confirmationCode).wantProblem(w, problem.AuthorizationUnknown, "")
	confirmation(a.id, confirmationCode, "instance", atShanghai).
		wantProblem(w, problem.AnotherInstance, "")
	confirmation(a.id, confirmationCode).by(w.as("bea")).wantProblem(w, problem.AnotherUser, "")
	confirmation(a.id, confirmationCode).wantProblem(w, problem.AuthorizationDone, "")
	late := w.start(sandbox.Gitee)
	confirmationCode = newBrowser(w).confirmationCode(late, "alice")
	w.clock.Advance(15 * time.Minute)
	confirmation(late.id, confirmationCode).wantProblem(w, problem.AuthorizationExpired, "")
}

func TestTheProblemsOfStartInBothLanguages(t *testing.T) {
	w := newConsentWorld(t)
	begin := func(body any) request {
		return request{method: "POST", path: "/v1/authorizations", body: body}
	}
	for _, platform := range []string{"codeup", "gitlab"} {
		begin(map[string]any{"platform": platform}).wantProblem(w, problem.MethodMismatch, "token")
	}
	bare := begin(map[string]any{})
	bare.odd = true
	bare.wantProblem(w, problem.InputMalformed, "required")
	unknown := begin(map[string]any{"platform": "gitea"})
	unknown.odd = true
	unknown.wantProblem(w, problem.PlatformUnknown, "")
}

func TestBodiesOfStartAndConfirmAreReadStrictly(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	confirm := "/v1/authorizations/" + a.id + "/confirm"
	at := `"instance":{"region":"cn-hangzhou","id":"cri-1"}`
	code := `"confirmationCode":"` + confirmationCode + `"`
	for _, c := range []struct{ path, body, reason string }{
		{"/v1/authorizations", `{"platform":"github","more":1}`, "unknown"},
		{"/v1/authorizations", `{"platform":"github","platform":"gitee"}`, "doubled"},
		{"/v1/authorizations", `{"platform":1}`, "type"},
		{"/v1/authorizations", `{"platform":"github","instance":"cri-1"}`, "type"},
		{"/v1/authorizations", `{"platform":"github","instance":{"name":"x"}}`, "unknown"},
		{"/v1/authorizations", `[]`, "json"},
		{confirm, `{` + at + `,` + code + `,"account":"beta"}`, "unknown"},
		{confirm, `{` + at + `,` + code + `,"ConfirmationCode":""}`, "doubled"},
		{confirm, `{"instance":{"region":"cn-hangzhou","id":7},` + code + `}`, "type"},
		{confirm, `{` + at + `,"confirmationCode":7}`, "type"},
		{confirm, `{` + at, "json"},
	} {
		r := w.do(request{method: "POST", path: c.path, body: c.body, odd: true})
		r.refused(problem.InputMalformed, c.reason)
		w.wantNoSecret("the reply", r.body)
	}
	w.unbound(home, sandbox.GitHub)
	w.confirm(a.id, confirmationCode).ok()
}

func TestEveryCallButTheBrowsersNeedsTheScope(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	confirmationCode := newBrowser(w).confirmationCode(a, "alice")
	reader := w.issuer.token(t, map[string]any{"scope": "bindery.read bindery.credential"})
	for _, r := range []request{
		{method: "POST", path: "/v1/authorizations", body: map[string]any{"platform": "github"}},
		{method: "GET", path: "/v1/authorizations/" + a.id},
		confirmation(a.id, confirmationCode),
	} {
		w.do(r.by(reader)).refused(problem.ScopeMissing, "")
		r.header = map[string]string{"Authorization": ""}
		w.do(r).refused(problem.NotSignedIn, "")
	}
	w.confirm(a.id, confirmationCode).ok()
}

func TestAConsentThatIsRefused(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		back, err := w.box.Refuse(platform, "alice", b.authorizeURL(a))
		if err != nil {
			t.Fatal(err)
		}
		b.callback(back).refused(problem.ConsentRefused, a.id)
		w.wantFailed(a, problem.ConsentRefused, "")
		if len(b.cookies()) != 0 || w.box.Exchanges(platform) != 0 {
			t.Error("the attempt isn't over")
		}
	}
}

func TestACallbackWithoutACode(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	state := queryOf(b.authorizeURL(a)).Get("state")
	b.callback(callbackOf("github", "state", state)).refused(problem.PlatformError, a.id)
	w.wantFailed(a, problem.PlatformError, "")
}

func TestAnOrganizationsAccountIsRefused(t *testing.T) {
	for login, kind := range map[string]string{"acme-org": "organization", "acme-bot": "bot"} {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(sandbox.GitHub)
		b.callback(w.grant(a.platform, login, b.authorizeURL(a), nil)).
			refused(problem.NotAPersonalAccount, a.id)
		w.wantFailed(a, problem.NotAPersonalAccount, "")
		if !strings.Contains(string(w.shown(a.id, "").body), kind) {
			t.Errorf("%s: the type %s isn't named", login, kind)
		}
		if w.box.LiveTokens(sandbox.GitHub, login) != 0 {
			t.Error("the token that isn't wanted lives on")
		}
	}
}

// switched returns a setting whose OAuth apps can be changed.
func switched(to *atomic.Pointer[api.Apps]) setting {
	return func(_ map[string]string, w *world) {
		first := w.apps
		to.Store(&first)
		w.apps = func(ctx context.Context) (secret.Text, error) { return (*to.Load())(ctx) }
	}
}

func TestAPlatformWithoutAnApp(t *testing.T) {
	var apps atomic.Pointer[api.Apps]
	w := newConsentWorld(t, switched(&apps))
	b := newBrowser(w)
	redirected, unopened := w.start(sandbox.GitHub), w.start(sandbox.GitHub)
	back := w.grant("github", "alice", b.authorizeURL(redirected), nil)
	for name, document := range map[string]api.Apps{
		"none for it": appsOf(map[sandbox.Platform]sandbox.App{
			sandbox.Gitee: w.box.Apps()[sandbox.Gitee],
		}),
	} {
		apps.Store(&document)
		w.clock.Advance(6 * time.Minute) // the apps are kept for five minutes
		request{method: "POST", path: "/v1/authorizations", body: map[string]any{
			"platform": "github",
		}}.wantProblem(w, problem.PlatformNotConfigured, "")
		b.openRefused(unopened).refused(problem.PlatformNotConfigured, unopened.id)
		b.callback(back).refused(problem.PlatformNotConfigured, redirected.id)
		w.wantFailed(redirected, problem.PlatformNotConfigured, "")
		if w.box.Exchanges(sandbox.GitHub) != 0 {
			t.Errorf("%s: a code was redeemed", name)
		}
	}
	w.bindBy(sandbox.Gitee, "alice") // another platform still works
}

func TestAnAppsDocumentThatCannotBeRead(t *testing.T) {
	failing := func(err error) api.Apps {
		return func(context.Context) (secret.Text, error) {
			return secret.Text{}, fmt.Errorf("reading the apps: %w", err)
		}
	}
	for name, c := range map[string]struct {
		document api.Apps
		want     problem.Code
	}{
		"a vault that is down": {failing(errors.New("no answer")), problem.StorageUnavailable},
		"no such secret":       {failing(vault.ErrNotFound), problem.PlatformNotConfigured},
		"no such file":         {failing(fs.ErrNotExist), problem.PlatformNotConfigured},
		"no JSON": {func(context.Context) (secret.Text, error) {
			return secret.New(`{"github": {"clientSecrets": ["a-fake-client-secret"`), nil
		}, problem.PlatformNotConfigured},
		"nothing": {nil, problem.PlatformNotConfigured},
	} {
		t.Run(name, func(t *testing.T) {
			w := newConsentWorld(t, func(_ map[string]string, w *world) { w.apps = c.document })
			a := w.do(request{method: "POST", path: "/v1/authorizations", body: map[string]any{
				"platform": "github",
			}})
			a.refused(c.want, "")
			if wait := a.header.Get("Retry-After"); (wait != "") != (c.want == problem.StorageUnavailable) {
				t.Errorf("got Retry-After %q with %s", wait, c.want)
			}
		})
	}
}

// withSecrets returns a setting whose OAuth apps have these client secrets.
func withSecrets(texts ...string) setting {
	return func(_ map[string]string, w *world) {
		apps := w.box.Apps()
		for name, app := range apps {
			right := app.ClientSecrets[0]
			app.ClientSecrets = nil
			for _, text := range texts {
				s := secret.New(text)
				if text == "right" {
					s = right
				}
				app.ClientSecrets = append(app.ClientSecrets, s)
			}
			apps[name] = app
		}
		w.apps = appsOf(apps)
	}
}

const wrong = "another-fake-client-secret"

func TestTheOperatorsSecretIsWrong(t *testing.T) {
	var apps atomic.Pointer[api.Apps]
	for _, platform := range byConsent {
		w := newConsentWorld(t, switched(&apps))
		w.bindBy(platform, "alice")
		good := w.apps
		withSecrets(wrong, wrong+"-2")(nil, w)
		bad := w.apps
		apps.Store(&bad)
		w.apps = good
		w.clock.Advance(6 * time.Minute)
		before := w.binding(home, string(platform))["etag"]

		b := newBrowser(w)
		a := w.start(platform)
		b.callback(w.grant(a.platform, "bob", b.authorizeURL(a), nil)).
			refused(problem.ClientRefused, a.id)
		if got := w.binding(home, string(platform))["etag"]; got != before {
			t.Errorf("%s: the operator's mistake has changed a user's binding", platform)
		}
		p, _ := w.shown(a.id, "").ok().json()["problem"].(map[string]any)
		if p["code"] != "client_refused" {
			t.Errorf("%s: the attempt shows %v", platform, p)
		}
		w.boundTo(home, platform, "alice")
		if got := w.box.Exchanges(platform); got != 3 { // alice's, and one for each secret
			t.Errorf("%s: %d exchanges, want 3", platform, got)
		}
	}
}

func TestASecretCanBeChangedWithoutAnOutage(t *testing.T) {
	for _, platform := range byConsent {
		for _, secrets := range [][]string{{"right", wrong}, {wrong, "right"}} {
			w := newConsentWorld(t, withSecrets(secrets...))
			w.bindBy(platform, "alice")
			want := 1
			if secrets[0] == wrong {
				want = 2
			}
			if got := w.box.Exchanges(platform); got != want {
				t.Errorf("%s with %v: %d exchanges, want %d", platform, secrets, got, want)
			}
		}
	}
}

func TestAPlatformThatFailsAtTheExchange(t *testing.T) {
	at := map[sandbox.Platform][2]string{
		sandbox.Gitee: {"/oauth/token", "/api/v5/user"}, sandbox.GitHub: {"access_token", "/user"},
		sandbox.Bitbucket: {"access_token", "/2.0/user"},
	}
	for _, platform := range byConsent {
		for _, path := range at[platform] {
			for _, kind := range sandbox.FaultKinds() {
				for _, after := range []bool{false, true} {
					if after && platform != sandbox.GitHub {
						continue // none of them reports what the platform did
					}
					w := newConsentWorld(t)
					b := newBrowser(w)
					a := w.start(platform)
					back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
					w.box.SetFault(platform, sandbox.Fault{
						Kind: kind, Path: path, After: after, Latency: time.Millisecond,
					})
					end := b.callback(back)
					w.box.SetFault(platform, sandbox.Fault{Kind: sandbox.FaultNone})
					w.afterAFault(end, kind)
					w.bindBy(platform, "bob") // the failure was transient
				}
			}
		}
	}
}

func (w *world) afterAFault(end consoleRedirect, kind sandbox.FaultKind) {
	w.t.Helper()
	switch kind {
	case sandbox.FaultNone, sandbox.FaultLatency, sandbox.FaultGzip:
		end.consented()
		return
	case sandbox.Fault429, sandbox.FaultRateLimit:
		end.refused(problem.PlatformRateLimited, end.id)
	case sandbox.FaultCut, sandbox.FaultDrop:
		end.refused(problem.PlatformUnreachable, end.id)
	default:
		end.refused(problem.PlatformError, end.id)
	}
	if got := w.shown(end.id, ""); got.ok().text("stage") != "failed" {
		w.t.Errorf("%s: the attempt shows %s", kind, got.body)
	}
}

func TestConcurrentCallsAreLimited(t *testing.T) {
	w := newConsentWorld(t)
	for range 30 {
		w.start(sandbox.GitHub)
	}
	r := w.do(request{method: "POST", path: "/v1/authorizations", body: map[string]any{
		"platform": "github",
	}}).refused(problem.TooManyCalls, "")
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
}

// A confirm changes only the binding that its user was shown; the same confirm again has the same
// answer, although the binding isn't that one any more.
func TestAConfirmWithAConditionReplacesNoOtherBinding(t *testing.T) {
	w := newConsentWorld(t)
	confirm := func(a attempt, code, header, value string) reply {
		r := confirmation(a.id, code)
		r.header = map[string]string{header: value}
		return w.do(r)
	}
	first := w.start(sandbox.GitHub)
	code := newBrowser(w).confirmationCode(first, "alice")
	confirm(first, code, "If-Match", "*").refused(problem.PreconditionFailed, "")
	confirm(first, code, "If-None-Match", "*").ok()
	etag := confirm(first, code, "If-None-Match", "*").ok().header.Get("ETag")

	second := w.start(sandbox.GitHub)
	code = newBrowser(w).confirmationCode(second, "bob")
	confirm(second, code, "If-None-Match", "*").refused(problem.PreconditionFailed, "")
	confirm(second, code, "If-Match", `"other"`).refused(problem.PreconditionFailed, "")
	w.boundTo(home, sandbox.GitHub, "alice")
	confirm(second, code, "If-Match", etag).ok()
	confirm(second, code, "If-Match", etag).ok()
	w.boundTo(home, sandbox.GitHub, "bob")
}
