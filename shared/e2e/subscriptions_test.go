package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/sandbox"
	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

// eventsSecret signs what the receivers of these tests get.
const eventsSecret = "whsec_YmluZGVyeS1ldmVudHMtc2VjcmV0LW9mLXRlc3Rz"

// sourceEvent is an event as a receiver gets it.
type sourceEvent struct {
	id   string
	at   time.Time
	Type string
	Data struct {
		Platform, Ref, Commit string
		Repository            struct{ Key, Name, URL string }
		Titles                []string
	}
}

// startReceiver starts a build system's receiver. It knows only the standard's library.
func startReceiver(t *testing.T) (address string, events <-chan sourceEvent) {
	t.Helper()
	received := make(chan sourceEvent, 100)
	address = receive(t, func(e sourceEvent) int {
		received <- e
		return http.StatusNoContent
	})
	return address, received
}

// receive starts a receiver that answers each event of a repository with the status that take
// returns.
func receive(t *testing.T, take func(sourceEvent) int) (address string) {
	t.Helper()
	verifier, err := webhooks.NewWebhook(eventsSecret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // Bindery was killed while it sent
		}
		e := sourceEvent{id: r.Header.Get(webhooks.HeaderWebhookID), at: time.Now()}
		err = errors.Join(verifier.Verify(body, r.Header), json.Unmarshal(body, &e))
		if err != nil || len(body) > 20<<10 {
			t.Errorf("the receiver got %d bytes: %v", len(body), err)
		}
		if strings.HasPrefix(e.Type, "source.") {
			w.WriteHeader(take(e))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// laptopClient calls a laptop's process as a user with every scope.
type laptopClient struct {
	t            *testing.T
	own, sandbox string // the origins
	token        string
}

func newLaptopClient(t *testing.T, settings ...string) *laptopClient {
	t.Helper()
	own, boxPort := startLaptopProcess(t, settings...)
	c := &laptopClient{t: t, own: "http://localhost:" + own, sandbox: "http://127.0.0.1:" + boxPort}
	c.signIn()
	return c
}

// signIn gets a token of the laptop's process, whose key changes with each start.
func (c *laptopClient) signIn() {
	c.t.Helper()
	c.token = strings.TrimSpace(c.send(c.request(http.MethodGet, c.own+"/dev/token", nil)).text)
}

func (c *laptopClient) request(method, address string, body any) *http.Request {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if body == nil {
		text = nil
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, address, bytes.NewReader(text))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" && strings.HasPrefix(address, c.own) {
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// send sends a request and follows no redirect.
func (c *laptopClient) send(r *http.Request) reply {
	c.t.Helper()
	out, err := try(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// try sends a request to a process that may end meanwhile, and follows no redirect.
func try(r *http.Request) (out reply, err error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return out, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	out = reply{status: response.StatusCode, header: response.Header, text: string(text)}
	_ = json.Unmarshal(text, &out.body)
	return out, err
}

// call calls Bindery and wants one of the statuses.
func (c *laptopClient) call(method, path string, body any, want ...int) reply {
	c.t.Helper()
	got := c.send(c.request(method, c.own+path, body))
	for _, status := range want {
		if got.status == status {
			return got
		}
	}
	c.t.Fatalf("%s %s: %d %v %v, want %v", method, path, got.status, got.body["code"],
		got.body["detail"], want)
	return reply{}
}

const laptopBindings = "/v1/instances/cn-hangzhou/cri-acme-prod/bindings/"

// form returns the fields that a user enters for a sample.
func (c *laptopClient) form(s sandbox.Sample) object {
	form := object{"username": s.Username, "token": s.Token.Reveal()}
	if s.Address != "" {
		form["address"] = c.sandbox + pathOf(s.Address)
	}
	if s.Organization != "" {
		form["organization"] = s.Organization
	}
	return form
}

// bind binds a platform as alice: by the sample token, or by consent as a browser does.
func (c *laptopClient) bind(name sandbox.Platform) {
	c.t.Helper()
	if name == sandbox.Codeup || name == sandbox.GitLab {
		form := c.form(sample(c.t, name, "good"))
		c.call(http.MethodPut, laptopBindings+string(name), form, http.StatusOK)
		return
	}
	instance := object{"region": "cn-hangzhou", "id": "cri-acme-prod"}
	started := c.call(http.MethodPost, "/v1/authorizations",
		object{"platform": name, "instance": instance}, http.StatusCreated)
	away := c.request(http.MethodGet, started.body["startUrl"].(string), nil)
	away.Header.Set("Sec-Fetch-Mode", "navigate")
	redirect := c.send(away)
	cookie, _, _ := strings.Cut(redirect.header.Get("Set-Cookie"), ";")
	back := c.request(http.MethodGet, c.consent(redirect.header.Get("Location")), nil)
	back.Header.Set("Cookie", cookie)
	to, err := url.Parse(c.send(back).header.Get("Location"))
	if err != nil {
		c.t.Fatal(err)
	}
	carried, _ := url.ParseQuery(to.Fragment)
	c.call(http.MethodPost, "/v1/authorizations/"+started.body["id"].(string)+"/confirm", object{
		"instance": instance, "confirmationCode": carried.Get("confirmationCode"),
	}, http.StatusOK)
}

// consent signs alice in at a platform's page and consents to everything that it asks for. It
// returns the callback's address.
func (c *laptopClient) consent(page string) string {
	c.t.Helper()
	cookie := ""
	post := func(form url.Values) reply {
		r := c.request(http.MethodPost, page, nil)
		text := form.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", cookie)
		return c.send(r)
	}
	signedIn := post(url.Values{"do": {"login:alice"}})
	cookie, _, _ = strings.Cut(signedIn.header.Get("Set-Cookie"), ";")
	page = c.sandbox + signedIn.header.Get("Location") // without a prompt for the user
	shown := c.request(http.MethodGet, page, nil)
	shown.Header.Set("Cookie", cookie)
	form := url.Values{"do": {"authorize"}}
	scope := regexp.MustCompile(`name="scope" value="([^"]+)" checked>`)
	for _, found := range scope.FindAllStringSubmatch(c.send(shown).text, -1) {
		form.Add("scope", found[1])
	}
	return post(form).header.Get("Location")
}

// hello returns the path of alice's repository hello, or of the organization's.
func (c *laptopClient) hello(name sandbox.Platform) string {
	c.t.Helper()
	list := laptopBindings + string(name) + "/repositories"
	for cursor := ""; ; {
		page := c.call(http.MethodGet, list+"?search=hello&cursor="+cursor, nil, http.StatusOK)
		found, _ := page.body["repositories"].([]any)
		for _, r := range found {
			if full, _ := in(r, "name").(string); strings.HasSuffix(full, "/hello") &&
				!strings.Contains(full, "group") {
				return list + "/" + in(r, "key").(string)
			}
		}
		var more bool
		if cursor, more = page.body["cursor"].(string); !more {
			c.t.Fatalf("%s has no repository hello: %s", name, page.text)
		}
	}
}

// TestAPushReachesTheReceiverOnceAtAllFivePlatforms runs the laptop's process, real git, and a
// receiver that knows only Standard Webhooks.
func TestAPushReachesTheReceiverOnceAtAllFivePlatforms(t *testing.T) {
	testkit.Program(t, "git")
	address, events := startReceiver(t)
	c := newLaptopClient(t, "BINDERY_EVENTS_URL="+address, "BINDERY_EVENTS_SECRET="+eventsSecret)
	for _, name := range []sandbox.Platform{
		sandbox.Codeup, sandbox.Gitee, sandbox.GitHub, sandbox.GitLab, sandbox.Bitbucket,
	} {
		c.bind(name)
		one := c.hello(name)
		made := c.call(http.MethodPut, one+"/subscription",
			object{"events": []string{"push", "tag"}}, http.StatusCreated)
		if made.body["health"] != "active" {
			t.Errorf("%s: the subscription is %s", name, made.text)
		}
		clone, _ := in(made.body, "repository", "url").(string)
		git := pusher{t, c.clone(clone)}
		title := fmt.Sprintf("Try %s", name)
		git.run("commit", "-q", "--allow-empty", "-m", title)
		began := time.Now()
		git.run("push", "-q", "origin", "HEAD")
		e := c.nextEvent(events, one)
		after := e.at.Sub(began)
		t.Logf("%s: the receiver has the event %v after the push began", name, after)
		if after > 2*time.Second {
			t.Errorf("%s: the event comes %v after the push began, want two seconds", name, after)
		}
		if e.Type != "source.pushed" || e.Data.Platform != string(name) ||
			e.Data.Commit != git.run("rev-parse", "HEAD") || e.Data.Repository.URL != clone ||
			len(e.Data.Titles) != 1 || e.Data.Titles[0] != title {
			t.Errorf("%s: the event is %+v", name, e)
		}
		git.run("tag", "-a", "v9", "-m", "Nine")
		git.run("push", "-q", "origin", "v9")
		tagged := c.nextEvent(events, one)
		if tagged.Type != "source.tagged" || tagged.Data.Ref != "refs/tags/v9" ||
			tagged.Data.Commit != e.Data.Commit || tagged.id == e.id {
			t.Errorf("%s: the event of a tag is %+v", name, tagged)
		}
		c.call(http.MethodPost, one+"/subscription/sync", nil, http.StatusOK) // finds nothing new
		c.wantForwarded(one, e.id, tagged.id)
		ended := c.call(http.MethodDelete, laptopBindings+string(name), nil, http.StatusOK)
		if left, _ := ended.body["webhooksLeft"].([]any); len(left) != 0 {
			t.Errorf("%s: unbinding leaves %v", name, left)
		}
		select {
		case e := <-events:
			t.Errorf("%s: one event more: %+v", name, e)
		default:
		}
	}
}

// nextEvent returns the next event that the receiver gets.
func (c *laptopClient) nextEvent(events <-chan sourceEvent, one string) sourceEvent {
	c.t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(30 * time.Second):
		list := c.call(http.MethodGet, one+"/subscription/deliveries", nil, http.StatusOK)
		c.t.Fatalf("no event came, and the deliveries are %s", list.text)
		return sourceEvent{}
	}
}

// wantForwarded wants a subscription to have forwarded these events and no other. The receiver has
// an event before its answer is stored, so it looks again while one waits.
func (c *laptopClient) wantForwarded(one string, want ...string) {
	c.t.Helper()
	for range 100 {
		list := c.call(http.MethodGet, one+"/subscription/deliveries", nil, http.StatusOK)
		if strings.Contains(list.text, `"state":"waiting"`) {
			continue
		}
		deliveries, _ := list.body["deliveries"].([]any)
		var got []string
		for _, d := range slices.Backward(deliveries) {
			if in(d, "reason") != "test" {
				got = append(got, fmt.Sprint(in(d, "id"), in(d, "state")))
			}
		}
		for i := range want {
			want[i] += "forwarded"
		}
		if !slices.Equal(got, want) {
			c.t.Errorf("the deliveries are %q, want %q", got, want)
		}
		return
	}
	c.t.Error("an event still waits that the receiver has")
}

// clone clones a repository as alice, who may push to it.
func (c *laptopClient) clone(address string) (folder string) {
	c.t.Helper()
	parent := c.t.TempDir()
	pusher{c.t, parent}.run("clone", "-q", withGitPassword(c.t, address), "hello")
	return filepath.Join(parent, "hello")
}

// withGitPassword returns a clone address with alice's name and password.
func withGitPassword(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("alice", platform.GitPassword("alice"))
	return u.String()
}

// pusher runs real git in a folder.
type pusher struct {
	t      *testing.T
	folder string
}

func (p pusher) run(arguments ...string) string {
	p.t.Helper()
	git := exec.CommandContext(p.t.Context(), "git", arguments...)
	git.Dir = p.folder
	git.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.folder, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=alice", "GIT_AUTHOR_EMAIL=alice@example.com",
		"GIT_COMMITTER_NAME=alice", "GIT_COMMITTER_EMAIL=alice@example.com",
	}
	out, err := git.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %s: %v: %s", arguments[0], err, out)
	}
	return strings.TrimSpace(string(out))
}
