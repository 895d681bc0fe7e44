package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bindery/shared/api"
	"bindery/shared/secret"
	"bindery/shared/trigger/triggertest"
	"bindery/shared/vault/kms/kmstest"
)

// logged are the lines of a process's log with this message.
func logged(p *triggertest.Process, msg string) (all []object) {
	for text := range strings.Lines(p.Log()) {
		var line object
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == msg {
			all = append(all, line)
		}
	}
	return all
}

func TestOnFunctionComputeEveryFunctionHasItsHooks(t *testing.T) {
	w := startFC(t)
	for folder, p := range w.processes {
		if err := p.Initialize(t.Context()); err != nil {
			t.Errorf("%s: the initializer: %v", folder, err)
		}
	}
	w.bindByToken("gitlab", w.bearer("alice", everyScope))
	for folder, p := range w.processes {
		if err := p.PreStop(t.Context()); err != nil {
			t.Errorf("%s: preStop: %v", folder, err)
		}
	}
}

// The vendor's loop asks for the next event before it has replied to the last one. All of these are
// under way at once, and each gets its own.
func TestOnFunctionComputeOverlappingRequestsAreNotMixedUp(t *testing.T) {
	w := startFC(t)
	user := w.bearer("alice", everyScope)
	bound, others := []string{"codeup", "gitlab"}, []string{"gitee", "github", "bitbucket"}
	for _, platform := range bound {
		w.bindByToken(platform, user)
	}
	w.credential("gitlab") // reads the catalogue, so that what comes now is the table's alone

	var arrived atomic.Int64
	together := make(chan struct{})
	w.alibaba.onCall(func(who string, needs []right) {
		if who != "credential" || needs[0].action != "GetRow" {
			return
		}
		if arrived.Add(1) == int64(len(bound)+len(others)) {
			close(together)
		}
		<-together
	})
	var mu sync.Mutex
	got := map[string]answer{}
	var all sync.WaitGroup
	for _, platform := range append(bound, others...) {
		all.Go(func() {
			a, err := sendBy(t.Context(), w.client, http.MethodPost,
				w.origin+w.at()+"/"+platform+"/credential", user, nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[platform] = a
		})
	}
	all.Wait()
	w.alibaba.onCall(nil)

	for _, platform := range bound {
		if token, _ := got[platform].body["token"].(string); token != w.form(platform)["token"] {
			t.Errorf("%s: another token, or none: %d", platform, got[platform].status)
		}
	}
	ids := map[any]bool{}
	for _, line := range logged(w.processes["credential"], "audit") {
		platform, _ := line["platform"].(string)
		id, told := line["requestId"], got[platform].body["requestId"]
		if ids[id] || told != nil && told != id {
			t.Errorf("%s: the line is of request %v, the reply of %v", platform, id, told)
		}
		ids[id] = true
	}
	for _, platform := range others {
		if a := got[platform]; a.body["code"] != "not_bound" || !ids[a.body["requestId"]] {
			t.Errorf("%s: %d %v, request %v of %v", platform, a.status, a.body["code"],
				a.body["requestId"], ids)
		}
	}
}

// panicking is what a function's main becomes, so that a request can make it panic with its token.
const panicking = `http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Panic") != "" {
		panic(r.Header.Get("Authorization"))
	}
	a.Handler(api.Status).ServeHTTP(w, r)
})`

// buildPanicking builds status with that in its main, and everything else as it is.
func buildPanicking(t *testing.T) (binary string) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join(root, "functions/status/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "a.Handler(api.Status)", panicking, 1)
	changed = strings.Replace(changed, `"context"`, "\"context\"\n\t\"net/http\"", 1)
	folder := t.TempDir()
	overlay, replacement := filepath.Join(folder, "overlay.json"), filepath.Join(folder, "main.go")
	replaced, err := json.Marshal(object{"Replace": object{source: replacement}})
	if err := errors.Join(err, os.WriteFile(replacement, []byte(changed), 0o600),
		os.WriteFile(overlay, replaced, 0o600)); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(folder, "status")
	buildAs(t, forAlibaba, binary, "-overlay", overlay, "./functions/status")
	return binary
}

func TestOnFunctionComputeAPanicIsAProblemAndTheProcessLivesOn(t *testing.T) {
	w := startFC(t)
	o := w.options("status")
	o.Binary = buildPanicking(t)
	p := triggertest.Start(t, o)
	w.processes["status"] = p
	user := w.bearer("alice", api.ScopeRead)
	for n, path := range []string{w.at(), "/v1/platforms"} { // by the router, and by the domain alone
		a := w.call(http.MethodGet, path, user, nil, "Panic", "1")
		if a.status != http.StatusInternalServerError || a.body["code"] != "internal" ||
			a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %v", path, a.status, a.body)
		}
		lines := logged(p, "panic")
		if len(lines) != n+1 || lines[n]["requestId"] != a.body["requestId"] ||
			!strings.Contains(fmt.Sprint(lines[n]["stack"]), "functions/status/main.go") {
			t.Fatalf("%s: the log has %d lines of a panic, the last %v", path, len(lines), lines)
		}
		if strings.Contains(a.text+p.Log(), user.Reveal()) {
			t.Errorf("%s: the token is shown", path)
		}
	}
	w.wantStatus("afterwards", "unbound", "unbound", "unbound", "unbound", "unbound")
	select {
	case <-p.Ended():
		t.Error("the process has ended")
	default:
	}
}

// A function that the cloud ends in the middle of its work is a problem to its client, and the same
// request works with the next one; the sweep collects what the first left.
func TestOnFunctionComputeAFunctionThatIsEndedIsAProblem(t *testing.T) {
	w := startFC(t)
	user, first := w.bearer("alice", everyScope), w.processes["tokenbind"]
	w.alibaba.onCall(func(who string, needs []right) {
		if who == "tokenbind" && needs[0] == (right{"PutRow", "table"}) &&
			len(w.left()) > 1 { // the record, for its secret is there
			first.Kill()
		}
	})
	a := w.call(http.MethodPut, w.at()+"/gitlab", user, w.form("gitlab"))
	w.alibaba.onCall(nil)
	if a.status != http.StatusInternalServerError || a.body["code"] != "internal" ||
		a.body["requestId"] == "" {
		t.Errorf("got %d %v", a.status, a.body)
	}
	if lines := logged(w.processes["router"], "a function could not be invoked"); len(lines) != 1 ||
		lines[0]["invoked"] != "bindery-tokenbind" || lines[0]["requestId"] != a.body["requestId"] {
		t.Errorf("the router logs %v", lines)
	}
	if len(w.left()) != 2 {
		t.Fatalf("it has left %d secrets, want one and the apps: it died elsewhere", len(w.left()))
	}
	w.processes["tokenbind"] = w.start("tokenbind", 0)
	w.bindByToken("gitlab", user)
	w.hasten()
	w.schedule("after a death")
	if len(w.left()) != 2 {
		t.Errorf("%d secrets are left, want the binding's and the apps", len(w.left()))
	}
	w.credential("gitlab")
}

// A reply of the vault that is lost is made good, with the rights that each role has.
func TestOnFunctionComputeALostReplyOfTheVaultIsMadeGood(t *testing.T) {
	w := startFC(t)
	user := w.bearer("alice", everyScope)
	w.alibaba.vault.Fail("CreateSecret", 1, kmstest.Lost)
	w.bindByToken("gitlab", user)
	w.loses(user)
	w.bindByConsent("gitee", user)
	w.expire("gitee")
	w.alibaba.vault.Fail("PutSecretValue", 1, kmstest.Lost)
	w.credential("gitee")
	w.hasten()
	w.expire("gitee")
	w.alibaba.vault.Fail("PutSecretValue", 1, kmstest.Lost)
	w.schedule("with a reply that is lost")
	w.wantStatus("at last", "unbound", "bound", "unbound", "bound", "unbound")
	calls := w.alibaba.vault.Calls()
	if calls["CreateSecret"] != 5 || calls["PutSecretValue"] != 4 {
		t.Errorf("the calls are %v, want two binds' and two refreshes' made twice, and one", calls)
	}
	w.hasten()
	w.schedule("which sweeps what was lost")
	if left := w.left(); len(left) != 3 { // with the apps'
		t.Errorf("the secrets %v are left", left)
	}
}

// loses is a callback whose vault's answer is lost. It may not look at what is there, and its user
// begins again.
func (w *world) loses(user secret.Text) {
	w.t.Helper()
	_, back, cookie := w.consented("gitee", user)
	w.alibaba.vault.Fail("CreateSecret", 1, kmstest.Lost)
	arrived := w.call(http.MethodGet, back, secret.Text{}, nil, "Cookie", cookie)
	if _, problem := atConsole(arrived); problem != "storage_unavailable" {
		w.t.Errorf("with a reply that is lost: %d %q", arrived.status, problem)
	}
	w.alibaba.mu.Lock()
	defer w.alibaba.mu.Unlock()
	if got := w.alibaba.refused; len(got) != 1 || !strings.HasPrefix(got[0], "oauthcallback: Get") {
		w.t.Errorf("refused are %v, want that the callback looks", got)
	}
	w.alibaba.refused = nil // it was meant
}

func TestD6_OnFunctionComputeAFunctionGetsNoMoreThanItsRoleAllows(t *testing.T) {
	w := startFC(t)
	for as, want := range map[string]string{
		"console": "console: ListInstance on registry", "old": "old: ListInstance on registry",
		"oauthstart": "oauthstart: GetRange on table",
	} {
		p := w.start("status", 0) // which has not read the catalogue
		p.SetCredentials(credentialsOf(as))
		w.processes["status"] = p
		a := w.call(http.MethodGet, w.at(), w.bearer("alice", api.ScopeRead), nil)
		if a.status != http.StatusServiceUnavailable {
			t.Errorf("with the credentials of %s: %d %v", as, a.status, a.body["code"])
		}
		w.alibaba.mu.Lock()
		refused := w.alibaba.refused
		w.alibaba.refused = nil // it was meant
		w.alibaba.mu.Unlock()
		if len(refused) == 0 || refused[0] != want {
			t.Errorf("with the credentials of %s, refused are %v, want %s", as, refused, want)
		}
	}
}

func TestOnFunctionComputeAddressesArriveAsTheyWereSent(t *testing.T) {
	w := startFC(t)
	user := w.bearer("alice", everyScope)
	w.bindByToken("gitlab", user)
	for _, c := range []struct {
		path, code string
		status     int
	}{
		{"/v1/bindings?status=bo%75nd&platform=gitlab", "", http.StatusOK},
		{"/v1/bindings?status=bound&status=expired", "input_malformed", http.StatusBadRequest},
		{w.at() + "/gitlab/history?cursor=a&cursor=b", "input_malformed", http.StatusBadRequest},
		{w.at() + "/gitlab/history?cursor=", "", http.StatusOK},
		// One segment of a path is one: it is not taken apart at its slash.
		{"/v1/instances/eu/cri/1/bindings", "route_unknown", http.StatusNotFound},
		{"/v1/instances/eu/cri%252F1/bindings", "instance_unknown", http.StatusNotFound},
		{"/v1/instances/eu/%E5%80%BC/bindings", "instance_unknown", http.StatusNotFound},
		{w.at() + "/git%6Cab/history", "", http.StatusOK},
	} {
		a := w.call(http.MethodGet, c.path, user, nil)
		if code, _ := a.body["code"].(string); a.status != c.status || code != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.path, a.status, code, c.status, c.code)
		}
	}
	a := w.call(http.MethodDelete, w.at()+"/gitlab?revoke=true&revoke=false", user, nil)
	if a.status != http.StatusBadRequest {
		t.Errorf("revoking, and not: %d %v", a.status, a.body)
	}
	w.wantStatus("then", "unbound", "unbound", "unbound", "bound", "unbound")
}
