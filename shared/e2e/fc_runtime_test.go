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
	"bindery/shared/testkit"
	"bindery/shared/trigger/triggertest"
	"bindery/shared/vault/kms/kmstest"
)

func TestOnFunctionComputeEveryFunctionHandlesTheLifecycleHooks(t *testing.T) {
	d := startFC(t)
	for folder, p := range d.processes {
		if err := p.Initialize(t.Context()); err != nil {
			t.Errorf("%s: the initializer: %v", folder, err)
		}
	}
	d.bindByToken("gitlab", d.bearer("alice", everyScope))
	for folder, p := range d.processes {
		if err := p.PreStop(t.Context()); err != nil {
			t.Errorf("%s: preStop: %v", folder, err)
		}
	}
}

// The vendor's loop polls for the next event before it has replied to the last one. These requests
// are all in progress at once, and each gets its own reply.
func TestOnFunctionComputeOverlappingRequestsAreNotMixedUp(t *testing.T) {
	d := startFC(t)
	user := d.bearer("alice", everyScope)
	bound, others := []string{"codeup", "gitlab"}, []string{"gitee", "github", "bitbucket"}
	for _, platform := range bound {
		d.bindByToken(platform, user)
	}
	d.credential("gitlab") // reads the catalogue, so that the next calls are only to the table

	var arrived atomic.Int64
	together := make(chan struct{})
	d.alibaba.onCall(func(who string, needs []right) {
		if who != "credential" || needs[0].action != "GetRow" {
			return
		}
		if arrived.Add(1) == int64(len(bound)+len(others)) {
			close(together)
		}
		<-together
	})
	var mu sync.Mutex
	got := map[string]reply{}
	var all sync.WaitGroup
	for _, platform := range append(bound, others...) {
		all.Go(func() {
			a, err := sendBy(t.Context(), d.client, http.MethodPost,
				d.origin+d.bindingsPath()+"/"+platform+"/credential", user, nil)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[platform] = a
		})
	}
	all.Wait()
	d.alibaba.onCall(nil)

	for _, platform := range bound {
		if token, _ := got[platform].body["token"].(string); token != d.form(platform)["token"] {
			t.Errorf("%s: another token, or none: %d", platform, got[platform].status)
		}
	}
	ids := map[any]bool{}
	for _, line := range testkit.Records(d.processes["credential"].Log(), "audit") {
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

// panicking replaces the handler in status's main, so that a request can make it panic with its
// token.
const panicking = `http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Panic") != "" {
		panic(r.Header.Get("Authorization"))
	}
	a.Handler(api.Status).ServeHTTP(w, r)
})`

// buildPanicking builds status with that handler and no other change.
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
	changed = strings.Replace(changed, "import (", "import (\n\t\"net/http\"\n", 1)
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

func TestOnFunctionComputeAPanicIsAProblemAndTheProcessContinues(t *testing.T) {
	d := startFC(t)
	o := d.options("status")
	o.Binary = buildPanicking(t)
	p := triggertest.Start(t, o)
	d.processes["status"] = p
	user := d.bearer("alice", api.ScopeRead)
	// Through the router, and directly from the domain.
	for n, path := range []string{d.bindingsPath(), "/v1/platforms"} {
		a := d.call(http.MethodGet, path, user, nil, "Panic", "1")
		if a.status != http.StatusInternalServerError || a.body["code"] != "internal" ||
			a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %v", path, a.status, a.body)
		}
		lines := testkit.Records(p.Log(), "panic")
		if len(lines) != n+1 || lines[n]["requestId"] != a.body["requestId"] ||
			!strings.Contains(fmt.Sprint(lines[n]["stack"]), "functions/status/main.go") {
			t.Fatalf("%s: the log has %d lines of a panic, the last %v", path, len(lines), lines)
		}
		if strings.Contains(a.text+p.Log(), user.Reveal()) {
			t.Errorf("%s: the token is shown", path)
		}
	}
	d.wantStatus("afterwards", "unbound", "unbound", "unbound", "unbound", "unbound")
	select {
	case <-p.Ended():
		t.Error("the process has ended")
	default:
	}
}

// When the cloud kills a function during a request, the client gets a problem, and the same
// request works in the next process. The sweep deletes what the first one left.
func TestOnFunctionComputeAKilledFunctionIsAProblem(t *testing.T) {
	d := startFC(t)
	user, first := d.bearer("alice", everyScope), d.processes["tokenbind"]
	d.alibaba.onCall(func(who string, needs []right) {
		if who == "tokenbind" && needs[0] == (right{"PutRow", "table"}) &&
			len(d.secretNames()) > 1 { // the record, whose secret is stored already
			first.Kill()
		}
	})
	a := d.call(http.MethodPut, d.bindingsPath()+"/gitlab", user, d.form("gitlab"))
	d.alibaba.onCall(nil)
	if a.status != http.StatusInternalServerError || a.body["code"] != "internal" ||
		a.body["requestId"] == "" {
		t.Errorf("got %d %v", a.status, a.body)
	}
	lines := testkit.Records(d.processes["router"].Log(), "a function could not be invoked")
	if len(lines) != 1 ||
		lines[0]["invoked"] != "bindery-tokenbind" || lines[0]["requestId"] != a.body["requestId"] {
		t.Errorf("the router logs %v", lines)
	}
	if len(d.secretNames()) != 2 {
		t.Fatalf("it has left %d secrets, want one and the apps: it was killed at another call",
			len(d.secretNames()))
	}
	d.processes["tokenbind"] = d.startProcess("tokenbind", 0)
	d.bindByToken("gitlab", user)
	d.makeAllDue()
	d.runSchedule("after a death")
	if len(d.secretNames()) != 2 {
		t.Errorf("%d secrets are left, want the binding's and the apps", len(d.secretNames()))
	}
	d.credential("gitlab")
}

// A lost reply of the vault does no harm, with only the rights that each role has.
func TestOnFunctionComputeALostReplyOfTheVaultDoesNoHarm(t *testing.T) {
	d := startFC(t)
	user := d.bearer("alice", everyScope)
	d.alibaba.vault.Fail("CreateSecret", 1, kmstest.Lost)
	d.bindByToken("gitlab", user)
	d.wantCallbackToRefuse(user)
	d.bindByConsent("gitee", user)
	d.expire("gitee")
	d.alibaba.vault.Fail("PutSecretValue", 1, kmstest.Lost)
	d.credential("gitee")
	d.makeAllDue()
	d.expire("gitee")
	d.alibaba.vault.Fail("PutSecretValue", 1, kmstest.Lost)
	d.runSchedule("with a lost reply")
	d.wantStatus("at last", "unbound", "bound", "unbound", "bound", "unbound")
	calls := d.alibaba.vault.Calls()
	if calls["CreateSecret"] != 5 || calls["PutSecretValue"] != 4 {
		t.Errorf("the calls are %v, want two binds' and two refreshes' made twice, and one", calls)
	}
	d.makeAllDue()
	d.runSchedule("which sweeps the lost secrets")
	if left := d.secretNames(); len(left) != 3 { // with the OAuth apps
		t.Errorf("the secrets %v are left", left)
	}
}

// wantCallbackToRefuse expects a callback to refuse when the reply of its vault is lost: its role
// may not read whether the secret was stored. The user starts again.
func (d *deployment) wantCallbackToRefuse(user secret.Text) {
	d.t.Helper()
	_, back, cookie := d.consentAtPlatform("gitee", user)
	d.alibaba.vault.Fail("CreateSecret", 1, kmstest.Lost)
	arrived := d.call(http.MethodGet, back, secret.Text{}, nil, "Cookie", cookie)
	if _, problem := consoleFragment(arrived); problem != "storage_unavailable" {
		d.t.Errorf("with a lost reply: %d %q", arrived.status, problem)
	}
	d.alibaba.mu.Lock()
	defer d.alibaba.mu.Unlock()
	if got := d.alibaba.refused; len(got) != 1 || !strings.HasPrefix(got[0], "oauthcallback: Get") {
		d.t.Errorf("refused are %v, want that the callback looks", got)
	}
	d.alibaba.refused = nil // expected
}

func TestD6_OnFunctionComputeAFunctionGetsNoMoreThanItsRoleAllows(t *testing.T) {
	d := startFC(t)
	for as, want := range map[string]string{
		"console": "console: ListInstance on registry", "old": "old: ListInstance on registry",
		"oauthstart": "oauthstart: GetRange on table",
	} {
		p := d.startProcess("status", 0) // a new process hasn't read the catalogue
		p.SetCredentials(credentialsOf(as))
		d.processes["status"] = p
		a := d.call(http.MethodGet, d.bindingsPath(), d.bearer("alice", api.ScopeRead), nil)
		if a.status != http.StatusServiceUnavailable {
			t.Errorf("with the credentials of %s: %d %v", as, a.status, a.body["code"])
		}
		d.alibaba.mu.Lock()
		refused := d.alibaba.refused
		d.alibaba.refused = nil // expected
		d.alibaba.mu.Unlock()
		if len(refused) == 0 || refused[0] != want {
			t.Errorf("with the credentials of %s, refused are %v, want %s", as, refused, want)
		}
	}
}

func TestOnFunctionComputeAddressesArriveAsTheyWereSent(t *testing.T) {
	d := startFC(t)
	user := d.bearer("alice", everyScope)
	d.bindByToken("gitlab", user)
	for _, c := range []struct {
		path, code string
		status     int
	}{
		{"/v1/bindings?status=bo%75nd&platform=gitlab", "", http.StatusOK},
		{"/v1/bindings?status=bound&status=expired", "input_malformed", http.StatusBadRequest},
		{
			d.bindingsPath() + "/gitlab/history?cursor=a&cursor=b", "input_malformed",
			http.StatusBadRequest,
		},
		{d.bindingsPath() + "/gitlab/history?cursor=", "", http.StatusOK},
		// A segment of the path isn't split at its escaped slash.
		{"/v1/instances/eu/cri/1/bindings", "route_unknown", http.StatusNotFound},
		{"/v1/instances/eu/cri%252F1/bindings", "instance_unknown", http.StatusNotFound},
		{"/v1/instances/eu/%E5%80%BC/bindings", "instance_unknown", http.StatusNotFound},
		{d.bindingsPath() + "/git%6Cab/history", "", http.StatusOK},
	} {
		a := d.call(http.MethodGet, c.path, user, nil)
		if code, _ := a.body["code"].(string); a.status != c.status || code != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.path, a.status, code, c.status, c.code)
		}
	}
	a := d.call(http.MethodDelete, d.bindingsPath()+"/gitlab?revoke=true&revoke=false", user, nil)
	if a.status != http.StatusBadRequest {
		t.Errorf("with revoke=true and revoke=false: %d %v", a.status, a.body)
	}
	d.wantStatus("then", "unbound", "unbound", "unbound", "bound", "unbound")
}
