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

// told wants a problem's title in both languages, by the same request.
func (r request) told(w *world, code problem.Code, reason string) {
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

// fits reports whether a text is the catalogue's, whatever its parameters are.
func fits(text, want string) bool {
	for part := range strings.SplitSeq(want, "…") {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return text != "" && !strings.Contains(text, "…")
}

// failed wants what an attempt tells of its failure, in both languages.
func (w *world) failed(a attempt, code problem.Code, reason string) {
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

func TestConfirmsProblemsInBothLanguages(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.Gitee)
	finish := newBrowser(w).finish(a, "alice")
	confirmation(a.id, known).told(w, problem.AuthorizationUnknown, "")
	confirmation(strings.Repeat("0", 32), finish).told(w, problem.AuthorizationUnknown, "")
	confirmation("nonsense", finish).told(w, problem.AuthorizationUnknown, "")
	confirmation(a.id, finish, "instance", atShanghai).told(w, problem.AnotherInstance, "")
	confirmation(a.id, finish).by(w.as("bea")).told(w, problem.AnotherUser, "")
	confirmation(a.id, finish).told(w, problem.AuthorizationDone, "")
	late := w.start(sandbox.Gitee)
	finish = newBrowser(w).finish(late, "alice")
	w.clock.forward(15 * time.Minute)
	confirmation(late.id, finish).told(w, problem.AuthorizationExpired, "")
}

func TestStartsProblemsInBothLanguages(t *testing.T) {
	w := newConsentWorld(t)
	begin := func(body any) request {
		return request{method: "POST", path: "/v1/authorizations", body: body}
	}
	for _, platform := range []string{"codeup", "gitlab"} {
		begin(map[string]any{"platform": platform}).told(w, problem.MethodMismatch, "token")
	}
	bare := begin(map[string]any{})
	bare.odd = true
	bare.told(w, problem.InputMalformed, "required")
	unknown := begin(map[string]any{"platform": "gitea"})
	unknown.odd = true
	unknown.told(w, problem.PlatformUnknown, "")
}

func TestBodiesOfStartAndConfirmAreReadStrictly(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	finish := newBrowser(w).finish(a, "alice")
	confirm := "/v1/authorizations/" + a.id + "/confirm"
	at := `"instance":{"region":"cn-hangzhou","id":"cri-1"}`
	for _, c := range []struct{ path, body, reason string }{
		{"/v1/authorizations", `{"platform":"github","more":1}`, "unknown"},
		{"/v1/authorizations", `{"platform":"github","platform":"gitee"}`, "doubled"},
		{"/v1/authorizations", `{"platform":1}`, "type"},
		{"/v1/authorizations", `{"platform":"github","instance":"cri-1"}`, "type"},
		{"/v1/authorizations", `{"platform":"github","instance":{"name":"x"}}`, "unknown"},
		{"/v1/authorizations", `[]`, "json"},
		{confirm, `{` + at + `,"confirmationCode":"` + finish + `","account":"beta"}`, "unknown"},
		{confirm, `{` + at + `,"confirmationCode":"` + finish + `","ConfirmationCode":""}`, "doubled"},
		{confirm, `{"instance":{"region":"cn-hangzhou","id":7},"confirmationCode":"` + finish + `"}`, "type"},
		{confirm, `{` + at + `,"confirmationCode":7}`, "type"},
		{confirm, `{` + at, "json"},
	} {
		r := w.do(request{method: "POST", path: c.path, body: c.body, odd: true})
		r.refused(problem.InputMalformed, c.reason)
		w.hide("the reply", r.body)
	}
	w.unbound(home, sandbox.GitHub)
	w.confirm(a.id, finish).ok()
}

func TestEveryCallButTheBrowsersNeedsTheScope(t *testing.T) {
	w := newConsentWorld(t)
	a := w.start(sandbox.GitHub)
	finish := newBrowser(w).finish(a, "alice")
	reader := w.issuer.token(t, map[string]any{"scope": "bindery.read bindery.credential"})
	for _, r := range []request{
		{method: "POST", path: "/v1/authorizations", body: map[string]any{"platform": "github"}},
		{method: "GET", path: "/v1/authorizations/" + a.id},
		confirmation(a.id, finish),
	} {
		w.do(r.by(reader)).refused(problem.ScopeMissing, "")
		r.header = map[string]string{"Authorization": ""}
		w.do(r).refused(problem.NotSignedIn, "")
	}
	w.confirm(a.id, finish).ok()
}

func TestAConsentThatIsRefused(t *testing.T) {
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		back, err := w.box.Refuse(platform, "alice", b.depart(a))
		if err != nil {
			t.Fatal(err)
		}
		b.arrive(back).refused(problem.ConsentRefused, a.id)
		w.failed(a, problem.ConsentRefused, "")
		if len(b.cookies()) != 0 || w.box.Exchanges(platform) != 0 {
			t.Error("the attempt isn't over")
		}
	}
}

func TestACallbackWithoutACode(t *testing.T) {
	w := newConsentWorld(t)
	b := newBrowser(w)
	a := w.start(sandbox.GitHub)
	state := queryOf(b.depart(a)).Get("state")
	b.arrive(callbackOf("github", "state", state)).refused(problem.PlatformError, a.id)
	w.failed(a, problem.PlatformError, "")
}

func TestAnAccountThatIsNoPersonsIsRefused(t *testing.T) {
	for login, kind := range map[string]string{"acme-org": "Organization", "acme-bot": "Bot"} {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(sandbox.GitHub)
		b.arrive(w.says(a.platform, login, b.depart(a), nil)).
			refused(problem.NotAPersonalAccount, a.id)
		w.failed(a, problem.NotAPersonalAccount, "")
		if !strings.Contains(string(w.shown(a.id, "").body), kind) {
			t.Errorf("%s: the type %s isn't named", login, kind)
		}
		if w.box.LiveTokens(sandbox.GitHub, login) != 0 {
			t.Error("the token that isn't wanted lives on")
		}
	}
}

// switched is an operator's document that changes.
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
	departed, unopened := w.start(sandbox.GitHub), w.start(sandbox.GitHub)
	back := w.says("github", "alice", b.depart(departed), nil)
	for name, document := range map[string]api.Apps{
		"none for it": appsOf(map[sandbox.Platform]sandbox.App{
			sandbox.Gitee: w.box.Apps()[sandbox.Gitee],
		}),
	} {
		apps.Store(&document)
		w.clock.forward(6 * time.Minute) // the document is kept for five
		request{method: "POST", path: "/v1/authorizations", body: map[string]any{
			"platform": "github",
		}}.told(w, problem.PlatformNotConfigured, "")
		b.turnedAway(unopened).refused(problem.PlatformNotConfigured, unopened.id)
		b.arrive(back).refused(problem.PlatformNotConfigured, departed.id)
		w.failed(departed, problem.PlatformNotConfigured, "")
		if w.box.Exchanges(sandbox.GitHub) != 0 {
			t.Errorf("%s: a code was redeemed", name)
		}
	}
	w.bindBy(sandbox.Gitee, "alice") // another platform is as good as ever
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

// withSecrets is an operator's document with these client secrets.
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
		w.clock.forward(6 * time.Minute)
		before := w.binding(home, string(platform))["etag"]

		b := newBrowser(w)
		a := w.start(platform)
		b.arrive(w.says(a.platform, "bob", b.depart(a), nil)).refused(problem.ClientRefused, a.id)
		if got := w.binding(home, string(platform))["etag"]; got != before {
			t.Errorf("%s: the operator's mistake has changed a user's binding", platform)
		}
		p, _ := w.shown(a.id, "").ok().json()["problem"].(map[string]any)
		if p["code"] != "client_refused" {
			t.Errorf("%s: the attempt shows %v", platform, p)
		}
		w.boundTo(home, platform, "alice")
		if got := w.box.Exchanges(platform); got != 3 { // alice's, and one a secret
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
						continue // what the platform has done is told by none of them
					}
					w := newConsentWorld(t)
					b := newBrowser(w)
					a := w.start(platform)
					back := w.says(a.platform, "alice", b.depart(a), nil)
					w.box.SetFault(platform, sandbox.Fault{
						Kind: kind, Path: path, After: after, Latency: time.Millisecond,
					})
					end := b.arrive(back)
					w.box.SetFault(platform, sandbox.Fault{Kind: sandbox.FaultNone})
					w.afterAFault(end, kind)
					w.bindBy(platform, "bob") // passing is passing
				}
			}
		}
	}
}

func (w *world) afterAFault(end arrival, kind sandbox.FaultKind) {
	w.t.Helper()
	switch kind {
	case sandbox.FaultNone, sandbox.FaultLatency:
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

func TestCallsAtOnceAreCapped(t *testing.T) {
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
