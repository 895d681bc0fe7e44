package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/event"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// TestE11_ANoisyRepositoryAndASlowReceiverDelayNoOther: the receiver does not answer to the events
// of one repository, which has a push after the other.
func TestE11_ANoisyRepositoryAndASlowReceiverDelayNoOther(t *testing.T) {
	testkit.Program(t, "git")
	arrived, end := make(chan sourceEvent, 100), make(chan struct{})
	m := newMass(t, func(e sourceEvent) {
		if strings.HasSuffix(e.Data.Repository.URL, "/service-0010.git") {
			<-end
			return
		}
		arrived <- e
	})
	t.Cleanup(func() { close(end) })
	m.subscribe(sandbox.GitHub)
	push := func(r *massRepository, i int) string {
		commit, err := m.box.PushCommit(t.Context(), r.platform, r.path, fmt.Sprint("b", i),
			fmt.Sprint("Change ", i), "alice")
		if err != nil {
			t.Fatal(err)
		}
		return commit
	}
	for i := range 30 {
		push(m.repositories[0], i)
	}
	for i, r := range m.repositories[1:6] {
		began := time.Now()
		commit := push(r, i)
		select {
		case e := <-arrived:
			t.Logf("%s: the receiver has the event %v after the push began", r.path, e.at.Sub(began))
			if e.Data.Commit != commit || e.at.Sub(began) > event.SendTimeout/2 {
				t.Errorf("%s: the event of %s comes %v after the push began, with %s", r.path, commit,
					e.at.Sub(began), e.Data.Commit)
			}
		case <-time.After(3 * event.SendTimeout):
			t.Fatalf("%s: no event came", r.path)
		}
	}
	got := m.laptop.client.call(http.MethodGet, m.repositories[0].one+"/subscription", nil,
		http.StatusOK)
	if waiting, _ := got.body["waiting"].(float64); waiting == 0 {
		t.Errorf("nothing waits for the slow receiver: %s", got.text)
	}
}
