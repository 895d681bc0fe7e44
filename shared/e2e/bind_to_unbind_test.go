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
	"bindery/shared/binding"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// bindToUnbind takes all five platforms from unbound through bind, credential, refresh, a look at
// their repositories, a clone, check, re-bind and revocation to unbound again. It is the same for
// every cloud.
func (d *deployment) bindToUnbind() {
	d.t.Helper()
	writer := d.bearer("alice", api.ScopeWrite)
	d.wantServing()
	d.wantStatus("at first", "unbound", "unbound", "unbound", "unbound", "unbound")
	for _, platform := range []string{"codeup", "gitlab"} {
		d.bindByToken(platform, writer)
	}
	for _, platform := range []string{"gitee", "github", "bitbucket"} {
		d.bindByConsent(platform, writer)
	}
	d.wantStatus("when all is bound", "bound", "bound", "bound", "bound", "bound")
	d.wantLostSecrets()
	d.wantStatus("after the task", "unbound", "bound", "bound", "bound", "bound")
	d.bindByToken("codeup", writer)
	d.wantCredentials()
	d.wantRefreshOnDemand()
	d.lookAtRepositories()
	d.subscribe(writer)
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		a := d.call(http.MethodPost, d.bindingsPath()+"/"+platform+"/check", writer, nil)
		if a.status != http.StatusOK || a.body["status"] != "bound" {
			d.t.Errorf("checking %s: %d %v", platform, a.status, a.body["code"])
		}
	}
	d.runSchedule("with nothing due")
	d.makeAllDue()
	d.expire("bitbucket")
	killed := binding.RunLease{Schedule: "check", Holder: "killed"} // it has expired
	_, err := d.table.SaveRunLease(d.t.Context(), killed)
	d.mustSucceed(err)
	d.runSchedule("with everything due, and an expired token")
	d.wantStatus("after the check", "bound", "bound", "bound", "bound", "bound")
	for range binding.MaxEvents + 1 { // more events than a record keeps
		d.bindByToken("gitlab", writer)
	}
	d.bindByToken("gitlab", writer, "revoke", "true") // the same token: it is in use and not revoked
	d.bindByConsent("github", writer)                 // revokes the token before
	d.wantOtherUserRefused(writer)
	d.revokeAll("gitee")
	d.wantStatus("after the operator's task", "bound", "revoked", "bound", "bound", "bound")
	d.bindByConsent("gitee", writer)
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		a := d.call(http.MethodDelete, d.bindingsPath()+"/"+platform, writer, nil)
		if a.status != http.StatusOK || a.body["revoked"] != (platform == "github") {
			d.t.Errorf("unbinding %s: %d %v", platform, a.status, a.body)
		}
	}
	d.wantStatus("at last", "unbound", "unbound", "unbound", "unbound", "unbound")
	a := d.call(http.MethodGet, d.bindingsPath()+"/github/history",
		d.bearer("alice", api.ScopeRead), nil)
	if events, _ := a.body["events"].([]any); len(events) != 3 {
		d.t.Errorf("the history of github has %d events, want bound, rebound, unbound", len(events))
	}
	d.makeSubscriptionsDue()
	d.runSubscriptions("with everything unbound")
	for range 2 { // a record goes when its events are sent
		d.makeAllDue()
		d.runSchedule("with everything unbound")
	}
	if left := d.secretNames(); !slices.Equal(left, []string{appsName}) {
		d.t.Errorf("the sweep leaves the secrets %v", left)
	}
	d.wantReplyBeforeTimeout()
	d.wantNoUnusedRight()
	if issued := len(d.issued.list()); issued < 10 {
		d.t.Errorf("only %d tokens are searched for in the logs", issued)
	}
}

// wantServing expects what works without a bearer to work, and the rest to refuse.
func (d *deployment) wantServing() {
	d.t.Helper()
	if a := d.call(http.MethodGet, "/healthz", secret.Text{}, nil); a.status != http.StatusNoContent {
		d.t.Errorf("/healthz is %d", a.status)
	}
	page := d.call(http.MethodGet, "/", secret.Text{}, nil)
	if page.status != http.StatusOK || !strings.Contains(page.text, "<!doctype html>") &&
		!strings.Contains(page.text, "<!DOCTYPE html>") {
		d.t.Errorf("the page is %d", page.status)
	}
	style := d.call(http.MethodGet, "/style.css", secret.Text{}, nil)
	if !strings.HasPrefix(style.header.Get("Content-Type"), "text/css") {
		d.t.Errorf("the page's style is %d, %s", style.status, style.header.Get("Content-Type"))
	}
	if a := d.call(http.MethodGet, "/v1/platforms", secret.Text{}, nil); a.status != 401 {
		d.t.Errorf("without a bearer: %d", a.status)
	}
	a := d.call(http.MethodGet, "/v1/platforms", d.bearer("alice", api.ScopeWrite), nil)
	if a.status != http.StatusForbidden || a.body["code"] != "scope_missing" {
		d.t.Errorf("without the scope: %d %v", a.status, a.body["code"])
	}
}

// wantStatus expects these statuses of the five platforms, in the console's order.
func (d *deployment) wantStatus(when string, want ...string) {
	d.t.Helper()
	a := d.call(http.MethodGet, d.bindingsPath(), d.bearer("alice", api.ScopeRead), nil)
	var got []string
	list, _ := a.body["bindings"].([]any)
	for _, b := range list {
		status, _ := in(b, "status").(string)
		got = append(got, status)
	}
	if !slices.Equal(got, want) {
		d.t.Fatalf("%s: %v (%d %v), want %v", when, got, a.status, a.body["code"], want)
	}
}

// form returns the body of a bind by token with the platform's first good sample.
func (d *deployment) form(platform string) map[string]string {
	d.t.Helper()
	for _, s := range d.sandbox.Samples() {
		if string(s.Platform) != platform || s.Title.English != "good" {
			continue
		}
		form := map[string]string{"username": s.Username, "token": s.Token.Reveal()}
		if s.Address != "" {
			form["address"] = d.sandboxURL + pathOf(s.Address)
		}
		if s.Organization != "" {
			form["organization"] = s.Organization
		}
		return form
	}
	d.t.Fatalf("the sandbox has no good token of %s", platform)
	return nil
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

func (d *deployment) bindByToken(platform string, bearer secret.Text, query ...string) {
	d.t.Helper()
	address := d.bindingsPath() + "/" + platform
	if len(query) > 0 {
		address += "?" + strings.Join(query, "=")
	}
	a := d.call(http.MethodPut, address, bearer, d.form(platform))
	if a.status != http.StatusOK || a.body["status"] != "bound" {
		d.t.Fatalf("binding %s: %d %v %v", platform, a.status, a.body["code"], a.body["reason"])
	}
}

// bindByConsent binds by OAuth, as a browser and the console do.
func (d *deployment) bindByConsent(platform string, bearer secret.Text) {
	d.t.Helper()
	id, code := d.consent(platform, bearer)
	shown := d.call(http.MethodGet, "/v1/authorizations/"+id, bearer, nil,
		"Bindery-Confirmation-Code", code)
	if shown.status != http.StatusOK || in(shown.body, "identity", "username") == nil {
		d.t.Errorf("%s: the attempt is shown as %d %v", platform, shown.status, shown.body["code"])
	}
	confirmed := d.confirm(id, code, bearer)
	if confirmed.status != http.StatusOK || confirmed.body["status"] != "bound" {
		d.t.Fatalf("confirming %s: %d %v", platform, confirmed.status, confirmed.body["code"])
	}
}

func (d *deployment) confirm(id, code string, bearer secret.Text) reply {
	d.t.Helper()
	return d.call(http.MethodPost, "/v1/authorizations/"+id+"/confirm", bearer,
		object{"instance": object{"region": "eu", "id": d.instance}, "confirmationCode": code})
}

// wantOtherUserRefused expects that a user who didn't start an attempt can't confirm it. The
// confirm revokes the attempt's token.
func (d *deployment) wantOtherUserRefused(bearer secret.Text) {
	d.t.Helper()
	id, code := d.consent("github", bearer)
	a := d.confirm(id, code, d.bearer("mallory", api.ScopeWrite))
	if a.status != http.StatusForbidden {
		d.t.Errorf("another user's confirm: %d %v", a.status, a.body["code"])
	}
}

// revokeAll runs the operator's task that revokes every token of a platform.
func (d *deployment) revokeAll(platform string) {
	d.t.Helper()
	reply, err := d.processes["expirycheck"].Invoke(d.t.Context(), []byte(
		`{"name":"revoke","platform":"`+platform+`","confirm":"`+platform+`"}`))
	if err != nil {
		d.t.Errorf("the operator's task: %s, %v", reply, err)
	}
}

// consent takes an attempt through start, redirect, the platform's consent and callback, and
// returns what the console gets.
func (d *deployment) consent(platform string, bearer secret.Text) (id, code string) {
	d.t.Helper()
	id, back, cookie := d.consentAtPlatform(platform, bearer)
	arrived := d.call(http.MethodGet, back, secret.Text{}, nil, "Cookie", cookie)
	code, problem := consoleFragment(arrived)
	if code == "" || !strings.Contains(arrived.header.Get("Set-Cookie"), "Max-Age=0") {
		d.t.Fatalf("coming back from %s ends with %d %q", platform, arrived.status, problem)
	}
	return id, code
}

// consoleFragment returns the confirmation code and the problem in the fragment of a redirect to
// the console, both "" for any other reply.
func consoleFragment(a reply) (code, problem string) {
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther || to.Scheme+"://"+to.Host != consoleURL {
		return "", ""
	}
	carried, _ := url.ParseQuery(to.Fragment)
	return carried.Get("confirmationCode"), carried.Get("problem")
}

// startAuthorization starts an attempt and returns its id and the address that the browser opens.
func (d *deployment) startAuthorization(platform string, bearer secret.Text) (id, address string) {
	d.t.Helper()
	body := object{"platform": platform}
	if platform != "bitbucket" { // its instance is chosen after the consent
		body["instance"] = object{"region": "eu", "id": d.instance}
	}
	started := d.call(http.MethodPost, "/v1/authorizations", bearer, body)
	id, _ = started.body["id"].(string)
	address, _ = started.body["startUrl"].(string)
	if started.status != http.StatusCreated || id == "" {
		d.t.Fatalf("starting %s: %d %v", platform, started.status, started.body["code"])
	}
	return id, address
}

// consentAtPlatform goes from the start to the platform's consent, and returns the callback's
// address and the cookie that the browser has for it.
func (d *deployment) consentAtPlatform(
	platform string, bearer secret.Text,
) (id, back, cookie string) {
	d.t.Helper()
	id, address := d.startAuthorization(platform, bearer)
	back, cookie = d.consentAt(platform, address)
	return id, back, cookie
}

// consentAt goes from the address of a started attempt to the platform's consent, and returns what
// consentAtPlatform does.
func (d *deployment) consentAt(platform, address string) (back, cookie string) {
	d.t.Helper()
	gone := d.call(http.MethodGet, address, secret.Text{}, nil, "Sec-Fetch-Mode", "navigate")
	cookie, _, _ = strings.Cut(gone.header.Get("Set-Cookie"), ";")
	if gone.status != http.StatusFound || !strings.HasPrefix(cookie, "__Host-bindery-") ||
		len(gone.header.Values("Set-Cookie")) != 1 {
		d.t.Fatalf("going to %s: %d %s", platform, gone.status, gone.text)
	}
	back, err := d.sandbox.Consent(
		sandbox.Platform(platform), d.platformUser, gone.header.Get("Location"), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return back, cookie
}

func (d *deployment) credential(platform string) (token secret.Text, a reply) {
	d.t.Helper()
	a = d.call(http.MethodPost, d.bindingsPath()+"/"+platform+"/credential",
		d.bearer("build", api.ScopeCredential), nil)
	text, _ := a.body["token"].(string)
	if a.status != http.StatusOK || text == "" || a.header.Get("Cache-Control") != "no-store" {
		d.t.Errorf("a credential of %s: %d %v", platform, a.status, a.body["code"])
	}
	return secret.New(text), a
}

func (d *deployment) wantCredentials() {
	d.t.Helper()
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		d.credential(platform)
	}
}

// wantRefreshOnDemand expects that a credential is refreshed when the record says that its token
// has expired.
func (d *deployment) wantRefreshOnDemand() {
	d.t.Helper()
	before, _ := d.credential("github")
	d.expire("github")
	after, a := d.credential("github")
	if after.Equal(before) {
		d.t.Errorf("an expired token is handed out again: %v", a.body["expiresAt"])
	}
}

func (d *deployment) expire(platform string) {
	d.t.Helper()
	d.changeRecord(d.bindingKey(platform), func(b *binding.Record) {
		b.Token.ExpiresAt = time.Now().Add(-time.Minute)
	})
}

// changeRecord edits a record in the table, past the API.
func (d *deployment) changeRecord(key binding.Key, change func(*binding.Record)) {
	d.t.Helper()
	b, err := d.table.Binding(d.t.Context(), key)
	if err == nil {
		change(&b)
		_, err = d.table.SaveBinding(d.t.Context(), b)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// makeAllDue makes every row due that ever becomes due: a test can't set the clock of a process.
func (d *deployment) makeAllDue() {
	d.t.Helper()
	ctx := d.t.Context()
	var all errgroup.Group
	all.SetLimit(16)
	for cursor := ""; ; {
		page, err := d.table.DueBefore(ctx, time.Now().Add(1000*time.Hour), cursor, 100)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, e := range page.Items {
			all.Go(func() error { return d.makeDue(ctx, e) })
		}
		if cursor = page.Cursor; cursor == "" {
			d.mustSucceed(all.Wait())
			return
		}
	}
}

// makeDue makes one row due.
func (d *deployment) makeDue(ctx context.Context, e table.DueEntry) error {
	past := time.Now().Add(-time.Second)
	switch {
	case e.Authorization != "":
		a, err := d.table.Authorization(ctx, e.Authorization)
		if err == nil {
			a.DueAt, a.ExpiresAt = past, past.Add(-time.Hour) // its secret is kept for a while longer
			_, err = d.table.SaveAuthorization(ctx, a)
		}
		return err
	}
	b, err := d.table.Binding(ctx, e.Binding)
	if err == nil {
		b.DueAt, b.CheckAt, b.EventAt = past, past, past.Add(-time.Hour)
		for i := range b.Secrets {
			b.Secrets[i].DueAt = past
		}
		_, err = d.table.SaveBinding(ctx, b)
	}
	return err
}

func (d *deployment) mustSucceed(err error) {
	d.t.Helper()
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		d.t.Fatal(err)
	}
}

// runSchedule invokes expirycheck as the cloud's schedule does.
func (d *deployment) runSchedule(when string) {
	d.t.Helper()
	p := d.processes["expirycheck"]
	before := strings.Count(p.Log(), `"msg":"checked"`)
	reply, err := p.Invoke(d.t.Context(), d.scheduleEvent("Schedule"))
	if err != nil || string(reply) != "null" {
		d.t.Errorf("%s: the schedule ends with %s, %v", when, reply, err)
	}
	if strings.Count(p.Log(), `"msg":"checked"`) != before+1 ||
		!strings.Contains(p.Log(), `"Namespace":"Bindery"`) {
		d.t.Errorf("%s: the log has no line or no metric of the check", when)
	}
}

// wantReplyBeforeTimeout expects a reply before the function's limit although a platform doesn't
// answer.
func (d *deployment) wantReplyBeforeTimeout() {
	d.t.Helper()
	d.processes["tokenbind"] = d.startProcess("tokenbind", 2*time.Second)
	d.sandbox.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultLatency, Latency: time.Minute})
	a := d.call(http.MethodPut, d.bindingsPath()+"/gitlab", d.bearer("alice", api.ScopeWrite),
		d.form("gitlab"))
	if a.status != http.StatusBadGateway || a.body["code"] != "platform_unreachable" {
		d.t.Errorf("got %d %v", a.status, a.body["code"])
	}
	d.wantStatus("afterwards", "unbound", "unbound", "unbound", "unbound", "unbound")
	if left := d.secretNames(); !slices.Equal(left, []string{appsName}) {
		d.t.Errorf("it leaves the secrets %v", left)
	}
}
