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

// binder is one of many who bind the same platform at once, each with a token of its own.
type binder struct {
	user, token secret.Text
	got         answer
	err         error
}

const (
	binders = 64
	// warm is how many processes Lambda keeps of the function.
	warm = 8
)

// Of those who bind at once with one ETag, one wins and the others are told so. Of those who don't
// ask what is there, each is told the truth: the record is the last winner's, with that token; the
// history has each success once; and no other secret is left.
func TestManyBindTheSameAtOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	door := w.manyDoors("tokenbind")
	w.bindByToken("gitlab", w.bearer("alice", everyScope))

	matched := w.binders()
	w.bindAtOnce(door, matched, "If-Match", w.etag())
	won := winners(matched)
	for _, b := range matched {
		if !slices.Contains(won, b) && b.got.status != http.StatusPreconditionFailed {
			t.Errorf("with the ETag of before: %d %v, %v", b.got.status, b.got.body["code"], b.err)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d of %d win with the same ETag", len(won), binders)
	}
	w.wantOf(won)

	free := w.binders()
	w.bindAtOnce(door, free)
	won = winners(free)
	for _, b := range free {
		refused := b.got.status == http.StatusConflict ||
			b.got.status == http.StatusServiceUnavailable && b.got.header.Get("Retry-After") != ""
		if !slices.Contains(won, b) && !refused {
			t.Errorf("without an ETag: %d %v, %v", b.got.status, b.got.body["code"], b.err)
		}
	}
	w.wantOf(won)
	t.Logf("%d of %d have bound", len(won), binders)
	w.wantHistory(2 + len(won))
	w.hasten()
	w.schedule("after the race")
	if left := w.cloud.secrets.Names(); len(left) != 2 { // the apps, and the token
		t.Errorf("%d secrets are left of the race, want the winner's", len(left)-1)
	}
	w.wantOf(won)
}

// manyDoors leads to several processes of one function, by turns.
func (w *world) manyDoors(folder string) (address string) {
	w.t.Helper()
	var doors []http.Handler
	for range warm {
		doors = append(doors, w.api(map[string]*triggertest.Process{folder: w.start(folder, 0)}))
	}
	var turn atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		doors[int(turn.Add(1))%len(doors)].ServeHTTP(out, r)
	}))
	w.t.Cleanup(server.Close)
	return server.URL
}

func (w *world) binders() []*binder {
	var all []*binder
	for range binders {
		all = append(all, &binder{
			user: w.bearer("user-"+time.Now().String(), everyScope),
			token: w.box.GitLab.AddToken(gitlab.Token{
				Username: "alice", Scopes: []string{"api"},
			}),
		})
	}
	return all
}

// bindAtOnce has all of them begin at the same moment.
func (w *world) bindAtOnce(door string, all []*binder, more ...string) {
	w.t.Helper()
	form := w.form("gitlab")
	begin := make(chan struct{})
	var group sync.WaitGroup
	for _, b := range all {
		group.Go(func() {
			<-begin
			b.got, b.err = send(w.t.Context(), http.MethodPut, door+w.at()+"/gitlab", b.user, object{
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

// etag is the binding's, as its list shows it.
func (w *world) etag() string {
	w.t.Helper()
	a := w.call(http.MethodGet, w.at(), w.bearer("alice", everyScope), nil)
	list, _ := a.body["bindings"].([]any)
	for _, b := range list {
		if tag, _ := in(b, "etag").(string); in(b, "platform") == "gitlab" && tag != "" {
			return `"` + tag + `"`
		}
	}
	w.t.Fatalf("gitlab has no ETag: %d %v", a.status, a.body["code"])
	return ""
}

// wantOf expects that the record is one winner's, and that builds get that one's token.
func (w *world) wantOf(won []*binder) {
	w.t.Helper()
	tag := w.etag()
	i := slices.IndexFunc(won, func(b *binder) bool { return b.got.header.Get("ETag") == tag })
	if i < 0 {
		w.t.Fatal("the record is nobody's who was told to have bound")
	}
	if token, _ := w.credential("gitlab"); !token.Equal(won[i].token) {
		w.t.Error("the record points at another token than its winner's")
	}
}

// wantHistory expects so many events, each once and in their order.
func (w *world) wantHistory(want int) {
	w.t.Helper()
	seen := map[any]bool{}
	for cursor := ""; ; {
		a := w.call(http.MethodGet, w.at()+"/gitlab/history?cursor="+cursor,
			w.bearer("alice", everyScope), nil)
		events, _ := a.body["events"].([]any)
		for _, e := range events {
			if id := in(e, "id"); seen[id] {
				w.t.Errorf("an event is there twice: %v", id)
			} else {
				seen[id] = true
			}
		}
		if cursor, _ = a.body["cursor"].(string); cursor == "" {
			break
		}
	}
	if len(seen) != want {
		w.t.Errorf("the history has %d events, want %d", len(seen), want)
	}
}
