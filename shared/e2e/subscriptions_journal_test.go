package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// refCommit is a ref and its head, "" for none.
type refCommit struct{ ref, commit string }

// journal has what a receiver was told, each event once.
type journal struct {
	mu    sync.Mutex
	all   []sourceEvent
	ids   map[string]refCommit
	again int // sends of an event that was taken already
}

func (j *journal) add(e sourceEvent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ids == nil {
		j.ids = map[string]refCommit{}
	}
	if _, known := j.ids[e.id]; known {
		j.again++
		return
	}
	j.ids[e.id] = refCommit{e.Data.Ref, e.Data.Commit}
	j.all = append(j.all, e)
}

// of returns the events of a repository by their refs, in the order in which they came.
func (j *journal) of(url string) map[string][]sourceEvent {
	j.mu.Lock()
	defer j.mu.Unlock()
	refs := map[string][]sourceEvent{}
	for _, e := range j.all {
		if e.Data.Repository.URL == url {
			refs[e.Data.Ref] = append(refs[e.Data.Ref], e)
		}
	}
	return refs
}

// moved notes the new head of a ref.
func (r *massRepository) moved(ref, commit string) {
	r.history[ref] = append(r.history[ref], commit)
}

// check wants what the receiver was told of a repository to be true: for each ref, the events are a
// subsequence of its heads since the subscription, and the last one is the head. So each change of
// a head has at most one id, and a head that came twice may have two.
func (r *massRepository) check(t *testing.T, told map[string][]sourceEvent) {
	t.Helper()
	for ref, events := range told {
		history, at := r.history[ref], 0
		for _, e := range events {
			next := slices.Index(history[at:], e.Data.Commit)
			if next < 0 {
				t.Errorf("%s %s %s: %.8q was told, in %v, and the heads were %v", r.platform, r.path, ref,
					e.Data.Commit, commitsOf(events), short(history))
				break
			}
			at += next + 1
		}
	}
	for _, ref := range slices.Sorted(maps.Keys(r.history)) {
		history, events := r.history[ref], told[ref]
		head := history[len(history)-1]
		if len(events) == 0 && head == "" {
			continue // it has come and gone between two syncs
		}
		if len(events) == 0 || events[len(events)-1].Data.Commit != head {
			t.Errorf("%s %s %s: the head is %.8q, and told was %v", r.platform, r.path, ref, head,
				commitsOf(events))
		}
	}
}

// stay is a head that was there during a whole sync.
type stay struct {
	refCommit
	began, ended time.Time
}

// checkStayed wants every head that was there during a whole sync to be told. A sync compares no
// ref of which a delivery tells meanwhile: what the platform has listed may be older. overtaken is
// how many heads were not told for that reason.
func (m *mass) checkStayed(r *massRepository, told map[string][]sourceEvent) (overtaken int) {
	m.t.Helper()
	for _, want := range r.stayed {
		is := func(e sourceEvent) bool { return e.Data.Commit == want.commit }
		switch {
		case want.commit == "", slices.ContainsFunc(told[want.ref], is):
		case m.delivered(r, want):
			overtaken++
		default:
			m.t.Errorf("%s %s %s: the head %.8q was there during a sync, and told was %v", r.platform,
				r.path, want.ref, want.commit, commitsOf(told[want.ref]))
		}
	}
	return overtaken
}

// delivered reports whether a delivery told of the ref during the sync.
func (m *mass) delivered(r *massRepository, during stay) bool {
	m.t.Helper()
	list, err := m.laptop.call(r.user(), http.MethodGet, r.one+"/subscription/deliveries", nil)
	if err != nil || list.status != http.StatusOK {
		m.t.Fatalf("%v %s", err, list.text)
	}
	all, _ := list.body["deliveries"].([]any)
	return slices.ContainsFunc(all, func(d any) bool {
		text, _ := in(d, "receivedAt").(string)
		at, err := time.Parse(time.RFC3339, text)
		return err == nil && in(d, "ref") == during.ref && in(d, "caughtUp") == false &&
			at.After(during.began.Add(-time.Second)) && at.Before(during.ended)
	})
}

func commitsOf(events []sourceEvent) string {
	var commits []string
	for _, e := range events {
		commits = append(commits, e.Data.Commit)
	}
	return short(commits)
}

// short writes the beginnings of commits.
func short(commits []string) string {
	var all []string
	for _, commit := range commits {
		all = append(all, fmt.Sprintf("%.8q", commit))
	}
	return strings.Join(all, " ")
}

// pushByGit pushes with real git what a commit on a platform's site can't be: forced pushes, tags,
// and a branch that is deleted again.
func (r *massRepository) pushByGit(i int) {
	push := func(arguments ...string) {
		r.git.run(append([]string{"push", "-q", "origin"}, arguments...)...)
	}
	switch i {
	case 4:
		r.git.run("tag", "-a", "v9", "-m", "Nine")
		push("v9")
		r.moved("refs/tags/v9", r.git.run("rev-parse", "v9^{commit}"))
	case 8:
		push("HEAD:refs/heads/topic")
		r.moved("refs/heads/topic", r.git.run("rev-parse", "HEAD"))
	case 9:
		push(":refs/heads/topic")
		r.moved("refs/heads/topic", "")
	case 11, 12: // back, and forth again
		to := map[int]string{11: "HEAD~1", 12: "HEAD"}[i]
		push("-f", to+":refs/heads/main")
		r.moved("refs/heads/main", r.git.run("rev-parse", to))
	default:
		r.git.run("commit", "-q", "--allow-empty", "-m", fmt.Sprint("Change ", i))
		push("HEAD:refs/heads/main")
		r.moved("refs/heads/main", r.git.run("rev-parse", "HEAD"))
	}
}
