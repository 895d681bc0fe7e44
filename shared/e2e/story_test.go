package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/api"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// story is told wherever Bindery is deployed: from nothing bound to nothing left.
func (w *world) story() {
	w.t.Helper()
	writer := w.bearer("alice", api.ScopeWrite)
	w.serving()
	w.wantStatus("at first", "unbound", "unbound", "unbound", "unbound", "unbound")
	for _, platform := range []string{"codeup", "gitlab"} {
		w.bindByToken(platform, writer)
	}
	for _, platform := range []string{"gitee", "github", "bitbucket"} {
		w.bindByConsent(platform, writer)
	}
	w.wantStatus("when all is bound", "bound", "bound", "bound", "bound", "bound")
	w.credentials()
	w.refreshes()
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		a := w.call(http.MethodPost, w.at()+"/"+platform+"/check", writer, nil)
		if a.status != http.StatusOK || a.body["status"] != "bound" {
			w.t.Errorf("checking %s: %d %v", platform, a.status, a.body["code"])
		}
	}
	w.schedule("with nothing due")
	w.hasten()
	w.expire("bitbucket")
	w.schedule("with everything due, and a token that has ended")
	w.wantStatus("after the check", "bound", "bound", "bound", "bound", "bound")
	for range table.MaxEvents + 1 { // more than a record keeps
		w.bindByToken("gitlab", writer)
	}
	w.bindByToken("gitlab", writer, "revoke", "true") // which spares a token that is in use
	w.bindByConsent("github", writer)                 // and the token before is revoked
	w.anotherUser(writer)
	w.revokesAll("gitee")
	w.wantStatus("after the operator's task", "bound", "revoked", "bound", "bound", "bound")
	w.bindByConsent("gitee", writer)
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		a := w.call(http.MethodDelete, w.at()+"/"+platform, writer, nil)
		if a.status != http.StatusOK || a.body["revoked"] != (platform == "github") {
			w.t.Errorf("unbinding %s: %d %v", platform, a.status, a.body)
		}
	}
	w.wantStatus("at last", "unbound", "unbound", "unbound", "unbound", "unbound")
	a := w.call(http.MethodGet, w.at()+"/github/history", w.bearer("alice", api.ScopeRead), nil)
	if events, _ := a.body["events"].([]any); len(events) != 3 {
		w.t.Errorf("the history of github has %d events, want bound, rebound, unbound", len(events))
	}
	w.hasten()
	w.schedule("with everything unbound")
	if left := w.left(); !slices.Equal(left, []string{appsName}) {
		w.t.Errorf("the sweep leaves the secrets %v", left)
	}
	w.outOfTime()
	w.needs()
}

// serving: what needs nobody signed in, and that the rest does.
func (w *world) serving() {
	w.t.Helper()
	if a := w.call(http.MethodGet, "/healthz", secret.Text{}, nil); a.status != http.StatusNoContent {
		w.t.Errorf("/healthz is %d", a.status)
	}
	page := w.call(http.MethodGet, "/", secret.Text{}, nil)
	if page.status != http.StatusOK || !strings.Contains(page.text, "<!doctype html>") &&
		!strings.Contains(page.text, "<!DOCTYPE html>") {
		w.t.Errorf("the page is %d", page.status)
	}
	style := w.call(http.MethodGet, "/style.css", secret.Text{}, nil)
	if !strings.HasPrefix(style.header.Get("Content-Type"), "text/css") {
		w.t.Errorf("the page's style is %d, %s", style.status, style.header.Get("Content-Type"))
	}
	if a := w.call(http.MethodGet, "/v1/platforms", secret.Text{}, nil); a.status != 401 {
		w.t.Errorf("without a bearer: %d", a.status)
	}
	a := w.call(http.MethodGet, "/v1/platforms", w.bearer("alice", api.ScopeWrite), nil)
	if a.status != http.StatusForbidden || a.body["code"] != "scope_missing" {
		w.t.Errorf("without the scope: %d %v", a.status, a.body["code"])
	}
}

// wantStatus expects the five bindings to be so, in the console's order.
func (w *world) wantStatus(when string, want ...string) {
	w.t.Helper()
	a := w.call(http.MethodGet, w.at(), w.bearer("alice", api.ScopeRead), nil)
	var got []string
	list, _ := a.body["bindings"].([]any)
	for _, b := range list {
		status, _ := in(b, "status").(string)
		got = append(got, status)
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s: %v (%d %v), want %v", when, got, a.status, a.body["code"], want)
	}
}

// form is what a user pastes: the platform's first sample that is good.
func (w *world) form(platform string) map[string]string {
	w.t.Helper()
	for _, s := range w.box.Samples() {
		if string(s.Platform) != platform || s.Title.English != "good" {
			continue
		}
		form := map[string]string{"username": s.Username, "token": s.Token.Reveal()}
		if s.Address != "" {
			form["address"] = w.boxURL + pathOf(s.Address)
		}
		if s.Organization != "" {
			form["organization"] = s.Organization
		}
		return form
	}
	w.t.Fatalf("the sandbox has no good token of %s", platform)
	return nil
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

func (w *world) bindByToken(platform string, bearer secret.Text, query ...string) {
	w.t.Helper()
	address := w.at() + "/" + platform
	if len(query) > 0 {
		address += "?" + strings.Join(query, "=")
	}
	a := w.call(http.MethodPut, address, bearer, w.form(platform))
	if a.status != http.StatusOK || a.body["status"] != "bound" {
		w.t.Fatalf("binding %s: %d %v %v", platform, a.status, a.body["code"], a.body["reason"])
	}
}

// bindByConsent is what a browser does until it is bound.
func (w *world) bindByConsent(platform string, bearer secret.Text) {
	w.t.Helper()
	id, finish := w.consent(platform, bearer)
	shown := w.call(http.MethodGet, "/v1/authorizations/"+id, bearer, nil, "Bindery-Confirmation-Code", finish)
	if shown.status != http.StatusOK || in(shown.body, "identity", "username") == nil {
		w.t.Errorf("%s: the attempt is shown as %d %v", platform, shown.status, shown.body["code"])
	}
	confirmed := w.confirm(id, finish, bearer)
	if confirmed.status != http.StatusOK || confirmed.body["status"] != "bound" {
		w.t.Fatalf("confirming %s: %d %v", platform, confirmed.status, confirmed.body["code"])
	}
}

func (w *world) confirm(id, finish string, bearer secret.Text) answer {
	w.t.Helper()
	return w.call(http.MethodPost, "/v1/authorizations/"+id+"/confirm", bearer,
		object{"instance": object{"region": "eu", "id": w.instance}, "confirmationCode": finish})
}

// anotherUser: whoever has not begun doesn't end it, and the token is revoked at once.
func (w *world) anotherUser(bearer secret.Text) {
	w.t.Helper()
	id, finish := w.consent("github", bearer)
	a := w.confirm(id, finish, w.bearer("mallory", api.ScopeWrite))
	if a.status != http.StatusForbidden {
		w.t.Errorf("another user's confirm: %d %v", a.status, a.body["code"])
	}
}

// revokesAll is the operator's task, by an invocation of the function itself.
func (w *world) revokesAll(platform string) {
	w.t.Helper()
	reply, err := w.processes["expirycheck"].Invoke(w.t.Context(), []byte(
		`{"name":"revoke","platform":"`+platform+`","confirm":"`+platform+`"}`))
	if err != nil {
		w.t.Errorf("the operator's task: %s, %v", reply, err)
	}
}

// consent is what a browser does until it is back at the console: start, go, consent, callback.
func (w *world) consent(platform string, bearer secret.Text) (id, finish string) {
	w.t.Helper()
	id, back, cookie := w.consented(platform, bearer)
	arrived := w.call(http.MethodGet, back, secret.Text{}, nil, "Cookie", cookie)
	finish, problem := atConsole(arrived)
	if finish == "" || !strings.Contains(arrived.header.Get("Set-Cookie"), "Max-Age=0") {
		w.t.Fatalf("coming back from %s ends with %d %q", platform, arrived.status, problem)
	}
	return id, finish
}

// atConsole is what a browser brings to the console, if that is where it is sent.
func atConsole(a answer) (finish, problem string) {
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther || to.Scheme+"://"+to.Host != consoleURL {
		return "", ""
	}
	carried, _ := url.ParseQuery(to.Fragment)
	return carried.Get("confirmationCode"), carried.Get("problem")
}

// starts is the address that an attempt begins at.
func (w *world) starts(platform string, bearer secret.Text) (id, address string) {
	w.t.Helper()
	body := object{"platform": platform}
	if platform != "bitbucket" { // which asks for it after consent
		body["instance"] = object{"region": "eu", "id": w.instance}
	}
	started := w.call(http.MethodPost, "/v1/authorizations", bearer, body)
	id, _ = started.body["id"].(string)
	address, _ = started.body["startUrl"].(string)
	if started.status != http.StatusCreated || id == "" {
		w.t.Fatalf("starting %s: %d %v", platform, started.status, started.body["code"])
	}
	return id, address
}

// consented is what a browser does until the platform sends it back: to where, with which cookie.
func (w *world) consented(platform string, bearer secret.Text) (id, back, cookie string) {
	w.t.Helper()
	id, address := w.starts(platform, bearer)
	gone := w.call(http.MethodGet, address, secret.Text{}, nil, "Sec-Fetch-Mode", "navigate")
	cookie, _, _ = strings.Cut(gone.header.Get("Set-Cookie"), ";")
	if gone.status != http.StatusFound || !strings.HasPrefix(cookie, "__Host-bindery-") ||
		len(gone.header.Values("Set-Cookie")) != 1 {
		w.t.Fatalf("going to %s: %d %s", platform, gone.status, gone.text)
	}
	back, err := w.box.Consent(
		sandbox.Platform(platform), w.person, gone.header.Get("Location"), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return id, back, cookie
}

func (w *world) credential(platform string) (token secret.Text, a answer) {
	w.t.Helper()
	a = w.call(http.MethodPost, w.at()+"/"+platform+"/credential",
		w.bearer("build", api.ScopeCredential), nil)
	text, _ := a.body["token"].(string)
	if a.status != http.StatusOK || text == "" || a.header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("a credential of %s: %d %v", platform, a.status, a.body["code"])
	}
	return secret.New(text), a
}

func (w *world) credentials() {
	w.t.Helper()
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		w.credential(platform)
	}
}

// refreshes: a token that has ended, by its record, is refreshed when a build asks.
func (w *world) refreshes() {
	w.t.Helper()
	before, _ := w.credential("github")
	w.expire("github")
	after, a := w.credential("github")
	if after.Equal(before) {
		w.t.Errorf("a token that has ended is handed out again: %v", a.body["expiresAt"])
	}
}

func (w *world) expire(platform string) {
	w.t.Helper()
	w.change(w.row(platform), func(b *table.Binding) {
		b.Token.ExpiresAt = time.Now().Add(-time.Minute)
	})
}

// change changes a record as nobody could by the API.
func (w *world) change(key table.Key, change func(*table.Binding)) {
	w.t.Helper()
	b, err := w.table.Binding(w.t.Context(), key)
	if err == nil {
		change(&b)
		_, err = w.table.SaveBinding(w.t.Context(), b)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// hasten lets everything come due that ever will: time can't be handed to a process.
func (w *world) hasten() {
	w.t.Helper()
	ctx := w.t.Context()
	var all errgroup.Group
	all.SetLimit(16)
	for cursor := ""; ; {
		page, err := w.table.DueBefore(ctx, time.Now().Add(1000*time.Hour), cursor, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, e := range page.Items {
			all.Go(func() error { return w.hastened(ctx, e) })
		}
		if cursor = page.Cursor; cursor == "" {
			w.ok(all.Wait())
			return
		}
	}
}

// hastened lets one row come due.
func (w *world) hastened(ctx context.Context, e table.DueEntry) error {
	past := time.Now().Add(-time.Hour) // an attempt's secret is due 15 minutes after its expiry
	if e.Authorization != "" {
		a, err := w.table.Authorization(ctx, e.Authorization)
		if err == nil {
			a.DueAt, a.ExpiresAt = past, past
			_, err = w.table.SaveAuthorization(ctx, a)
		}
		return err
	}
	b, err := w.table.Binding(ctx, e.Binding)
	if err == nil {
		b.DueAt, b.CheckAt = past, past
		for i := range b.Secrets {
			b.Secrets[i].DueAt = past
		}
		_, err = w.table.SaveBinding(ctx, b)
	}
	return err
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		w.t.Fatal(err)
	}
}

// schedule runs the check as the cloud does when it is time.
func (w *world) schedule(when string) {
	w.t.Helper()
	p := w.processes["expirycheck"]
	before := strings.Count(p.Log(), `"msg":"checked"`)
	reply, err := p.Invoke(w.t.Context(), w.tick())
	if err != nil || string(reply) != "null" {
		w.t.Errorf("%s: the schedule ends with %s, %v", when, reply, err)
	}
	if strings.Count(p.Log(), `"msg":"checked"`) != before+1 ||
		!strings.Contains(p.Log(), `"Namespace":"Bindery"`) {
		w.t.Errorf("%s: the log has no line or no metric of the check", when)
	}
}

// outOfTime: a platform that doesn't answer must not take the function's time to reply.
func (w *world) outOfTime() {
	w.t.Helper()
	w.processes["tokenbind"] = w.start("tokenbind", 2*time.Second)
	w.box.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultLatency, Latency: time.Minute})
	a := w.call(http.MethodPut, w.at()+"/gitlab", w.bearer("alice", api.ScopeWrite),
		w.form("gitlab"))
	if a.status != http.StatusBadGateway || a.body["code"] != "platform_unreachable" {
		w.t.Errorf("got %d %v", a.status, a.body["code"])
	}
	w.wantStatus("afterwards", "unbound", "unbound", "unbound", "unbound", "unbound")
	if left := w.left(); !slices.Equal(left, []string{appsName}) {
		w.t.Errorf("it leaves the secrets %v", left)
	}
}
