package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

// hookWorld is a sandbox with a token of alice and her repository hello at one platform.
type hookWorld struct {
	*oauthWorld
	deliverer
	platform   Platform
	repository platform.Repository
	base       string // of the repository's webhooks
	header     string
	token      string
	status     int // of the receiver
	posted     chan platform.Outgoing
}

// newHookWorld returns a world whose receiver answers 200.
func newHookWorld(t *testing.T, p Platform) *hookWorld {
	t.Helper()
	w := &hookWorld{
		oauthWorld: newOAuthWorld(t), platform: p, header: "Authorization", status: 200,
		repository: platform.NewRepository(p, "alice/hello"),
		posted:     make(chan platform.Outgoing, 100),
	}
	w.deliverer = w.find(p)
	w.env.Send = func(_ Platform, repository string, o platform.Outgoing) <-chan int {
		answer := make(chan int, 1)
		w.Delivered(repository, o.Hook, w.status)
		w.posted <- o
		answer <- w.status
		return answer
	}
	switch p {
	case GitHub:
		w.base = "/repos/alice/hello/hooks"
	case GitLab:
		w.base, w.header = "/api/v4/projects/alice%2Fhello/hooks", "Private-Token"
		w.token = "glpat-sandbox-alice-good"
	case Gitee:
		w.base = "/api/v5/repos/alice/hello/hooks"
	case Bitbucket:
		w.base = "/2.0/repositories/alice/hello/hooks"
	case Codeup:
		w.repository = platform.NewRepository(p, "sandbox-org-main/hello")
		w.repository.ID = 1001
		w.base = "/oapi/v1/codeup/organizations/sandbox-org-main/repositories/1001/webhooks"
		w.header, w.token = "X-Yunxiao-Token", "pt-sandbox-good"
	}
	if w.token == "" {
		w.token = w.bind(p).get("access_token")
	}
	return w
}

// call makes a call about the repository's webhooks.
func (w *hookWorld) call(method, path, body string) oauthReply {
	w.t.Helper()
	return w.callAs(w.token, method, w.base+path, body)
}

// callAs makes a call with a token.
func (w *hookWorld) callAs(token, method, path, body string) oauthReply {
	w.t.Helper()
	r := w.request(method, path, body)
	r.Header.Set("Content-Type", "application/json")
	if w.header == "Authorization" {
		token = "Bearer " + token
	}
	r.Header.Set(w.header, token)
	return w.send(r)
}

// narrow returns a token of alice with other scopes.
func (w *hookWorld) narrow(scope string) string {
	w.t.Helper()
	code := w.code(w.platform, url.Values{"scope": {scope}})
	return w.exchange(w.platform, code, nil).get("access_token")
}

// create makes a webhook and returns its id.
func (w *hookWorld) create(body string) string {
	w.t.Helper()
	made := w.call("POST", "", body)
	if made.status != 201 && made.status != 200 {
		w.t.Fatalf("creating: got %d, %s", made.status, made.text)
	}
	if id, isText := made.body["uuid"].(string); isText {
		return "/" + url.PathEscape(id)
	}
	return fmt.Sprintf("/%.0f", made.body["id"])
}

// change is a push of one commit to a ref.
func change(ref, before, after string) platform.RefChange {
	c := platform.RefChange{Ref: ref, Before: before, After: after, Commit: after}
	if before != zero {
		c.BeforeCommit = before
	}
	if after == zero {
		c.Commit = ""
		return c
	}
	c.Commits = []platform.PushedCommit{{
		Hash: after, Message: "Title\n\nText\n", Author: "Alice", Email: "alice@sandbox.invalid",
		Time: "2026-05-01T12:00:00Z",
	}}
	return c
}

const zero = "0000000000000000000000000000000000000000"

// hash returns a hash that is the same digit, over and over.
func hash(digit string) string { return strings.Repeat(digit, 40) }

// push returns the deliveries of a push by alice.
func (w *hookWorld) push(changes ...platform.RefChange) []platform.Outgoing {
	return w.Deliveries(platform.Push{
		Repository: w.repository, Pusher: "alice", Changes: changes,
	})
}

// merge changes a merge request and returns the deliveries.
func (w *hookWorld) merge(c platform.MergeChange) []platform.Outgoing {
	w.t.Helper()
	c, ok := w.ChangeMerge(w.repository.Path, c)
	if !ok {
		w.t.Fatalf("no open merge request %d", c.Number)
	}
	return w.Deliveries(platform.Push{Repository: w.repository, Pusher: "alice", Merge: &c})
}

// opened is a merge request of the branch feature/a.
func opened() platform.MergeChange {
	return platform.MergeChange{
		Action: "open", Title: "A feature", Source: "feature/a", Target: "main", Head: hash("a"),
	}
}

// one returns the only delivery and its body.
func one(t *testing.T, all []platform.Outgoing) (platform.Outgoing, map[string]any) {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("got %d deliveries, want 1", len(all))
	}
	var body map[string]any
	if err := json.Unmarshal(all[0].Body, &body); err != nil {
		t.Fatal("the body is no JSON")
	}
	return all[0], body
}

// at returns what is in an object at a path of names and indexes, joined by dots.
func at(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// wantAt compares what is at paths.
func wantAt(t *testing.T, in any, want map[string]any) {
	t.Helper()
	for path, value := range want {
		if n, isInt := value.(int); isInt {
			value = float64(n)
		}
		if got := at(in, path); got != value {
			t.Errorf("%s: got %v, want %v", path, got, value)
		}
	}
}

// wantShape reports what a recorded delivery of go-scm's has that ours hasn't, apart from what is
// left out on purpose.
func wantShape(t *testing.T, got map[string]any, file string, without ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/drone/go-scm").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "scm/driver", file))
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]any
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, got, want any)
	compare = func(path string, got, want any) {
		object, isObject := want.(map[string]any)
		if list, isList := want.([]any); isList && len(list) > 0 {
			compare(path+".0", at(got, "0"), list[0])
		}
		if !isObject {
			return
		}
		ours, _ := got.(map[string]any)
		for name, value := range object {
			field := strings.TrimPrefix(path+"."+name, ".")
			if slices.Contains(without, field) || slices.Contains(without, name) {
				continue
			}
			if _, has := ours[name]; !has {
				t.Errorf("%s: lacks %s", file, field)
				continue
			}
			compare(field, ours[name], value)
		}
	}
	compare("", got, recorded)
}

// next returns the next delivery that was posted in the background.
func (w *hookWorld) next() platform.Outgoing {
	w.t.Helper()
	select {
	case o := <-w.posted:
		return o
	case <-w.t.Context().Done():
		w.t.Fatal("nothing was posted")
		return platform.Outgoing{}
	}
}

// TestWebhooksAreListedByTheirRepository makes calls that all platforms have.
func TestWebhooksAreListedByTheirRepository(t *testing.T) {
	bodies := hookBodies()
	for p, body := range bodies {
		w := newHookWorld(t, p)
		id := w.create(fmt.Sprintf(body, "https://one.invalid/"))
		w.create(fmt.Sprintf(body, "https://two.invalid/"))
		list := w.call("GET", "?per_page=1&pagelen=1&perPage=1&page=2", "")
		testkit.Want(t, string(p)+": a page", strings.Count(list.text, "https://"), 1)
		testkit.Want(t, string(p)+": of the second", strings.Contains(list.text, "//two."), true)
		testkit.Want(t, string(p)+": get", w.call("GET", id, "").status, 200)
		gone := w.call("DELETE", id, "").status
		testkit.Want(t, string(p)+": delete", gone == 204 || gone == 200, true)
		testkit.Want(t, string(p)+": again", w.call("DELETE", id, "").status, 404)
		testkit.Want(t, string(p)+": get", w.call("GET", id, "").status, 404)
		testkit.Want(t, string(p)+": unknown token",
			w.callAs("nonsense", "GET", w.base, "").status, 401)
	}
}

// hookBodies has a request for a webhook with an address at each platform.
func hookBodies() map[Platform]string {
	return map[Platform]string{
		GitHub: `{"config":{"url":"%s","content_type":"json","secret":"s3cret"},` +
			`"events":["push","pull_request"]}`,
		Bitbucket: `{"url":"%s","secret":"s3cret","active":true,"description":"d",` +
			`"events":["repo:push"]}`,
		Codeup: `{"url":"%s","token":"s3cret","pushEvents":true,"tagPushEvents":true,` +
			`"mergeRequestsEvents":true,"enableSslVerification":true}`,
		Gitee: `{"url":"%s","password":"s3cret","encryption_type":1,"tag_push_events":true,` +
			`"merge_requests_events":true}`,
		GitLab: `{"url":"%s","token":"s3cret","tag_push_events":true,"merge_requests_events":true}`,
	}
}
