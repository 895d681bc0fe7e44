package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"bindery/shared/api"
	"bindery/shared/binding"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// storyRepository is a repository of the story with its subscription.
type storyRepository struct {
	*deployment
	name   sandbox.Platform
	writer secret.Text
	path   string // of the repository's routes
	git    pusher // a clone that may push
	first  sourceEvent
}

// subscribe takes the repository hello of each platform through a subscription: pushes by git,
// deliveries through the gateway, the receiver, the list, a replay, a sync and the schedule. It
// leaves the subscriptions of GitHub, GitLab, Gitee and Bitbucket.
func (d *deployment) subscribe(writer secret.Text) {
	d.t.Helper()
	for _, name := range []sandbox.Platform{
		sandbox.Codeup, sandbox.Gitee, sandbox.GitHub, sandbox.GitLab, sandbox.Bitbucket,
	} {
		r := d.subscribed(name, writer)
		r.first = r.wantPushes(name == sandbox.Codeup || name == sandbox.Gitee)
		r.wantTag()
		r.wantListed(2)
		r.wantCaughtUp()
		r.wantReplayed()
		r.call(http.MethodPost, r.path+"/subscription/sync", nil, http.StatusOK)
		switch name {
		case sandbox.Codeup:
			r.wantPushToOldRow()
			r.unsubscribe()
		case sandbox.GitLab: // a server that doesn't sign
			r.unsubscribe()
			d.sandbox.SetSwitch(sandbox.GitLab, gitlab.BeforeSigning, true)
			r.put()
			r.wantPushes(true)
			d.sandbox.SetSwitch(sandbox.GitLab, gitlab.BeforeSigning, false)
		}
	}
	d.makeSubscriptionsDue()
	d.runSubscriptions("with everything due")
	d.wantNoEvent()
}

func (d *deployment) subscribed(name sandbox.Platform, writer secret.Text) *storyRepository {
	d.t.Helper()
	path, clone := d.findHello(string(name))
	r := &storyRepository{deployment: d, name: name, writer: writer, path: path}
	parent := d.t.TempDir()
	pusher{d.t, parent}.run("clone", "-q", withGitPassword(d.t, clone), "hello")
	r.git = pusher{d.t, filepath.Join(parent, "hello")}
	r.put()
	return r
}

// call calls the API with the scope to write or to read, and wants a status.
func (r *storyRepository) call(method, path string, body any, want int) reply {
	r.t.Helper()
	bearer := r.writer
	if method == http.MethodGet {
		bearer = r.bearer("alice", api.ScopeRead)
	}
	a := r.deployment.call(method, path, bearer, body)
	if a.status != want {
		r.t.Fatalf("%s: %s %s: %d %s", r.name, method, path, a.status, a.text)
	}
	return a
}

func (r *storyRepository) put() {
	r.t.Helper()
	a := r.call(http.MethodPut, r.path+"/subscription",
		object{"events": []string{"push", "tag"}}, http.StatusCreated)
	if a.body["health"] != "active" {
		r.t.Errorf("%s: the subscription is %s", r.name, a.text)
	}
	r.sandbox.WaitForDeliveries() // the platform's test of the webhook
}

func (r *storyRepository) unsubscribe() {
	r.t.Helper()
	a := r.call(http.MethodDelete, r.path+"/subscription", nil, http.StatusOK)
	if a.body["webhookLeft"] != nil {
		r.t.Errorf("%s: ending it leaves %s", r.name, a.text)
	}
	r.call(http.MethodGet, r.path+"/subscription", nil, http.StatusNotFound)
}

// wantPushes pushes twice and wants an event of each, and returns the first. A delivery that is
// forwarded costs at most three calls to the table, and one to the vault unless the process has the
// webhook's secret. If the platform doesn't sign and is asked for the ref, a new process needs the
// binding's token, and at Gitee the secret too.
func (r *storyRepository) wantPushes(asks bool) sourceEvent {
	r.t.Helper()
	cold, warm := storeCalls{table: 3, vault: 1}, storeCalls{table: 3}
	if asks && r.name == sandbox.Gitee {
		cold.vault = 2
	}
	r.processes["delivery"] = r.startProcess("delivery", 0)
	first := r.wantPush("the first", cold)
	r.wantPush("the second", warm)
	return first
}

// wantPush pushes a commit and wants an event of it, and at most these calls.
func (r *storyRepository) wantPush(which string, most storeCalls) sourceEvent {
	r.t.Helper()
	title := fmt.Sprintf("Try %s, %s", r.name, which)
	r.git.run("commit", "-q", "--allow-empty", "-m", title)
	before := r.calls("delivery")
	r.git.run("push", "-q", "origin", "HEAD")
	e := r.nextEvent()
	r.sandbox.WaitForDeliveries()
	after := r.calls("delivery")
	cost := storeCalls{after.table - before.table, after.vault - before.vault}
	r.t.Logf("%s: %s delivery costs %d calls to the table and %d to the vault",
		r.name, which, cost.table, cost.vault)
	if cost.table > most.table || cost.vault > most.vault {
		r.t.Errorf("%s: %s delivery costs %+v, want at most %+v", r.name, which, cost, most)
	}
	if e.Type != "source.pushed" || e.Data.Platform != string(r.name) ||
		e.Data.Commit != r.git.run("rev-parse", "HEAD") || !slices.Equal(e.Data.Titles, []string{title}) {
		r.t.Errorf("%s: the event is %+v", r.name, e)
	}
	return e
}

// wantPushToOldRow pushes with a row as the version before hashes and named tokens has left it.
func (r *storyRepository) wantPushToOldRow() {
	r.t.Helper()
	page, err := r.table.AllSubscriptions(r.t.Context(), "", 100)
	if err != nil || len(page.Items) != 1 {
		r.t.Fatalf("%s: %d subscriptions, %v", r.name, len(page.Items), err)
	}
	row := page.Items[0]
	row.SecretHash, row.Asked, row.Heads, row.AllHeads = "", binding.AskedToken{}, nil, false
	if _, err = r.table.SaveSubscription(r.t.Context(), row); err != nil {
		r.t.Fatal(err)
	}
	r.processes["delivery"] = r.startProcess("delivery", 0)
	r.wantPush("an old row's", storeCalls{table: 5, vault: 2})
}

func (r *storyRepository) wantTag() {
	r.t.Helper()
	r.git.run("tag", "-a", "v9", "-m", "Nine")
	r.git.run("push", "-q", "origin", "v9")
	e := r.nextEvent()
	if e.Type != "source.tagged" || e.Data.Ref != "refs/tags/v9" ||
		e.Data.Commit != r.git.run("rev-parse", "HEAD") {
		r.t.Errorf("%s: the event of a tag is %+v", r.name, e)
	}
	r.sandbox.WaitForDeliveries()
}

// wantListed wants this many pushes, besides the tag, in the lists, each forwarded.
func (r *storyRepository) wantListed(pushes int) {
	r.t.Helper()
	r.call(http.MethodGet, r.path+"/subscription", nil, http.StatusOK)
	all := r.call(http.MethodGet, r.bindingsPath()+"/"+string(r.name)+"/subscriptions", nil,
		http.StatusOK)
	if list, _ := all.body["subscriptions"].([]any); len(list) != 1 {
		r.t.Errorf("%s: the subscriptions are %s", r.name, all.text)
	}
	got := 0
	for _, d := range r.deliveries() {
		if in(d, "reason") == "test" {
			continue
		}
		if got++; in(d, "state") != "forwarded" || in(d, "answer") != float64(http.StatusNoContent) {
			r.t.Errorf("%s: a delivery is %v", r.name, d)
		}
	}
	if got != pushes+1 {
		r.t.Errorf("%s: %d deliveries, want %d", r.name, got, pushes+1)
	}
}

func (r *storyRepository) deliveries() []any {
	r.t.Helper()
	a := r.call(http.MethodGet, r.path+"/subscription/deliveries", nil, http.StatusOK)
	list, _ := a.body["deliveries"].([]any)
	return list
}

// wantReplayed replays the first push, and wants the same event again from the schedule.
func (r *storyRepository) wantReplayed() {
	r.t.Helper()
	for _, d := range r.deliveries() {
		if in(d, "id") != r.first.id {
			continue
		}
		replay := fmt.Sprintf("%s/subscription/deliveries/%v/replay", r.path, in(d, "delivery"))
		r.call(http.MethodPost, replay, nil, http.StatusOK)
		r.runSubscriptions("after a replay")
		if e := r.nextEvent(); e.id != r.first.id || e.Data.Commit != r.first.Data.Commit {
			r.t.Errorf("%s: the replay is %+v", r.name, e)
		}
		return
	}
	r.t.Errorf("%s: no delivery is the event %s", r.name, r.first.id)
}

// wantCaughtUp loses a delivery, and wants the event from the schedule's sync.
func (r *storyRepository) wantCaughtUp() {
	r.t.Helper()
	r.sandbox.DropDeliveries(r.name, 1)
	r.git.run("commit", "-q", "--allow-empty", "-m", "Lost")
	r.git.run("push", "-q", "origin", "HEAD")
	r.sandbox.WaitForDeliveries()
	r.wantNoEvent()
	r.makeSubscriptionsDue()
	r.runSubscriptions("after a lost delivery")
	if e := r.nextEvent(); e.Data.Commit != r.git.run("rev-parse", "HEAD") {
		r.t.Errorf("%s: what a sync found is %+v", r.name, e)
	}
}

// nextEvent returns the next event that the receiver gets.
func (d *deployment) nextEvent() sourceEvent {
	d.t.Helper()
	select {
	case e := <-d.events:
		return e
	case <-time.After(30 * time.Second):
		d.t.Fatal("the receiver gets no event")
		return sourceEvent{}
	}
}

func (d *deployment) wantNoEvent() {
	d.t.Helper()
	select {
	case e := <-d.events:
		d.t.Errorf("one event more: %+v", e)
	default:
	}
}

// runSubscriptions invokes expirycheck as the cloud's schedule of subscriptions does.
func (d *deployment) runSubscriptions(when string) {
	d.t.Helper()
	p := d.processes["expirycheck"]
	before := strings.Count(p.Log(), `"msg":"subscriptions"`)
	reply, err := p.Invoke(d.t.Context(), d.scheduleEvent("Subscriptions"))
	if err != nil || string(reply) != "null" {
		d.t.Errorf("%s: the schedule of subscriptions ends with %s, %v", when, reply, err)
	}
	if log := p.Log(); strings.Count(log, `"msg":"subscriptions"`) != before+1 ||
		!strings.Contains(log, `"DueSubscriptions"`) {
		d.t.Errorf("%s: the log has no line or no metric of the subscriptions", when)
	}
}

// makeSubscriptionsDue makes every subscription due for a sync, or for the rest of its end.
func (d *deployment) makeSubscriptionsDue() {
	d.t.Helper()
	var all errgroup.Group
	for cursor := ""; ; {
		page, err := d.table.AllSubscriptions(d.t.Context(), cursor, 100)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, s := range page.Items {
			all.Go(func() error { return d.makeSubscriptionDue(d.t.Context(), s) })
		}
		if cursor = page.Cursor; cursor == "" {
			d.mustSucceed(all.Wait())
			return
		}
	}
}

func (d *deployment) makeSubscriptionDue(ctx context.Context, s binding.Subscription) error {
	past := time.Now().Add(-time.Second)
	s.SyncAt, s.DueAt, s.Claim = past, past, time.Time{}
	_, err := d.table.SaveSubscription(ctx, s)
	if errors.Is(err, table.ErrConflict) {
		return nil
	}
	return err
}
