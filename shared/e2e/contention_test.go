package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
	"bindery/shared/trigger/triggertest"
)

// binder is one of many users who bind the same platform at once, each with a token of its own.
type binder struct {
	user, token secret.Text
	got         reply
	err         error
}

const (
	concurrentBinders = 64
	// warmProcesses is the number of warm processes of the function.
	warmProcesses = 8
)

// Of the binds at once with one ETag, one succeeds and the others get 412. Of the binds without an
// ETag, every reply is true: the record is the last successful bind's, with its token; the history
// has each success once; and no other secret is left.
func TestManyBindsOfOnePlatformAtOnce(t *testing.T) {
	t.Parallel()
	d := startLambda(t)
	origin := d.manyProcesses("tokenbind")
	d.bindByToken("gitlab", d.bearer("alice", everyScope))

	matched := d.newBinders()
	d.bindAtOnce(origin, matched, "If-Match", d.etag())
	won := winners(matched)
	for _, b := range matched {
		if !slices.Contains(won, b) && b.got.status != http.StatusPreconditionFailed {
			t.Errorf("with the old ETag: %d %v, %v", b.got.status, b.got.body["code"], b.err)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d of %d win with the same ETag", len(won), concurrentBinders)
	}
	d.wantTokenOfOneOf(won)

	free := d.newBinders()
	d.bindAtOnce(origin, free)
	won = winners(free)
	for _, b := range free {
		refused := b.got.status == http.StatusConflict ||
			b.got.status == http.StatusServiceUnavailable && b.got.header.Get("Retry-After") != ""
		if !slices.Contains(won, b) && !refused {
			t.Errorf("without an ETag: %d %v, %v", b.got.status, b.got.body["code"], b.err)
		}
	}
	d.wantTokenOfOneOf(won)
	t.Logf("%d of %d have bound", len(won), concurrentBinders)
	d.wantHistory(2 + len(won))
	d.makeAllDue()
	d.runSchedule("after the race")
	if left := d.aws.secrets.Names(); len(left) != 2 { // the OAuth apps, and the binding's token
		t.Errorf("%d secrets are left of the race, want the winner's", len(left)-1)
	}
	d.wantTokenOfOneOf(won)
}

// manyProcesses returns the address of a gateway that spreads requests over several processes of
// one function.
func (d *deployment) manyProcesses(folder string) (address string) {
	d.t.Helper()
	var gateways []http.Handler
	for range warmProcesses {
		process := d.startProcess(folder, 0)
		gateways = append(gateways, d.api(map[string]*triggertest.Process{folder: process}))
	}
	var turn atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		gateways[int(turn.Add(1))%len(gateways)].ServeHTTP(out, r)
	}))
	d.t.Cleanup(server.Close)
	return server.URL
}

func (d *deployment) newBinders() []*binder {
	var all []*binder
	for range concurrentBinders {
		all = append(all, &binder{
			user: d.bearer("user-"+time.Now().String(), everyScope),
			token: d.sandbox.GitLab.AddToken(gitlab.Token{
				Username: "alice", Scopes: []string{"api"},
			}),
		})
	}
	return all
}

// bindAtOnce sends the binds of all binders at the same moment.
func (d *deployment) bindAtOnce(origin string, all []*binder, more ...string) {
	d.t.Helper()
	form, address := d.form("gitlab"), origin+d.bindingsPath()+"/gitlab"
	begin := make(chan struct{})
	var group sync.WaitGroup
	for _, b := range all {
		group.Go(func() {
			<-begin
			b.got, b.err = send(d.t.Context(), http.MethodPut, address, b.user, object{
				"address": form["address"], "username": form["username"], "token": b.token.Reveal(),
			}, more...)
		})
	}
	close(begin)
	group.Wait()
}

func winners(all []*binder) (won []*binder) {
	for _, b := range all {
		if b.got.status == http.StatusOK {
			won = append(won, b)
		}
	}
	return won
}

// etag returns the ETag of GitLab's binding, as the list of bindings shows it.
func (d *deployment) etag() string {
	d.t.Helper()
	a := d.call(http.MethodGet, d.bindingsPath(), d.bearer("alice", everyScope), nil)
	list, _ := a.body["bindings"].([]any)
	for _, b := range list {
		if tag, _ := in(b, "etag").(string); in(b, "platform") == "gitlab" && tag != "" {
			return `"` + tag + `"`
		}
	}
	d.t.Fatalf("gitlab has no ETag: %d %v", a.status, a.body["code"])
	return ""
}

// wantTokenOfOneOf expects the record to be one of these binders', and builds to get that binder's
// token.
func (d *deployment) wantTokenOfOneOf(won []*binder) {
	d.t.Helper()
	tag := d.etag()
	i := slices.IndexFunc(won, func(b *binder) bool { return b.got.header.Get("ETag") == tag })
	if i < 0 {
		d.t.Fatal("the record isn't that of any bind that succeeded")
	}
	if token, _ := d.credential("gitlab"); !token.Equal(won[i].token) {
		d.t.Error("the record points at another token than its winner's")
	}
}

// wantHistory expects this many events in the history, each once.
func (d *deployment) wantHistory(want int) {
	d.t.Helper()
	seen := map[any]bool{}
	for cursor := ""; ; {
		a := d.call(http.MethodGet, d.bindingsPath()+"/gitlab/history?cursor="+cursor,
			d.bearer("alice", everyScope), nil)
		events, _ := a.body["events"].([]any)
		for _, e := range events {
			if id := in(e, "id"); seen[id] {
				d.t.Errorf("an event is there twice: %v", id)
			} else {
				seen[id] = true
			}
		}
		if cursor, _ = a.body["cursor"].(string); cursor == "" {
			break
		}
	}
	if len(seen) != want {
		d.t.Errorf("the history has %d events, want %d", len(seen), want)
	}
}
