package delivery_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

func TestASignedPushIsForwardedAtOnce(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "a", "b")))
	events := h.receiver.taken()
	testkit.Want(t, "events", len(events), 1)
	want(t, "type", events[0].Type, "source.pushed")
	want(t, "told", h.receiver.told(), "heads/main=b")
	want(t, "before", events[0].Data.Before, "a")
	want(t, "titles", fmt.Sprint(events[0].Data.Titles), "[told in d1]")
	want(t, "id", events[0].ID, binding.SourceEventID(hookID, "d1", h.row().Events[0].OrderKey()))
	want(t, "row", h.states(), "main=b forwarded")
	testkit.Want(t, "lease", h.row().Lease.IsZero(), true)
	testkit.Want(t, "questions", h.questions(), 0)
	want(t, "metric", h.metrics(), "stored")
}

func TestASignedDeliveryCostsThreeCallsToTheTableAndOneToTheVault(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "a", "b")))
	want(t, "cold", h.calls.list(), "Subscription Get SaveSubscription SaveSubscription")
	h.calls.reset(0, false)
	check(t, h.signed(push("d2", "main", "b", "c")))
	want(t, "warm", h.calls.list(), "Subscription SaveSubscription SaveSubscription")
	h.calls.reset(0, false)
	check(t, h.signed(push("d2", "main", "b", "c")))
	want(t, "repeated", h.calls.list(), "Subscription")
}

// TestARefThatTheLastSyncDidNotFindIsCreated unless the sync listed not all of its kind, or there
// was none.
func TestARefThatTheLastSyncDidNotFindIsCreated(t *testing.T) {
	for name, c := range map[string]struct {
		heads *binding.Heads
		want  bool
	}{
		"all branches":  {&binding.Heads{Cut: []string{"tags"}}, true},
		"not all":       {&binding.Heads{Cut: []string{"heads"}}, false},
		"deleted since": {&binding.Heads{List: []binding.Head{{Ref: "refs/heads/new"}}}, true},
		"no sync":       {nil, false},
	} {
		h := newHarness(t)
		if c.heads != nil {
			c.heads.Subscription = hookID
			_, err := h.table.SaveSubscriptionHeads(t.Context(), *c.heads)
			check(t, err)
		}
		h.set("heads/new", "a")
		check(t, h.unsigned(push("d1", "new", "", "a")))
		testkit.Want(t, name+", created", h.receiver.taken()[0].Data.Created, c.want)
		h.set("heads/new", "b")
		check(t, h.unsigned(push("d2", "new", "a", "b")))
		testkit.Want(t, name+", created twice", h.receiver.taken()[1].Data.Created, false)
	}
}

// TestADeliveryThatIsNotSignedCostsWhatASignedOneDoes if the row has what a sync leaves in it: the
// hash of the secret, the token, and all heads.
func TestADeliveryThatIsNotSignedCostsWhatASignedOneDoes(t *testing.T) {
	h := newHarness(t)
	cost := func(what, commit, calls string) {
		t.Helper()
		h.calls.reset(0, false)
		h.set("heads/main", commit)
		check(t, h.unsigned(push(commit, "main", "x", commit)))
		want(t, what, h.calls.list(), calls+" SaveSubscription SaveSubscription")
	}
	cost("of an old row", "b", "Subscription Get Binding Get SubscriptionHeads")
	cost("warm", "c", "Subscription")
	h.Advance(time.Hour)
	cost("later", "d", "Subscription")
	h.serve()
	cost("in a new process", "e", "Subscription Get Get")
	h.synced("main", "0b")
	h.edit(func(s *binding.Subscription) {
		s.SecretHash, s.Heads = binding.HashSecret(hookSecret), nil
	})
	h.serve()
	cost("with the hash", "f", "Subscription Get SubscriptionHeads")
	h.edit(func(s *binding.Subscription) {
		s.Heads = nil
		s.NoteAllHeads([]binding.Head{{Ref: "refs/heads/main", Commit: "0b"}})
	})
	h.serve()
	cost("after a sync", "g", "Subscription Get")
	want(t, "before", h.receiver.taken()[5].Data.Before, "0b")
	h.edit(func(s *binding.Subscription) { s.Asked.Token.ExpiresAt = h.Now().Add(time.Second) })
	cost("of a token that expires", "h", "Subscription Binding")
	testkit.Want(t, "the row's expiry", h.row().Asked.Token.ExpiresAt.IsZero(), true)
	h.edit(func(s *binding.Subscription) { s.Asked.Token.Secret = "00000000000000000000000000000000" })
	cost("of one that is gone", "i", "Subscription Get Binding")
}

// TestE1_AWrongTokenIsRefusedByItsHash without a look at the vault, and as without a hash.
func TestE1_AWrongTokenIsRefusedByItsHash(t *testing.T) {
	h := newHarness(t)
	d := push("d1", "main", "a", "b")
	for _, hash := range []string{binding.HashSecret(hookSecret), "0"} {
		h.edit(func(s *binding.Subscription) { s.SecretHash = hash })
		h.serve()
		h.calls.reset(0, false)
		for name, header := range map[string]string{
			"another's": secretOther.Reveal(), "none": "", "its beginning": hookSecret.Reveal()[1:],
			"the hash": hash,
		} {
			_, body := unsigned(hookSecret, d)
			err := h.receive(http.Header{"X-Token": {header}}, body)
			testkit.WantProblem(t, name, err, problem.SubscriptionUnknown, "")
		}
		want(t, "calls", h.calls.list(), strings.TrimSpace(strings.Repeat("Subscription ", 4)))
	}
	h.edit(func(s *binding.Subscription) {
		s.SecretHash, s.Signed = binding.HashSecret(hookSecret), true
	})
	testkit.WantProblem(t, "of a webhook that signs", h.unsigned(d), problem.SubscriptionUnknown, "")
}

// TestATokenThatThePlatformRefusesIsAskedForAgain: it was remembered, and has been refreshed since.
func TestATokenThatThePlatformRefusesIsAskedForAgain(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "b")
	check(t, h.unsigned(push("d1", "main", "a", "b")))
	refused := 0
	h.refuse = func() error {
		if refused++; refused == 1 {
			return problem.New(problem.TokenRejected)
		}
		return nil
	}
	h.set("heads/main", "c")
	check(t, h.unsigned(push("d2", "main", "b", "c")))
	want(t, "told", h.receiver.told(), "heads/main=b heads/main=c")
	// Bound again by another user, who is seen to administer the repository.
	h.edit(func(s *binding.Subscription) { s.IdentityID = "2" })
	err := h.unsigned(push("d3", "main", "c", "d"))
	testkit.WantProblem(t, "another user's", err, problem.SubscriptionUnknown, "")
}

func TestWhatNobodyAskedForIsKeptWithItsReason(t *testing.T) {
	h := newHarness(t)
	h.edit(func(s *binding.Subscription) {
		s.Kinds, s.Branches = []binding.SourceKind{binding.PushKind}, []string{"main"}
	})
	tag := push("d1", "", "", "b")
	tag.Changes[0].Ref = "refs/tags/v1"
	check(t, h.signed(tag))
	check(t, h.signed(push("d2", "next", "a", "b")))
	check(t, h.signed(merge("d3", "7", "opened")))
	check(t, h.signed(provider.Delivery{ID: "d4", Test: true}))
	check(t, h.unsigned(push("d5", "next", "a", "b")))
	check(t, h.signed(provider.Delivery{ID: "d6", RepositoryID: repositoryID}))
	want(t, "row", h.states(), "refs/tags/v1=b ignored kind, next=b ignored branch, "+
		"main=m7 ignored kind, = ignored test, next= ignored branch")
	testkit.Want(t, "events", len(h.receiver.taken()), 0)
	testkit.Want(t, "questions", h.questions(), 0)
}

func TestEachRefOfADeliveryIsAnEvent(t *testing.T) {
	h := newHarness(t)
	d := push("d1", "main", "a", "b")
	d.Changes = append(d.Changes, push("", "next", "a", "c").Changes...)
	check(t, h.signed(d))
	want(t, "told", h.receiver.told(), "heads/main=b heads/next=c")
	check(t, h.signed(d))
	testkit.Want(t, "again", len(h.receiver.taken()), 2)
}

func TestAMissingCommitIsAskedFor(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "b")
	d := push("d1", "main", "a", "")
	d.Changes[0].Deleted, d.Changes[0].Titles = false, nil
	check(t, h.signed(d))
	want(t, "told", h.receiver.told(), "heads/main=b")
	want(t, "titles", fmt.Sprint(h.receiver.taken()[0].Data.Titles), "[Title of b]")
	testkit.Want(t, "questions", h.questions(), 1)

	h.down = problem.New(problem.PlatformError)
	d = push("d2", "main", "b", "c")
	d.Changes[0].Titles = nil // only they are missing
	check(t, h.signed(d))
	want(t, "told", h.receiver.told(), "heads/main=b heads/main=c")

	h.down = nil
	h.merges["7"] = provider.Change{
		Commit: "m", Merge: &provider.MergeRequest{Number: "7", Action: "merged"},
	}
	m := merge("d3", "7", "merged")
	m.Changes[0].Commit = ""
	check(t, h.signed(m))
	want(t, "commit of the merge", h.receiver.taken()[2].Data.Commit, "m")
}

func TestALateDeliveryIsSuperseded(t *testing.T) {
	h := newHarness(t)
	check(t, h.signed(push("d1", "main", "", "a")))
	h.set("heads/main", "c")
	check(t, h.signed(push("d3", "main", "b", "c")))
	check(t, h.signed(push("d2", "main", "a", "b")))
	want(t, "row", h.states(), "main=a forwarded, main=c forwarded, main=b ignored superseded")
	want(t, "told", h.receiver.told(), "heads/main=a heads/main=c")
	testkit.Want(t, "sync", h.row().SyncAt.IsZero(), true)

	// The ref has moved on to what no delivery has told of.
	h.set("heads/main", "e")
	check(t, h.signed(push("d4", "main", "x", "d")))
	testkit.Want(t, "sync after a loss", h.row().SyncAt, h.Now().Add(time.Minute))
}

func TestWhatIsNotSignedIsToldAsThePlatformSays(t *testing.T) {
	h := newHarness(t)
	h.set("heads/main", "c")
	check(t, h.unsigned(push("d1", "main", "x", "y")))
	e := h.receiver.taken()[0].Data
	want(t, "told", h.receiver.told(), "heads/main=c")
	want(t, "pusher, before", e.Pusher+e.Before, "")
	want(t, "titles", fmt.Sprint(e.Titles), "[Title of c]")
	check(t, h.unsigned(push("d2", "main", "x", "y"))) // the same head
	testkit.Want(t, "events", len(h.receiver.taken()), 1)

	h.set("heads/main", "")
	check(t, h.unsigned(push("d3", "main", "c", "d"))) // no deletion was told of
	check(t, h.unsigned(push("d4", "main", "c", "")))
	check(t, h.unsigned(push("d5", "never-there", "c", "")))
	want(t, "row", h.states(), "main=c forwarded, main= ignored unconfirmed, main= forwarded, "+
		"never-there= ignored unconfirmed")
	h.set("heads/main", "c") // and back again
	check(t, h.unsigned(push("d6", "main", "", "c")))
	want(t, "told", h.receiver.told(), "heads/main=c heads/main= heads/main=c")
}

func TestADeletedRefThatOnlyASyncKnowsIsTold(t *testing.T) {
	h := newHarness(t)
	h.synced("old", strings.Repeat("0a", 20))
	check(t, h.unsigned(push("d1", "old", "x", "")))
	e := h.receiver.taken()[0].Data
	want(t, "before", e.Before, strings.Repeat("0a", 20))
	testkit.Want(t, "deleted", e.Deleted, true)
}

func TestAMergeRequestThatIsNotSignedIsToldAsThePlatformSays(t *testing.T) {
	state := func(h *harness, action, commit string) {
		h.merges["7"] = provider.Change{
			Ref: "refs/heads/main", Commit: commit,
			Merge: &provider.MergeRequest{Number: "7", Title: "true", Source: "s", Action: action},
		}
	}
	for _, c := range []struct{ told, state, want string }{
		{"opened", "updated", "source.opened"},
		{"updated", "updated", "source.updated"},
		{"closed", "closed", "source.closed"},
		{"merged", "merged", "source.merged"},
		{"merged", "updated", "unconfirmed"},
		{"merged", "closed", "unconfirmed"},
		{"closed", "updated", "unconfirmed"},
		{"opened", "merged", "superseded"},
		{"updated", "closed", "superseded"},
	} {
		h := newHarness(t)
		state(h, c.state, "m")
		check(t, h.unsigned(merge("d1", "7", c.told)))
		got := h.row().Events[0].Reason
		if events := h.receiver.taken(); len(events) > 0 {
			got = events[0].Type
			want(t, "title", events[0].Data.Merge.Title, "true")
		}
		want(t, c.told+" of "+c.state, got, c.want)
	}
	h := newHarness(t)
	check(t, h.unsigned(merge("d1", "9", "opened")))
	want(t, "an unknown one", h.row().Events[0].Reason, "unconfirmed")
	h.edit(func(s *binding.Subscription) { s.Branches = []string{"release"} })
	state(h, "merged", "m")
	d := merge("d2", "7", "merged")
	d.Changes[0].Ref = "refs/heads/release" // the platform says main
	check(t, h.unsigned(d))
	want(t, "another branch", h.row().Events[1].Reason, "branch")
}

func TestWhileThePlatformIsDownASyncIsDue(t *testing.T) {
	h := newHarness(t)
	h.down = problem.New(problem.PlatformError)
	err := h.unsigned(push("d1", "main", "a", "b"))
	testkit.WantCode(t, "the answer", err, problem.Overloaded)
	testkit.Want(t, "sync", h.row().SyncAt, h.Now())
	want(t, "row", h.states(), "")

	h.down = problem.New(problem.TokenRevoked) // sending it again doesn't help
	check(t, h.unsigned(push("d1", "main", "a", "b")))
	h.down = nil
	h.set("heads/main", "b")
	check(t, h.unsigned(push("d1", "main", "a", "b")))
	want(t, "told", h.receiver.told(), "heads/main=b")
}

func TestADeliveryBeforeTheFirstHeadsAreKnownIsAccepted(t *testing.T) {
	h := newHarness(t)
	h.edit(func(s *binding.Subscription) { s.Stage = binding.SubscriptionCreating })
	check(t, h.signed(push("d1", "main", "a", "b")))
	want(t, "row", h.states(), "")
	err := h.receive(signed(secretOther, push("d", "main", "", "b")))
	testkit.WantCode(t, "a wrong signature", err, problem.SubscriptionUnknown)
}

func TestASlowReceiverDelaysTheAnswerByASecondOrSo(t *testing.T) {
	h := newHarness(t)
	h.receiver.set(always(0))
	start := time.Now()
	check(t, h.signed(push("d1", "main", "a", "b")))
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	e := h.row().Events[0]
	testkit.Want(t, "state", e.State, binding.EventWaiting)
	testkit.Want(t, "tries", e.Tries, 0)
	testkit.Want(t, "lease", h.row().Lease.IsZero(), true)
	h.receiver.set(nil)
	h.forward()
	want(t, "told", h.receiver.told(), "heads/main=b")
}

func TestAnUnreadableDeliveryIsRefused(t *testing.T) {
	h := newHarness(t)
	body := []byte("{")
	err := h.receive(http.Header{"X-Signature": {sign(hookSecret, body)}}, body)
	testkit.WantCode(t, "the answer", err, problem.InputMalformed)
	long := push("d1", strings.Repeat("x", 1025), "a", "b")
	check(t, h.signed(long))
	want(t, "row", h.states(), "")
}

func TestAnErrorOfTheStorageAsksForTheDeliveryAgain(t *testing.T) {
	h := newHarness(t)
	broken := failing{h.table, errors.New("throttled")}
	h.table = broken
	h.serve()
	err := h.signed(push("d1", "main", "a", "b"))
	testkit.WantCode(t, "the answer", err, problem.StorageUnavailable)
}
