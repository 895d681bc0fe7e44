package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/sandbox"
)

// eventsSecret signs what receivers get.
const eventsSecret = "whsec_YmluZGVyeS1ldmVudHMtc2VjcmV0LW9mLXRlc3Rz"

// receiver is the operator's receiver of events. It knows only the standard's library.
type receiver struct {
	url string

	mu     sync.Mutex
	events []receivedEvent
	status int // of its answers
}

// receivedEvent is an event of a subscription as its receiver gets it.
type receivedEvent struct {
	id   string
	Type string
	Data struct {
		Account, Region, Instance, Platform string
		Repository                          struct{ Key, Name, URL string }
		Ref, Kind                           string
		Commit                              string
		Number                              int64
		CaughtUp                            bool
	}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	verifier, err := webhooks.NewWebhook(eventsSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = verifier.VerifyIgnoringTimestamp(body, req.Header) // the tests' clock is another
		}
		e := receivedEvent{id: req.Header.Get(webhooks.HeaderWebhookID)}
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil || len(body) > 20<<10 {
			t.Errorf("the receiver got %d bytes: %v", len(body), err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if strings.HasPrefix(e.Type, "source.") {
			r.events = append(r.events, e)
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// answer makes it answer with a status.
func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// received returns the events since the last time.
func (r *receiver) received() []receivedEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.events
	r.events = nil
	return all
}

// on makes it the receiver of a world, which the sandbox's webhooks reach.
func (r *receiver) on(vars map[string]string, w *world) {
	vars["BINDERY_PUBLIC_URL"] = w.url
	vars["BINDERY_EVENTS_URL"] = r.url
	vars["BINDERY_EVENTS_SECRET"] = eventsSecret
}

// newSubscriptionWorld returns a world with a receiver, whose GitLab is bound, and the paths of the
// binding and of one of its repositories.
func newSubscriptionWorld(t *testing.T, settings ...setting) (
	w *world, r *receiver, one string,
) {
	t.Helper()
	r = newReceiver(t)
	w = newWorld(t, append(slices.Clone(settings), r.on)...)
	w.put(home+"/gitlab", gitlab()).ok()
	return w, r, w.repositoryPath(home+"/gitlab", "alice/hello")
}

// repositoryPath returns the path of a repository of a binding by its name.
func (w *world) repositoryPath(binding, name string) string {
	w.t.Helper()
	list := binding + "/repositories"
	for _, r := range w.look(list + "?search=" + url.QueryEscape(name)).ok().list("repositories") {
		if r["name"] == name {
			return list + "/" + r["key"].(string)
		}
	}
	w.t.Fatalf("%s has no repository %s", binding, name)
	return ""
}

// wanted is a subscription to everything.
func wanted(changes ...any) map[string]any {
	return changed(map[string]any{"events": []string{"push", "tag", "merge"}}, changes)
}

// subscribe subscribes to a repository by its path.
func (w *world) subscribe(one string) reply {
	w.t.Helper()
	r := w.put(one+"/subscription", wanted())
	if r.status != http.StatusCreated {
		w.t.Fatalf("got %d %s, want 201", r.status, r.body)
	}
	return r
}

// push pushes a commit to GitLab's alice/hello, and returns it when it was delivered.
func (w *world) push(message string) string {
	w.t.Helper()
	commit, err := w.box.PushCommit(
		w.t.Context(), sandbox.GitLab, "alice/hello", "", message, "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	w.box.WaitForDeliveries()
	return commit
}

// webhook returns the id of the one subscription's webhook.
func (w *world) webhook() string {
	w.t.Helper()
	all, err := w.lost.Table.AllSubscriptions(w.t.Context(), "", 2)
	if err != nil || len(all.Items) != 1 {
		w.t.Fatalf("there are %d subscriptions: %v", len(all.Items), err)
	}
	return all.Items[0].ID
}
