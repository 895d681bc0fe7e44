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

// asked is one call of a function's API.
type asked struct {
	method, path string
	bearer       secret.Text
	body         any
	more         []string // headers
}

// deed is what somebody asks of a function, while its stores are at fault.
type deed struct {
	name, folder string
	// ready does what comes before, by functions that are well.
	ready func(s *stage) asked
	good  int // the status of a success
	// browser says that a person's browser asks, which has nobody's bearer, and ends at the console.
	browser bool
	// person is who consents at the platform, if it must be somebody whom no other deed is about: the
	// deed then goes wrong in one way after the other.
	person string
	// settle lets the time pass after which a refresh is tried again.
	settle func(s *stage)
}

func deeds() []deed {
	onCodeHost := func(method, tail string) func(s *stage) asked {
		return func(s *stage) asked {
			s.bindByToken("gitlab", s.user)
			return asked{method: method, path: s.at() + "/gitlab" + tail, bearer: s.user}
		}
	}
	return []deed{
		{name: "status", folder: "status", good: 200, ready: func(s *stage) asked {
			return asked{method: "GET", path: s.at(), bearer: s.user}
		}},
		{name: "history", folder: "status", good: 200, ready: onCodeHost("GET", "/history")},
		{name: "bind", folder: "tokenbind", good: 200, ready: func(s *stage) asked {
			return asked{
				method: "PUT", path: s.at() + "/gitlab", bearer: s.user, body: s.form("gitlab"),
			}
		}},
		{name: "unbind", folder: "unbind", person: "alice", good: 200, ready: func(s *stage) asked {
			s.bindByConsent("github", s.user)
			return asked{method: "DELETE", path: s.at() + "/github", bearer: s.user}
		}},
		{
			name: "credential", folder: "credential", good: 200,
			ready: onCodeHost("POST", "/credential"),
		},
		{name: "refresh", folder: "credential", good: 200, ready: func(s *stage) asked {
			s.bindByConsent("gitee", s.user)
			s.expire("gitee")
			return asked{method: "POST", path: s.at() + "/gitee/credential", bearer: s.user}
		}, settle: func(s *stage) {
			s.change(s.row("gitee"), func(b *table.Binding) {
				b.Backoff.Until = time.Time{}
				if b.Lease != (table.Lease{}) {
					b.Lease.Until = time.Now().Add(-time.Second)
				}
			})
		}},
		{name: "check", folder: "expirycheck", good: 200, ready: onCodeHost("POST", "/check")},
		{name: "start", folder: "oauthstart", good: 201, ready: func(s *stage) asked {
			return asked{
				method: "POST", path: "/v1/authorizations", bearer: s.user,
				body: object{"platform": "bitbucket"},
			}
		}},
		{name: "go", folder: "oauthstart", good: 302, browser: true, ready: func(s *stage) asked {
			_, address := s.starts("gitee", s.user)
			return asked{
				method: "GET", path: strings.TrimPrefix(address, s.front.URL),
				more: []string{"Sec-Fetch-Mode", "navigate"},
			}
		}},
		{
			name: "callback", folder: "oauthcallback", good: 303, browser: true,
			ready: func(s *stage) asked {
				_, back, cookie := s.consented("gitee", s.user)
				return asked{
					method: "GET", path: strings.TrimPrefix(back, s.front.URL),
					more: []string{"Cookie", cookie},
				}
			},
		},
		{name: "confirm", folder: "oauthconfirm", person: "bob", good: 200, ready: func(s *stage) asked {
			id, finish := s.consent("github", s.user)
			return asked{
				method: "POST", path: "/v1/authorizations/" + id + "/confirm", bearer: s.user,
				body: object{
					"instance": object{"region": "eu", "id": s.instance}, "confirmationCode": finish,
				},
			}
		}},
	}
}

// stage is where one deed is done: at an instance of its own, by a process of its own, which comes
// to the stores by lines that can be cut. What goes before and after is done by the world's own
// processes, which are always well.
type stage struct {
	*world
	deed
	user  secret.Text
	door  *httptest.Server // leads to the process for this deed's function
	lines map[string]*line // by service

	running map[string]*triggertest.Process // that process, by its folder
	setting []string                        // that leads it to the lines
}

// everyScope is a user's who may do anything.
var everyScope = strings.Join([]string{api.ScopeRead, api.ScopeWrite, api.ScopeCredential}, " ")

// stage sets a deed up at the n-th instance.
func (w *world) stage(t *testing.T, d deed, n int) *stage {
	t.Helper()
	own := *w
	own.t, own.instance, own.person = t, strconv.Itoa(n), cmp.Or(d.person, w.person)
	s := &stage{world: &own, deed: d, lines: map[string]*line{}}
	session := "canary-session-" + s.instance
	s.setting = []string{"AWS_SESSION_TOKEN=" + session}
	for service, variable := range map[string]string{
		tableService: "AWS_ENDPOINT_URL_DYNAMODB", vaultService: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
	} {
		l, address := newLine(t, w.cloud, session, service)
		s.lines[service] = l
		s.setting = append(s.setting, variable+"="+address)
	}
	s.running = map[string]*triggertest.Process{}
	s.door = httptest.NewServer(s.api(s.running))
	t.Cleanup(s.door.Close)
	return s
}

// cold ends the deed's process, and starts another.
func (s *stage) cold() {
	s.t.Helper()
	if old := s.running[s.folder]; old != nil {
		old.Kill()
	}
	s.running[s.folder] = s.start(s.folder, 0, s.setting...)
}

// begin has the deed begun by a new user, for none may bind as often in a minute as this does, and
// in a new process, which remembers nothing.
func (s *stage) begin() asked {
	s.t.Helper()
	s.user = s.bearer(rand.Text(), everyScope)
	s.cold()
	return s.ready(s)
}

// ask does the deed. The function has the time that the template gives it.
func (s *stage) ask(r asked) (answer, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), functionTime)
	defer cancel()
	return send(ctx, r.method, s.door.URL+r.path, r.bearer, r.body, r.more...)
}

// done reports whether the deed has succeeded.
func (s *stage) done(a answer) bool {
	if s.good == http.StatusSeeOther {
		finish, _ := atConsole(a)
		return finish != ""
	}
	return a.status == s.good
}

// wantRefused expects a refusal in words, for want of a store, that shows nothing.
func (s *stage) wantRefused(when string, a answer) {
	s.t.Helper()
	if s.browser {
		if _, problem := atConsole(a); problem != "storage_unavailable" {
			s.t.Errorf("%s: the browser is sent to the console with %d %q", when, a.status, problem)
		}
		return
	}
	wait, err := strconv.Atoi(a.header.Get("Retry-After"))
	if a.status != http.StatusServiceUnavailable || a.body["code"] != "storage_unavailable" ||
		err != nil || wait < 1 {
		s.t.Errorf("%s: got %d %v, Retry-After %q", when, a.status, a.body["code"],
			a.header.Get("Retry-After"))
	}
	if a.header.Get("Content-Type") != "application/problem+json" || a.body["remedy"] == "" ||
		a.body["requestId"] == "" || a.body["title"] == "" {
		s.t.Errorf("%s: the problem lacks something: %v", when, a.body)
	}
}

// usedUp are the problems after which an attempt is begun anew.
var usedUp = []string{"authorization_done", "another_browser", "cookies_blocked"}

// codeOf is the problem that a reply tells, in its body or on the way to the console.
func codeOf(a answer) string {
	if _, code := atConsole(a); code != "" {
		return code
	}
	code, _ := a.body["code"].(string)
	return code
}

// wantSecret expects that a reply shows no token, but for the one that it is for.
func (s *stage) wantSecret(when string, a answer) {
	s.t.Helper()
	text := a.text + fmt.Sprint(a.header)
	handed, _ := a.body["token"].(string)
	for i, word := range s.canaries() {
		if word != handed && strings.Contains(text, word) && !strings.HasPrefix(word, "code=") {
			s.t.Errorf("%s: the reply shows secret %d", when, i)
		}
	}
}

// wantAgain expects that the same request works when the stores are well. What the user is told to
// do before that is done: a browser whose attempt was used up begins another, and so does the owner
// of a token that was lost. A process remembers for as long as Retry-After says that it couldn't
// read the OAuth apps; another one doesn't.
func (s *stage) wantAgain(when string, r asked, mayLose bool) {
	s.t.Helper()
	var told []string
	for range 5 {
		if s.settle != nil {
			s.settle(s)
		}
		a, err := s.ask(r)
		if err == nil && s.done(a) {
			return
		}
		code := codeOf(a)
		told = append(told, code)
		switch {
		case code == "storage_unavailable" && (s.browser || a.header.Get("Retry-After") != ""):
			s.cold()
		case s.browser && slices.Contains(usedUp, code):
			r = s.ready(s)
		case mayLose && code == "token_revoked" && a.body["reason"] == "token_may_be_lost":
			r = s.ready(s)
		}
	}
	s.t.Errorf("%s: again, when all is well: %v", when, told)
}

// calls does the deed while all is well, and returns which calls it makes of a store.
func (s *stage) calls() map[string][]string {
	s.t.Helper()
	r := s.begin()
	for _, l := range s.lines {
		l.arm(0, "")
	}
	a, err := s.ask(r)
	if err != nil || !s.done(a) {
		s.t.Fatalf("when all is well: %d %v, %v", a.status, a.body["code"], err)
	}
	made := map[string][]string{}
	for service, l := range s.lines {
		made[service] = l.well()
	}
	return made
}

// Stores that fail cost a user another try, and nothing else, whichever call it hits, before or
// after the store has done its work. One lost reply is made good without a word; otherwise the
// refusal has words and a time to wait, the same request works later, and in the end nothing is
// left: no secret without a record, no note, no token alive.
func TestStoresAtFault(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	n := 0
	var all sync.WaitGroup
	run := func(name string, d deed, at int, do func(s *stage)) {
		if d.person != "" {
			d.person = "bob" // alice is for what counts the calls
		}
		all.Go(func() {
			t.Run(d.name+" "+name, func(t *testing.T) { do(w.stage(t, d, at)) })
		})
	}
	for _, d := range deeds() {
		for service, from := range map[string]toxic{tableService: slow, vaultService: slow} {
			n++
			run(service+" is slow", d, n, func(s *stage) { s.suffers(from, service) })
		}
		n++
		run("both stores fail", d, n, func(s *stage) {
			for _, from := range []toxic{unreachable, resetting, halfRequest, halfHead} {
				s.suffers(from, tableService, vaultService)
			}
		})
	}
	for _, d := range deeds() {
		first := n + 1
		n += groups
		all.Go(func() {
			t.Run(d.name, func(t *testing.T) { w.failsAtAnyCall(t, d, first) })
		})
	}
	all.Wait()
	w.nothingLeft()
}

// groups are the most that a deed's mishaps are divided into.
const groups = 6

// failsAtAnyCall finds out which calls a deed makes, at the first of some instances, and lets each
// go wrong, at the others.
func (w *world) failsAtAnyCall(t *testing.T, d deed, first int) {
	n := first
	var all sync.WaitGroup
	for name, cases := range mishaps(d, w.stage(t, d, first).calls()) {
		if d.person == "" {
			n++
		}
		at := n
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				s := w.stage(t, d, at)
				for _, f := range cases {
					s.fail(f)
				}
			})
		})
	}
	all.Wait()
}

// suffers does the deed while every call of these stores fails so.
func (s *stage) suffers(from toxic, services ...string) {
	s.t.Helper()
	r := s.begin()
	for _, service := range services {
		s.lines[service].suffer(from)
	}
	a, err := s.ask(r)
	for _, service := range services {
		s.lines[service].well()
	}
	when := fmt.Sprintf("%v: %s", services, from)
	switch {
	case err != nil:
		s.t.Errorf("%s: %v", when, err)
	case s.done(a) && slices.Contains(services, tableService):
		s.t.Errorf("%s: it succeeds without a table", when)
	case !s.done(a):
		s.wantRefused(when, a)
	}
	s.wantSecret(when, a)
	s.wantAgain(when, r, true)
}

// mishap is what goes wrong at one call of a deed.
type mishap struct {
	service, operation string
	k                  int
	how                cut
}

// mishaps are all that make a difference, in groups that go on side by side.
func mishaps(d deed, made map[string][]string) map[string][]mishap {
	groups := map[string][]mishap{}
	for service, operations := range made {
		for i, operation := range operations {
			for _, how := range cuts(operation) {
				group := service
				switch {
				case d.person != "":
					group = "both"
				case operation == "PutSecretValue": // which is repeated for long
					group += " " + string(how)
				}
				groups[group] = append(groups[group], mishap{service, operation, i + 1, how})
			}
		}
	}
	return groups
}

// cuts are those that make a difference for an operation.
func cuts(operation string) []cut {
	if strings.HasPrefix(operation, "Get") || operation == "Query" {
		return []cut{away, broken}
	}
	return []cut{away, lost, broken, gone}
}

// fail does the deed while that goes wrong.
func (s *stage) fail(f mishap) {
	s.t.Helper()
	when := fmt.Sprintf("%s, call %d of %s: %s", f.operation, f.k, f.service, f.how)
	r := s.begin()
	s.lines[f.service].arm(f.k, f.how)
	a, err := s.ask(r)
	met := s.lines[f.service].well()
	switch {
	case err != nil:
		s.t.Errorf("%s: %v", when, err)
	case len(met) < f.k:
		s.t.Errorf("%s: there was no such call: %v", when, met)
	case s.done(a):
	case f.how == lost || f.how == broken:
		s.t.Errorf("%s: one lost reply is a failure: %d %s", when, a.status, codeOf(a))
	default:
		s.wantRefused(when, a)
	}
	s.wantSecret(when, a)
	s.wantAgain(when, r, f.operation == "PutSecretValue" && f.how == away)
}

// ageHolders makes the entries of who holds the person's tokens old, so that they count for no more
// than they are.
func (w *world) ageHolders(person string) {
	w.t.Helper()
	own := *w
	own.person = person
	own.bindByConsent("github", w.bearer(rand.Text(), everyScope))
	b, err := w.table.Binding(w.t.Context(), w.row("github"))
	w.ok(err)
	of := table.IdentityKey{Platform: "github", Address: b.Address, ID: b.Identity.ID}
	page, err := w.table.ListIdentityEntries(w.t.Context(), of, "", 100)
	w.ok(err)
	for _, h := range page.Items {
		h.At = time.Now().Add(-time.Hour)
		w.ok(w.table.SaveIdentityEntry(w.t.Context(), h))
	}
}

// unbindAll ends every binding of the account.
func (w *world) unbindAll() {
	w.t.Helper()
	page, err := w.table.AccountBindings(w.t.Context(), "acme", "", 1000)
	if err != nil || page.Cursor != "" {
		w.t.Fatalf("listing the account: %v", err)
	}
	for _, b := range page.Items {
		if !b.Bound() {
			continue
		}
		own := *w
		own.instance = b.Instance
		user := w.bearer(rand.Text(), everyScope)
		a := own.call(http.MethodDelete, own.at()+"/"+b.Platform, user, nil)
		if a.status != http.StatusOK {
			w.t.Errorf("unbinding %s of %s: %d %v", b.Platform, b.Instance, a.status, a.body["code"])
		}
	}
}

// nothingLeft ends all bindings, lets everything come due, and expects that
// neither a secret nor a row that comes due is left.
func (w *world) nothingLeft() {
	w.t.Helper()
	for _, person := range []string{"alice", "bob"} {
		w.ageHolders(person)
	}
	w.unbindAll()
	for range 3 { // drained, then removed
		w.hasten()
		w.schedule("after all faults")
	}
	if left := w.cloud.secrets.Names(); !slices.Equal(left, []string{appsName}) {
		w.t.Errorf("the sweep leaves %d secrets", len(left)-1)
	}
	page, err := w.table.DueBefore(w.t.Context(), time.Now().Add(1000*time.Hour), "", 100)
	if err != nil || len(page.Items) != 0 {
		w.t.Errorf("rows are left that come due: %v, %v", page.Items, err)
	}
	for _, person := range []string{"alice", "bob"} {
		if alive := w.box.LiveTokens(sandbox.GitHub, person); alive != 0 {
			w.t.Errorf("%d tokens of GitHub are alive, and nobody knows them", alive)
		}
	}
}
