package binding_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
	"bindery/shared/timing"
)

// The life of the sandbox's tokens of GitHub.
const gitHubLife = 8 * time.Hour

// Where tokens are renewed: GitHub's, and the others'.
const (
	tokenPath          = "/login/oauth/access_token"
	giteeTokenPath     = "/oauth/token"
	bitbucketTokenPath = "/site/oauth2/access_token"
)

// newRefreshable returns a harness with an instance bound to GitHub, whose token has left of its
// life. Waits are short.
func newRefreshable(t testing.TB, left time.Duration) *harness {
	t.Helper()
	b := newHarness(t)
	b.shortenWaits()
	b.bindGitHub("i-1", left)
	b.sandbox.ResetLog()
	return b
}

func (b *harness) bindGitHub(id string, left time.Duration) {
	b.Helper()
	b.keepConsented(id, b.consent("alice"))
	b.clock().Advance(gitHubLife - left)
}

// shortenWaits makes every wait only yield to the other goroutines.
func (b *harness) shortenWaits() {
	b.services.Ledger.Sleep = func(ctx context.Context, _ time.Duration) error {
		return timing.Sleep(ctx, time.Millisecond)
	}
}

// otherProcess returns another process on the same table and vault.
func (b *harness) otherProcess() *harness {
	b.Helper()
	other := harnessOn(b.TB, b.world, b.store)
	other.shortenWaits()
	return other
}

func (b *harness) ask(id string, minimum time.Duration) (credential.Credential, error) {
	return b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry(id), Platform: provider.GitHub, MinimumLife: minimum,
	})
}

func (b *harness) mustAsk(id string, minimum time.Duration) credential.Credential {
	b.Helper()
	c, err := b.ask(id, minimum)
	if err != nil {
		b.Fatalf("a credential for %s: %v", id, err)
	}
	return c
}

// access returns the access token that an instance's record points at.
func (b *harness) access(id string) secret.Text {
	b.Helper()
	bundle, err := b.fetch(b.row(id, provider.GitHub))
	if err != nil {
		b.Fatal(err)
	}
	return bundle.Token.Access
}

// wantCurrent expects a credential to be the token that the record points at, and to be valid.
func (b *harness) wantCurrent(id string, c credential.Credential) {
	b.Helper()
	testkit.Want(b, "the credential is the record's", c.Token.Equal(b.access(id)), true)
	testkit.Want(b, "it lives", b.sandbox.Lives(sandbox.GitHub, c.Token), true)
}

func (b *harness) refreshes() int { return b.sandbox.Refreshes(sandbox.GitHub) }

// wantRevoked expects that an instance's binding is revoked for a reason, with one event.
func (b *harness) wantRevoked(id, reason string) {
	b.Helper()
	rec := b.row(id, provider.GitHub)
	testkit.Want(b, "status", binding.StatusOf(rec, b.clock().Now()), binding.StatusRevoked)
	if rec.Problem == nil {
		b.Fatal("the record doesn't say why")
	}
	testkit.Want(b, "code", rec.Problem.Code, problem.TokenRevoked)
	testkit.Want(b, "reason", rec.Problem.Reason, reason)
	events := b.happenedTo(id, binding.EventRevoked)
	testkit.Want(b, "events of it", len(events), 1)
	for _, e := range events {
		testkit.Want(b, "the event's reason", e.Problem.Reason, reason)
	}
}

// happenedTo returns an instance's events of a type.
func (b *harness) happenedTo(id, what string) []binding.Event {
	b.Helper()
	all, err := b.Connect.History(
		context.Background(), user.Account, registry(id), provider.GitHub, "")
	if err != nil {
		b.Fatal(err)
	}
	var found []binding.Event
	for _, e := range all.Items {
		if e.Type == what {
			found = append(found, e)
		}
	}
	return found
}

// metrics counts the log's metrics of a name, by kind.
func (b *harness) metrics(name string) map[string]int {
	kinds := map[string]int{}
	for line := range strings.SplitSeq(b.log.String(), "\n") {
		if !strings.Contains(line, "msg=metric "+name+"=") {
			continue
		}
		_, rest, _ := strings.Cut(line, " Kind=")
		kind, _, _ := strings.Cut(rest, " ")
		kinds[kind]++
	}
	return kinds
}

// fails makes the token endpoint fail.
func (b *harness) fails(f sandbox.Fault) {
	f.Path = tokenPath
	b.sandbox.SetFault(sandbox.GitHub, f)
}

// calls counts the calls to the token endpoint since the log was last reset, answered or not.
func (b *harness) calls() int {
	n := 0
	for _, r := range b.sandbox.Requests() {
		if r.Path == tokenPath {
			n++
		}
	}
	return n
}

// answers makes the token endpoints answer every refresh with this, instead of the platforms.
func (b *harness) answers(status int, fields map[string]any) {
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains([]string{tokenPath, giteeTokenPath, bitbucketTokenPath}, r.URL.Path) {
			b.sandbox.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(fields)
	})
	b.around.Store(&serve)
}

// gate blocks the first call to the token endpoint, before or after the platform handles it.
type gate struct {
	reached chan struct{} // closed when the call is there
	opened  chan struct{}
	open    func() // lets the call go on; twice is once
}

// holdAnswer blocks the platform's answer to the next refresh, which the platform has handled.
func (b *harness) holdAnswer() gate {
	opened := make(chan struct{})
	g := gate{make(chan struct{}), opened, sync.OnceFunc(func() { close(opened) })}
	b.Cleanup(g.open)
	first := make(chan struct{}, 1)
	first <- struct{}{}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := false
		if r.URL.Path == tokenPath {
			select {
			case <-first:
				held = true
			default:
			}
		}
		if !held {
			b.sandbox.ServeHTTP(w, r)
			return
		}
		b.sandbox.ServeHTTP(&holding{w, g}, r)
	})
	b.around.Store(&serve)
	return g
}

// holding is a reply that is blocked before its first byte.
type holding struct {
	http.ResponseWriter
	gate gate
}

func (h *holding) WriteHeader(status int) {
	close(h.gate.reached)
	<-h.gate.opened
	h.ResponseWriter.WriteHeader(status)
}
