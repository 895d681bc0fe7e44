package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"bindery/shared/sandbox/hooks"
	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

// deliveryWorld is a sandbox whose deliveries of alice's hello go to a receiver on a socket.
type deliveryWorld struct {
	*hookWorld
	mu     sync.Mutex
	status int      // of the answers, 0 for 200
	bodies []string // that were received
}

func newDeliveryWorld(t *testing.T, p Platform) *deliveryWorld {
	t.Helper()
	w := &deliveryWorld{hookWorld: newHookWorld(t, p)}
	w.env.Send = w.Sandbox.send
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.bodies = append(w.bodies, string(body))
		if w.status != 0 {
			rw.WriteHeader(w.status)
		}
	}))
	t.Cleanup(receiver.Close)
	w.create(hookBody(p, receiver.URL))
	w.WaitForDeliveries()
	w.bodies = nil // without the ping
	return w
}

// delivered waits for the deliveries, and returns how many had each of the texts, in this order.
func (w *deliveryWorld) delivered(texts ...string) string {
	w.WaitForDeliveries()
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, body := range w.bodies {
		for _, text := range texts {
			if strings.Contains(body, text) {
				found = append(found, text)
			}
		}
	}
	return strings.Join(found, " ")
}

// commit makes a commit by the platform, and returns its hash.
func (w *deliveryWorld) commit(branch, message string) string {
	w.t.Helper()
	hash, err := w.PushCommit(
		w.t.Context(), w.platform, w.repository.Path, branch, message, "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	return hash
}

func TestAPushByGitIsDeliveredByEachPlatform(t *testing.T) {
	for _, p := range everyPlatform() {
		w := newDeliveryWorld(t, p)
		c := w.clone(p, "hello")
		head := c.commit("pushed by git")
		c.must("push", "--quiet", "origin", "main")
		testkit.Want(t, string(p), w.delivered(head), head)
		all := w.Sandbox.Deliveries(p, w.repository.Path)
		last := all[len(all)-1]
		testkit.Want(t, string(p)+": state", last.State, hooks.Answered)
		testkit.Want(t, string(p)+": status", last.Status, 200)
		testkit.Want(t, string(p)+": event", last.Event() != "", true)
		c.must("push", "--quiet", "origin", "main:refs/heads/new", ":feature/a")
		deleted := w.delivered("feature/a")
		testkit.Want(t, string(p)+": deleted", strings.Contains(deleted, "feature/a"), true)
	}
}

func TestAMergeRequestIsMergedByGitAndDelivered(t *testing.T) {
	for _, p := range []Platform{Codeup, Gitee, GitHub, GitLab} {
		w := newDeliveryWorld(t, p)
		w.commit("topic", "of the topic")
		change := func(c platform.MergeChange) platform.MergeChange {
			t.Helper()
			got, err := w.Sandbox.ChangeMerge(t.Context(), p, w.repository.Path, c, "alice")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		opened := change(platform.MergeChange{
			Action: "open", Title: "A topic", Source: "main", Target: "topic",
		})
		testkit.Want(t, string(p)+": opened", w.delivered("A topic") != "", true)
		merged := change(platform.MergeChange{Action: "merge", Number: opened.Number})
		topic, _ := w.Sandbox.repository(p, w.repository.Path).Commit("heads/topic")
		testkit.Want(t, string(p)+": the merge", topic.Hash, merged.MergeCommit)
		found := w.delivered(merged.MergeCommit)
		testkit.Want(t, string(p)+": the push of it", found != "", true)
		_, err := w.Sandbox.ChangeMerge(t.Context(), p, w.repository.Path,
			platform.MergeChange{Action: "close", Number: opened.Number}, "alice")
		testkit.Want(t, string(p)+": closed after it", err != nil, true)
	}
}

func TestDeliveriesAreDisturbedByTheControls(t *testing.T) {
	w := newDeliveryWorld(t, GitHub)
	w.DropDeliveries(GitHub, 1)
	lost := w.commit("", "lost")
	w.DoubleDeliveries(GitHub, 1)
	twice := w.commit("", "twice")
	w.HoldDeliveries(GitHub)
	second, third := w.commit("", "second"), w.commit("", "third")
	after := func(hash string) string { return fmt.Sprintf(`"after":%q`, hash) }
	hashes := []string{after(lost), after(twice), after(second), after(third)}
	testkit.Want(t, "held", w.delivered(hashes...), after(twice)+" "+after(twice))
	w.ReleaseDeliveries(GitHub)
	testkit.Want(t, "reversed", w.delivered(hashes...),
		strings.Join([]string{after(twice), after(twice), after(third), after(second)}, " "))
	for _, d := range w.Sandbox.Deliveries(GitHub, w.repository.Path) {
		if d.State == hooks.Dropped {
			testkit.Want(t, "redelivered", w.Redeliver(d.Number), true)
		}
	}
	testkit.Want(t, "the lost one", strings.HasSuffix(w.delivered(hashes...), after(lost)), true)
}

func TestBitbucketRetriesAndGitLabDisables(t *testing.T) {
	w := newDeliveryWorld(t, Bitbucket)
	w.status = 503
	w.commit("", "refused")
	w.WaitForDeliveries()
	all := w.Sandbox.Deliveries(Bitbucket, w.repository.Path)
	testkit.Want(t, "tries", all[len(all)-1].Tries, 3)

	w = newDeliveryWorld(t, GitLab)
	w.status = 500
	for range 4 {
		w.commit("", "refused")
		w.WaitForDeliveries()
	}
	w.commit("", "not sent")
	w.WaitForDeliveries()
	testkit.Want(t, "sent", len(w.bodies), 4)
	testkit.Want(t, "active", w.find(GitLab).Webhooks()[0].Active, false)
}

// press posts a form to the page of webhooks, and returns the status.
func (w *deliveryWorld) press(do string, more url.Values) int {
	w.t.Helper()
	form := url.Values{
		"platform": {string(w.platform)}, "repository": {w.repository.Path}, "do": {do},
	}
	for name, values := range more {
		form[name] = values
	}
	r := w.request("POST", "/sandbox/webhooks", form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.send(r).status
}

func TestThePageOfWebhooksHasButtons(t *testing.T) {
	for _, p := range everyPlatform() {
		w := newDeliveryWorld(t, p)
		index := w.send(w.request("GET", "/sandbox/", "")).text
		link := "/sandbox/webhooks?" + url.Values{
			"platform": {string(p)}, "repository": {w.repository.Path},
		}.Encode()
		testkit.Want(t, string(p)+": link", strings.Contains(index,
			strings.ReplaceAll(link, "&", "&amp;")), true)
		testkit.Want(t, "commit", w.press("commit", url.Values{"message": {"by a button"}}), 303)
		testkit.Want(t, string(p)+": commit", w.delivered("by a button") != "", true)
		testkit.Want(t, "test", w.press("test", nil), 303)
		testkit.Want(t, "drop", w.press("drop", url.Values{"n": {"1"}}), 303)
		testkit.Want(t, "dropped", w.press("commit", url.Values{"message": {"dropped"}}), 303)
		testkit.Want(t, string(p)+": dropped", w.delivered("dropped"), "")
		all := w.Sandbox.Deliveries(p, w.repository.Path)
		last := url.Values{"n": {fmt.Sprint(all[len(all)-1].Number)}}
		testkit.Want(t, "redeliver", w.press("redeliver", last), 303)
		testkit.Want(t, string(p)+": redelivered", w.delivered("dropped") != "", true)
		shown := w.send(w.request("GET", link, "")).text
		for _, text := range []string{
			"sandbox-git-alice", "dropped", `value="redeliver"`, `value="test"`, "127.0.0.1",
		} {
			testkit.Want(t, string(p)+": shows "+text, strings.Contains(shown, text), true)
		}
		for _, c := range []struct {
			do   string
			more url.Values
		}{
			{"odd", nil},
			{"drop", url.Values{"n": {"x"}}},
			{"redeliver", url.Values{"n": {"9999"}}},
			{"commit", url.Values{"repository": {"alice/twins"}}},
			{"commit", url.Values{"platform": {"nowhere"}}},
		} {
			testkit.Want(t, c.do+" is refused", w.press(c.do, c.more), 400)
		}
	}
	w := newOAuthWorld(t)
	unknown := w.send(w.request("GET", "/sandbox/webhooks?platform=odd&repository=a", ""))
	testkit.Want(t, "unknown", unknown.status, 404)
}

// TestThePageOfWebhooksHasMergeRequests, whose buttons open, update, close and merge them.
func TestThePageOfWebhooksHasMergeRequests(t *testing.T) {
	for _, p := range everyPlatform() {
		w := newDeliveryWorld(t, p)
		press := func(do, number, title string) int {
			return w.press(do, url.Values{"n": {number}, "message": {title}})
		}
		link := "/sandbox/webhooks?" + url.Values{
			"platform": {string(p)}, "repository": {w.repository.Path},
		}.Encode()
		shows := func(text string) bool {
			return strings.Contains(w.send(w.request("GET", link, "")).text, text)
		}
		count := func() int {
			w.WaitForDeliveries()
			return len(w.Sandbox.Deliveries(p, w.repository.Path))
		}
		for i, step := range []struct {
			do, number string
			open       bool
		}{
			{"open", "", true},
			{"update", "1", true},
			{"merge", "1", false},
			{"open", "", true},
			{"close", "2", false},
		} {
			sent := count()
			what := fmt.Sprint(p, ", ", i, ": ", step.do)
			testkit.Want(t, what, press(step.do, step.number, "By a button"), 303)
			asked := p != Bitbucket || step.do != "close" // by the webhook of these tests
			testkit.Want(t, what+" is delivered", count() > sent, asked)
			testkit.Want(t, what+", open then", shows(`value="merge"`), step.open)
		}
		for _, do := range []string{"update", "close", "merge"} {
			testkit.Want(t, do+" a closed one", press(do, "2", ""), 400)
			testkit.Want(t, do+" none", press(do, "9", ""), 400)
		}
	}
}
