package e2e_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/api"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/trigger/triggertest"
)

// apiRequest is one call of a function's API.
type apiRequest struct {
	method, path string
	bearer       secret.Text
	body         any
	more         []string // headers
}

// scenario is what somebody asks of a function, while its stores are at fault.
type scenario struct {
	name, folder string
	// setUp does what comes before, by functions that are well.
	setUp   func(r *faultRun) apiRequest
	success int // the status of a success
	// browser says that a person's browser asks, which has nobody's bearer, and ends at the console.
	browser bool
	// platformUser is who consents at the platform, if it must be somebody whom no other deed is about: the
	// deed then goes wrong in one way after the other.
	platformUser string
	// passBackoff lets the time pass after which a refresh is tried again.
	passBackoff func(r *faultRun)
}

func scenarios() []scenario {
	onCodeHost := func(method, tail string) func(r *faultRun) apiRequest {
		return func(r *faultRun) apiRequest {
			r.bindByToken("gitlab", r.user)
			return apiRequest{method: method, path: r.bindingsPath() + "/gitlab" + tail, bearer: r.user}
		}
	}
	return []scenario{
		{name: "status", folder: "status", success: 200, setUp: func(r *faultRun) apiRequest {
			return apiRequest{method: "GET", path: r.bindingsPath(), bearer: r.user}
		}},
		{name: "history", folder: "status", success: 200, setUp: onCodeHost("GET", "/history")},
		{name: "bind", folder: "tokenbind", success: 200, setUp: func(r *faultRun) apiRequest {
			return apiRequest{
				method: "PUT", path: r.bindingsPath() + "/gitlab", bearer: r.user, body: r.form("gitlab"),
			}
		}},
		{name: "unbind", folder: "unbind", platformUser: "alice", success: 200, setUp: func(r *faultRun) apiRequest {
			r.bindByConsent("github", r.user)
			return apiRequest{method: "DELETE", path: r.bindingsPath() + "/github", bearer: r.user}
		}},
		{
			name: "credential", folder: "credential", success: 200,
			setUp: onCodeHost("POST", "/credential"),
		},
		{name: "refresh", folder: "credential", success: 200, setUp: func(r *faultRun) apiRequest {
			r.bindByConsent("gitee", r.user)
			r.expire("gitee")
			return apiRequest{method: "POST", path: r.bindingsPath() + "/gitee/credential", bearer: r.user}
		}, passBackoff: func(r *faultRun) {
			r.changeRecord(r.bindingKey("gitee"), func(b *table.Binding) {
				b.Backoff.Until = time.Time{}
				if b.Lease != (table.Lease{}) {
					b.Lease.Until = time.Now().Add(-time.Second)
				}
			})
		}},
		{name: "check", folder: "expirycheck", success: 200, setUp: onCodeHost("POST", "/check")},
		{name: "start", folder: "oauthstart", success: 201, setUp: func(r *faultRun) apiRequest {
			return apiRequest{
				method: "POST", path: "/v1/authorizations", bearer: r.user,
				body: object{"platform": "bitbucket"},
			}
		}},
		{name: "go", folder: "oauthstart", success: 302, browser: true, setUp: func(r *faultRun) apiRequest {
			_, address := r.startAuthorization("gitee", r.user)
			return apiRequest{
				method: "GET", path: strings.TrimPrefix(address, r.front.URL),
				more: []string{"Sec-Fetch-Mode", "navigate"},
			}
		}},
		{
			name: "callback", folder: "oauthcallback", success: 303, browser: true,
			setUp: func(r *faultRun) apiRequest {
				_, back, cookie := r.consentAtPlatform("gitee", r.user)
				return apiRequest{
					method: "GET", path: strings.TrimPrefix(back, r.front.URL),
					more: []string{"Cookie", cookie},
				}
			},
		},
		{name: "confirm", folder: "oauthconfirm", platformUser: "bob", success: 200, setUp: func(r *faultRun) apiRequest {
			id, finish := r.consent("github", r.user)
			return apiRequest{
				method: "POST", path: "/v1/authorizations/" + id + "/confirm", bearer: r.user,
				body: object{
					"instance": object{"region": "eu", "id": r.instance}, "confirmationCode": finish,
				},
			}
		}},
	}
}

// faultRun is where one deed is done: at an instance of its own, by a process of its own, which comes
// to the stores by lines that can be cut. What goes before and after is done by the world's own
// processes, which are always well.
type faultRun struct {
	*deployment
	scenario
	user  secret.Text
	front *httptest.Server // leads to the process for this deed's function
	links map[string]*link // by service

	processes   map[string]*triggertest.Process // that process, by its folder
	environment []string                        // that leads it to the lines
}

// everyScope is a user's who may do anything.
var everyScope = strings.Join([]string{api.ScopeRead, api.ScopeWrite, api.ScopeCredential}, " ")

// newFaultRun sets a deed up at the n-th instance.
func (d *deployment) newFaultRun(t *testing.T, sc scenario, n int) *faultRun {
	t.Helper()
	other := *d
	other.t, other.instance, other.platformUser = t, strconv.Itoa(n), cmp.Or(sc.platformUser, d.platformUser)
	r := &faultRun{deployment: &other, scenario: sc, links: map[string]*link{}}
	session := "canary-session-" + r.instance
	r.environment = []string{"AWS_SESSION_TOKEN=" + session}
	for service, variable := range map[string]string{
		tableService: "AWS_ENDPOINT_URL_DYNAMODB", vaultService: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
	} {
		l, address := newLink(t, d.aws, session, service)
		r.links[service] = l
		r.environment = append(r.environment, variable+"="+address)
	}
	r.processes = map[string]*triggertest.Process{}
	r.front = httptest.NewServer(r.api(r.processes))
	t.Cleanup(r.front.Close)
	return r
}

// restart ends the deed's process, and starts another.
func (r *faultRun) restart() {
	r.t.Helper()
	if old := r.processes[r.folder]; old != nil {
		old.Kill()
	}
	r.processes[r.folder] = r.startProcess(r.folder, 0, r.environment...)
}

// prepare has the deed begun by a new user, for none may bind as often in a minute as this does, and
// in a new process, which remembers nothing.
func (r *faultRun) prepare() apiRequest {
	r.t.Helper()
	r.user = r.bearer(rand.Text(), everyScope)
	r.restart()
	return r.setUp(r)
}

// send does the deed. The function has the time that the template gives it.
func (r *faultRun) send(request apiRequest) (reply, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), functionTimeout)
	defer cancel()
	return send(ctx, request.method, r.front.URL+request.path, request.bearer, request.body, request.more...)
}

// succeeded reports whether the deed has succeeded.
func (r *faultRun) succeeded(a reply) bool {
	if r.success == http.StatusSeeOther {
		finish, _ := consoleFragment(a)
		return finish != ""
	}
	return a.status == r.success
}

// wantStorageUnavailable expects a refusal in words, for want of a store, that shows nothing.
func (r *faultRun) wantStorageUnavailable(when string, a reply) {
	r.t.Helper()
	if r.browser {
		if _, problem := consoleFragment(a); problem != "storage_unavailable" {
			r.t.Errorf("%s: the browser is sent to the console with %d %q", when, a.status, problem)
		}
		return
	}
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusServiceUnavailable || a.body["code"] != "storage_unavailable" ||
		err != nil || wait < 1 {
		r.t.Errorf("%s: got %d %v, Retry-After %q", when, a.status, a.body["code"],
			a.header.Get("Retry-After"))
	}
	if a.header.Get("Content-Type") != "application/problem+json" || a.body["remedy"] == "" ||
		a.body["requestId"] == "" || a.body["title"] == "" {
		r.t.Errorf("%s: the problem lacks something: %v", when, a.body)
	}
}

// usedUpCodes are the problems after which an attempt is begun anew.
var usedUpCodes = []string{"authorization_done", "another_browser", "cookies_blocked"}

// codeOf is the problem that a reply tells, in its body or on the way to the console.
func codeOf(a reply) string {
	if _, code := consoleFragment(a); code != "" {
		return code
	}
	code, _ := a.body["code"].(string)
	return code
}

// wantNoSecret expects that a reply shows no token, but for the one that it is for.
func (r *faultRun) wantNoSecret(when string, a reply) {
	r.t.Helper()
	text := a.text + fmt.Sprint(a.header)
	handed, _ := a.body["token"].(string)
	for i, word := range r.canaries() {
		if word != handed && strings.Contains(text, word) && !strings.HasPrefix(word, "code=") {
			r.t.Errorf("%s: the reply shows secret %d", when, i)
		}
	}
}

// wantRetrySucceeds expects that the same request works when the stores are well. What the user is told to
// do before that is done: a browser whose attempt was used up begins another, and so does the owner
// of a token that was lost. A process remembers for as long as Retry-After says that it couldn't
// read the OAuth apps; another one doesn't.
func (r *faultRun) wantRetrySucceeds(when string, request apiRequest, mayLose bool) {
	r.t.Helper()
	var told []string
	for range 5 {
		if r.passBackoff != nil {
			r.passBackoff(r)
		}
		a, err := r.send(request)
		if err == nil && r.succeeded(a) {
			return
		}
		code := codeOf(a)
		told = append(told, code)
		switch {
		case code == "storage_unavailable" && (r.browser || a.header.Get("Retry-After") != ""):
			r.restart()
		case r.browser && slices.Contains(usedUpCodes, code):
			request = r.setUp(r)
		case mayLose && code == "token_revoked" && a.body["reason"] == "token_may_be_lost":
			request = r.setUp(r)
		}
	}
	r.t.Errorf("%s: again, when all is well: %v", when, told)
}

// storeCalls does the deed while all is well, and returns which calls it makes of a store.
func (r *faultRun) storeCalls() map[string][]string {
	r.t.Helper()
	request := r.prepare()
	for _, l := range r.links {
		l.arm(0, "")
	}
	a, err := r.send(request)
	if err != nil || !r.succeeded(a) {
		r.t.Fatalf("when all is well: %d %v, %v", a.status, a.body["code"], err)
	}
	made := map[string][]string{}
	for service, l := range r.links {
		made[service] = l.restore()
	}
	return made
}

// Stores that fail cost a user another try, and nothing else, whichever call it hits, before or
// after the store has done its work. One lost reply is made good without a word; otherwise the
// refusal has words and a time to wait, the same request works later, and in the end nothing is
// left: no secret without a record, no note, no token alive.
func TestStoresAtFault(t *testing.T) {
	t.Parallel()
	d := startLambda(t)
	n := 0
	var all sync.WaitGroup
	run := func(name string, sc scenario, at int, do func(r *faultRun)) {
		if sc.platformUser != "" {
			sc.platformUser = "bob" // alice is for what counts the calls
		}
		all.Go(func() {
			t.Run(sc.name+" "+name, func(t *testing.T) { do(d.newFaultRun(t, sc, at)) })
		})
	}
	for _, sc := range scenarios() {
		for service, from := range map[string]toxic{tableService: slow, vaultService: slow} {
			n++
			run(service+" is slow", sc, n, func(r *faultRun) { r.runWithToxic(from, service) })
		}
		n++
		run("both stores fail", sc, n, func(r *faultRun) {
			for _, from := range []toxic{unreachable, resetting, halfRequest, halfHead} {
				r.runWithToxic(from, tableService, vaultService)
			}
		})
	}
	for _, sc := range scenarios() {
		first := n + 1
		n += maxFaultGroups
		all.Go(func() {
			t.Run(sc.name, func(t *testing.T) { d.failAtEachCall(t, sc, first) })
		})
	}
	all.Wait()
	d.wantNothingLeft()
}

// maxFaultGroups are the most that a deed's mishaps are divided into.
const maxFaultGroups = 6

// failAtEachCall finds out which calls a deed makes, at the first of some instances, and lets each
// go wrong, at the others.
func (d *deployment) failAtEachCall(t *testing.T, sc scenario, first int) {
	n := first
	var all sync.WaitGroup
	for name, cases := range faultGroups(sc, d.newFaultRun(t, sc, first).storeCalls()) {
		if sc.platformUser == "" {
			n++
		}
		at := n
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				r := d.newFaultRun(t, sc, at)
				for _, f := range cases {
					r.runWithFault(f)
				}
			})
		})
	}
	all.Wait()
}

// runWithToxic does the deed while every call of these stores fails so.
func (r *faultRun) runWithToxic(from toxic, services ...string) {
	r.t.Helper()
	request := r.prepare()
	for _, service := range services {
		r.links[service].addToxic(from)
	}
	a, err := r.send(request)
	for _, service := range services {
		r.links[service].restore()
	}
	when := fmt.Sprintf("%v: %s", services, from)
	switch {
	case err != nil:
		r.t.Errorf("%s: %v", when, err)
	case r.succeeded(a) && slices.Contains(services, tableService):
		r.t.Errorf("%s: it succeeds without a table", when)
	case !r.succeeded(a):
		r.wantStorageUnavailable(when, a)
	}
	r.wantNoSecret(when, a)
	r.wantRetrySucceeds(when, request, true)
}

// fault is what goes wrong at one call of a deed.
type fault struct {
	service, operation string
	k                  int
	how                cut
}

// faultGroups are all that make a difference, in groups that go on side by side.
func faultGroups(sc scenario, made map[string][]string) map[string][]fault {
	groups := map[string][]fault{}
	for service, operations := range made {
		for i, operation := range operations {
			for _, how := range cuts(operation) {
				group := service
				switch {
				case sc.platformUser != "":
					group = "both"
				case operation == "PutSecretValue": // which is repeated for long
					group += " " + string(how)
				}
				groups[group] = append(groups[group], fault{service, operation, i + 1, how})
			}
		}
	}
	return groups
}

// cuts are those that make a difference for an operation.
func cuts(operation string) []cut {
	if strings.HasPrefix(operation, "Get") || operation == "Query" {
		return []cut{downBefore, replyCut}
	}
	return []cut{downBefore, replyLost, replyCut, downAfter}
}

// runWithFault does the deed while that goes wrong.
func (r *faultRun) runWithFault(f fault) {
	r.t.Helper()
	when := fmt.Sprintf("%s, call %d of %s: %s", f.operation, f.k, f.service, f.how)
	request := r.prepare()
	r.links[f.service].arm(f.k, f.how)
	a, err := r.send(request)
	met := r.links[f.service].restore()
	switch {
	case err != nil:
		r.t.Errorf("%s: %v", when, err)
	case len(met) < f.k:
		r.t.Errorf("%s: there was no such call: %v", when, met)
	case r.succeeded(a):
	case f.how == replyLost || f.how == replyCut:
		r.t.Errorf("%s: one lost reply is a failure: %d %s", when, a.status, codeOf(a))
	default:
		r.wantStorageUnavailable(when, a)
	}
	r.wantNoSecret(when, a)
	r.wantRetrySucceeds(when, request, f.operation == "PutSecretValue" && f.how == downBefore)
}

// ageIdentityEntries makes the entries of who holds the person's tokens old, so that they count for no more
// than they are.
func (d *deployment) ageIdentityEntries(person string) {
	d.t.Helper()
	other := *d
	other.platformUser = person
	other.bindByConsent("github", d.bearer(rand.Text(), everyScope))
	b, err := d.table.Binding(d.t.Context(), d.bindingKey("github"))
	d.mustSucceed(err)
	of := table.IdentityKey{Platform: "github", Address: b.Address, ID: b.Identity.ID}
	page, err := d.table.ListIdentityEntries(d.t.Context(), of, "", 100)
	d.mustSucceed(err)
	for _, h := range page.Items {
		h.At = time.Now().Add(-time.Hour)
		d.mustSucceed(d.table.SaveIdentityEntry(d.t.Context(), h))
	}
}

// unbindAll ends every binding of the account.
func (d *deployment) unbindAll() {
	d.t.Helper()
	page, err := d.table.AccountBindings(d.t.Context(), "acme", "", 1000)
	if err != nil || page.Cursor != "" {
		d.t.Fatalf("listing the account: %v", err)
	}
	for _, b := range page.Items {
		if !b.Bound() {
			continue
		}
		other := *d
		other.instance = b.Instance
		user := d.bearer(rand.Text(), everyScope)
		a := other.call(http.MethodDelete, other.bindingsPath()+"/"+b.Platform, user, nil)
		if a.status != http.StatusOK {
			d.t.Errorf("unbinding %s of %s: %d %v", b.Platform, b.Instance, a.status, a.body["code"])
		}
	}
}

// wantNothingLeft ends all bindings, lets everything come due, and expects that
// neither a secret nor a row that comes due is left.
func (d *deployment) wantNothingLeft() {
	d.t.Helper()
	for _, person := range []string{"alice", "bob"} {
		d.ageIdentityEntries(person)
	}
	d.unbindAll()
	for range 3 { // drained, then removed
		d.makeAllDue()
		d.runSchedule("after all faults")
	}
	if left := d.aws.secrets.Names(); !slices.Equal(left, []string{appsName}) {
		d.t.Errorf("the sweep leaves %d secrets", len(left)-1)
	}
	page, err := d.table.DueBefore(d.t.Context(), time.Now().Add(1000*time.Hour), "", 100)
	if err != nil || len(page.Items) != 0 {
		d.t.Errorf("rows are left that come due: %v, %v", page.Items, err)
	}
	for _, person := range []string{"alice", "bob"} {
		if alive := d.sandbox.LiveTokens(sandbox.GitHub, person); alive != 0 {
			d.t.Errorf("%d tokens of GitHub are alive, and nobody knows them", alive)
		}
	}
}
