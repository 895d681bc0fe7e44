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
	"testing"
	"time"

	"bindery/shared/api"
	"bindery/shared/binding"
	"bindery/shared/secret"
	"bindery/shared/trigger/triggertest"
)

// apiRequest is a request to the API.
type apiRequest struct {
	method, path string
	bearer       secret.Text
	body         any
	more         []string // headers
}

// scenario is a request to a function whose stores fail.
type scenario struct {
	name, folder string
	// setUp does what must precede the request, with functions whose stores work.
	setUp   func(r *faultRun) apiRequest
	success int // the status of success
	// browser says that a browser sends the request: it has no bearer and ends at the console.
	browser bool
	// platformUser is who consents at the platform, if that must be a user of no other scenario. The
	// scenario's faults then run one after the other.
	platformUser string
	// passBackoff ends the wait after which a refresh is tried again.
	passBackoff func(r *faultRun)
}

func scenarios() []scenario {
	onGitLab := func(method, tail string) func(r *faultRun) apiRequest {
		return func(r *faultRun) apiRequest {
			r.bindByToken("gitlab", r.user)
			return apiRequest{method: method, path: r.bindingsPath() + "/gitlab" + tail, bearer: r.user}
		}
	}
	return []scenario{
		{name: "status", folder: "status", success: 200, setUp: func(r *faultRun) apiRequest {
			return apiRequest{method: "GET", path: r.bindingsPath(), bearer: r.user}
		}},
		{name: "history", folder: "status", success: 200, setUp: onGitLab("GET", "/history")},
		{name: "bind", folder: "tokenbind", success: 200, setUp: func(r *faultRun) apiRequest {
			return apiRequest{
				method: "PUT", path: r.bindingsPath() + "/gitlab", bearer: r.user, body: r.form("gitlab"),
			}
		}},
		{
			name: "unbind", folder: "unbind", platformUser: "alice", success: 200,
			setUp: func(r *faultRun) apiRequest {
				r.bindByConsent("github", r.user)
				return apiRequest{method: "DELETE", path: r.bindingsPath() + "/github", bearer: r.user}
			},
		},
		{
			name: "credential", folder: "credential", success: 200,
			setUp: onGitLab("POST", "/credential"),
		},
		{name: "refresh", folder: "credential", success: 200, setUp: func(r *faultRun) apiRequest {
			r.bindByConsent("gitee", r.user)
			r.expire("gitee")
			return apiRequest{method: "POST", path: r.bindingsPath() + "/gitee/credential", bearer: r.user}
		}, passBackoff: func(r *faultRun) {
			r.changeRecord(r.bindingKey("gitee"), func(b *binding.Record) {
				b.Backoff.Until = time.Time{}
				if b.Lease != (binding.Lease{}) {
					b.Lease.Until = time.Now().Add(-time.Second)
				}
			})
		}},
		{name: "check", folder: "expirycheck", success: 200, setUp: onGitLab("POST", "/check")},
		{name: "start", folder: "oauthstart", success: 201, setUp: func(r *faultRun) apiRequest {
			return apiRequest{
				method: "POST", path: "/v1/authorizations", bearer: r.user,
				body: object{"platform": "bitbucket"},
			}
		}},
		{
			name: "redirect", folder: "oauthstart", success: 302, browser: true,
			setUp: func(r *faultRun) apiRequest {
				_, address := r.startAuthorization("gitee", r.user)
				return apiRequest{
					method: "GET", path: strings.TrimPrefix(address, r.front.URL),
					more: []string{"Sec-Fetch-Mode", "navigate"},
				}
			},
		},
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
		{
			name: "confirm", folder: "oauthconfirm", platformUser: "bob", success: 200,
			setUp: func(r *faultRun) apiRequest {
				id, code := r.consent("github", r.user)
				return apiRequest{
					method: "POST", path: "/v1/authorizations/" + id + "/confirm", bearer: r.user,
					body: object{
						"instance": object{"region": "eu", "id": r.instance}, "confirmationCode": code,
					},
				}
			},
		},
	}
}

// faultRun runs one scenario at an instance of its own, with a process of its own that reaches the
// stores over links that can be cut. The deployment's other processes, whose stores always work,
// do what comes before and after.
type faultRun struct {
	*deployment
	scenario
	user    secret.Text
	gateway *httptest.Server // the gateway to the process
	links   map[string]*link // by service

	process     map[string]*triggertest.Process // that one process, by its folder
	environment []string                        // variables that make the process use the links
}

// everyScope is the scope of a user who may do anything.
var everyScope = strings.Join([]string{api.ScopeRead, api.ScopeWrite, api.ScopeCredential}, " ")

// newFaultRun prepares a scenario at the n-th instance.
func (d *deployment) newFaultRun(t *testing.T, sc scenario, n int) *faultRun {
	t.Helper()
	other := *d
	other.t, other.instance = t, strconv.Itoa(n)
	other.platformUser = cmp.Or(sc.platformUser, d.platformUser)
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
	r.process = map[string]*triggertest.Process{}
	r.gateway = httptest.NewServer(r.api(r.process))
	t.Cleanup(r.gateway.Close)
	return r
}

// restart replaces the process by a new one.
func (r *faultRun) restart() {
	r.t.Helper()
	if old := r.process[r.folder]; old != nil {
		old.Kill()
	}
	r.process[r.folder] = r.startProcess(r.folder, 0, r.environment...)
}

// prepare sets the scenario up as a new user, because the limit of binds per minute is less than
// the test needs, with a new process, which has nothing cached.
func (r *faultRun) prepare() apiRequest {
	r.t.Helper()
	r.user = r.bearer(rand.Text(), everyScope)
	r.restart()
	r.shortenLists()
	return r.setUp(r)
}

// shortenLists takes the retired secrets off the lists of the run's bindings until the end of the
// test. The sweep would end them between binds that are minutes apart: a full list refuses a bind.
func (r *faultRun) shortenLists() {
	r.t.Helper()
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		rec, err := r.table.Binding(r.t.Context(), r.bindingKey(platform))
		if err != nil || len(rec.Secrets) < 8 {
			continue
		}
		kept, _ := r.retired.LoadOrStore(rec.Key, &[]binding.OwnedSecret{})
		list := kept.(*[]binding.OwnedSecret)
		*list = append(*list, rec.Secrets...)
		rec.Secrets = nil
		_, err = r.table.SaveBinding(r.t.Context(), rec)
		r.mustSucceed(err)
	}
}

// send sends the request. The function has the time that the template gives it.
func (r *faultRun) send(request apiRequest) (reply, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), functionTimeout)
	defer cancel()
	return send(ctx, request.method, r.gateway.URL+request.path, request.bearer, request.body,
		request.more...)
}

// succeeded reports whether the reply is the scenario's success.
func (r *faultRun) succeeded(a reply) bool {
	if r.success == http.StatusSeeOther {
		code, _ := consoleFragment(a)
		return code != ""
	}
	return a.status == r.success
}

// wantStorageUnavailable expects the complete problem storage_unavailable.
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

// usedUpCodes are the problems after which the user starts a new attempt.
var usedUpCodes = []string{"authorization_done", "another_browser", "cookies_blocked"}

// codeOf returns the code of the problem in the body or in the redirect to the console.
func codeOf(a reply) string {
	if _, code := consoleFragment(a); code != "" {
		return code
	}
	code, _ := a.body["code"].(string)
	return code
}

// wantNoSecret expects no token in the reply but the one that the reply is for.
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

// wantRetrySucceeds expects the same request to succeed once the stores work. First it does what
// the problem tells the user: a used-up attempt is started again, and a token that may be lost is
// bound again. A process that couldn't read the OAuth apps remembers that until Retry-After has
// passed, so it is replaced.
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
	r.t.Errorf("%s: the retry, without a fault: %v", when, told)
}

// storeCalls runs the scenario without a fault, and returns the calls that it makes to each store.
func (r *faultRun) storeCalls() map[string][]string {
	r.t.Helper()
	request := r.prepare()
	for _, l := range r.links {
		l.arm(0, "")
	}
	a, err := r.send(request)
	if err != nil || !r.succeeded(a) {
		r.t.Fatalf("without a fault: %d %v, %v", a.status, a.body["code"], err)
	}
	made := map[string][]string{}
	for service, l := range r.links {
		made[service] = l.restore()
	}
	return made
}
