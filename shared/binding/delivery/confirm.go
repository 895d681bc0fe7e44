package delivery

import (
	"context"
	"strconv"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

const (
	// maxQuestions is how many questions about one delivery are asked.
	maxQuestions = 10
	// tokenLife is for how long the token for a question must be valid.
	tokenLife = time.Minute
	// missedDelay is when a sync is due after a delivery has shown that an earlier one is late or
	// lost.
	missedDelay = time.Minute
	// maxName is the longest name of a ref in bytes. A longer one is not forwarded.
	maxName = 1024
)

// questions asks a platform about what a delivery tells. It asks after the row was read and before
// it is saved, so that what the platform says is newer than what the row knows.
type questions struct {
	service *Service
	hooks   provider.WebhookPlatform
	sub     binding.Subscription

	credential *provider.Credential // for the next question
	named      binding.AskedToken   // the one that the row is to name; zero if it does
	asked      int
	missed     bool // a ref has moved on, and the subscription doesn't know to where
	// forbidden is the merge request that the platform refuses to tell of; told says that it told of
	// one.
	forbidden *binding.RefusedMerge
	told      bool
}

func newQuestions(
	s *Service, hooks provider.WebhookPlatform, sub binding.Subscription,
) *questions {
	return &questions{service: s, hooks: hooks, sub: sub}
}

// ask asks the platform with the binding's token, without a look at the binding if the row names
// the token. One that the platform refuses is asked for again: it may have been refreshed, or bound
// anew. A binding that another user has bound since the last sync is [problem.SubscriptionUnknown].
func (q *questions) ask(ctx context.Context, do func(provider.Credential) error) error {
	if q.asked++; q.asked > maxQuestions {
		return problem.New(problem.TooManyCalls)
	}
	if q.credential == nil {
		q.useNamed(ctx)
	}
	if q.credential != nil {
		err := do(*q.credential)
		if err == nil || problem.Is(err, problem.RefUnknown) || problem.Of(err).Status() >= 500 {
			return err
		}
	}
	rec, cred, err := q.service.credentials.Token(ctx, q.sub.Binding, tokenLife)
	switch {
	case err != nil:
		return err
	case q.sub.IdentityID != "" && rec.Identity.ID != q.sub.IdentityID:
		return problem.New(problem.SubscriptionUnknown)
	}
	q.credential = &cred
	q.named = binding.AskedToken{Token: rec.Token, IdentityID: rec.Identity.ID}
	return do(cred)
}

// useNamed takes the token that the row names, if it is one of the user with whose token the
// webhook was last seen: a subscription ends or is held before its binding ends or changes.
func (q *questions) useNamed(ctx context.Context) {
	token, user := q.sub.Asked.Token, q.sub.Asked.IdentityID
	soon := q.service.ledger.Now().Add(tokenLife)
	if user == "" || user != q.sub.IdentityID ||
		!token.ExpiresAt.IsZero() && token.ExpiresAt.Before(soon) {
		return
	}
	cred, err := q.service.credentials.Named(ctx, q.sub.Binding, token)
	if err == nil { // the binding says what is wrong with another
		q.credential = &cred
	}
}

// head returns the head of a ref; its hash is "" if there is no such ref.
func (q *questions) head(ctx context.Context, ref string) (commit provider.Commit, err error) {
	err = q.ask(ctx, func(cred provider.Credential) (err error) {
		commit, err = q.hooks.Commit(ctx, cred, q.sub.Repository.ID, strings.TrimPrefix(ref, "refs/"))
		return err
	})
	if err != nil && !problem.Is(err, problem.RefUnknown) {
		return provider.Commit{}, err
	}
	return commit, nil
}

// merge returns a merge request; Merge is nil if there is none with the number.
func (q *questions) merge(
	ctx context.Context, number string,
) (change provider.Change, err error) {
	platform, ok := q.hooks.(provider.MergePlatform)
	if !ok {
		return change, nil
	}
	err = q.ask(ctx, func(cred provider.Credential) (err error) {
		change, err = platform.MergeRequest(ctx, cred, q.sub.Repository.ID, number)
		return err
	})
	if problem.Is(err, problem.WebhooksForbidden) {
		title := q.service.ledger.Title(q.sub.Binding.Platform)
		q.forbidden = binding.NewRefusedMerge(number, title, err)
	}
	q.told = err == nil
	if err != nil && !problem.Is(err, problem.RefUnknown) {
		return provider.Change{}, err
	}
	return change, nil
}

// complete makes the event of a signed change whole, and ignores it if the ref has moved on.
func (q *questions) complete(
	ctx context.Context, row binding.Subscription, e *binding.SourceEvent,
) error {
	if e.Merge != nil {
		return q.completeMerge(ctx, e)
	}
	known, ok := row.KnownHead(e.Ref)
	if !ok && len(row.Seen) == binding.MaxSeen { // an event of this delivery may be forgotten
		var err error
		if known, ok, err = q.service.syncedHead(ctx, row, e.Ref); err != nil {
			return err
		}
	}
	missing := e.Commit == "" && !e.Deleted
	switch {
	case !ok || missing || known != e.Commit:
	case e.Deleted, known != e.Before && !row.Left(e.Ref, e.Before):
		// A repeat, or the way back of a change that is not delivered yet: that one is then late.
		ignore(e, binding.IgnoredSuperseded)
		return nil
	}
	// A ref that was deleted comes back, or its creation is late.
	doubtful := row.Left(e.Ref, e.Commit) ||
		ok && (known == "" || known != e.Before) && (missing || known != e.Commit)
	if !doubtful && !missing && (e.Commits == 0 || len(e.Titles) > 0) {
		return nil
	}
	now, err := q.head(ctx, e.Ref)
	switch {
	case err != nil && !doubtful && !missing:
		return nil // only titles are missing
	case err != nil:
		return err
	case missing && now.Hash != "":
		e.Commit = now.Hash
	case doubtful && now.Hash != e.Commit:
		ignore(e, binding.IgnoredSuperseded)
		q.missed = q.missed || now.Hash != known
		return nil
	case missing:
		ignore(e, binding.IgnoredSuperseded) // deleted since
		return nil
	}
	if len(e.Titles) == 0 && now.Hash == e.Commit {
		e.Titles = now.Titles()
	}
	return nil
}

// completeMerge asks for the commit of a merge request, for the platforms that shorten it.
func (q *questions) completeMerge(ctx context.Context, e *binding.SourceEvent) error {
	if e.Commit != "" {
		return nil
	}
	change, err := q.merge(ctx, e.Merge.Number)
	if err == nil && change.Merge != nil && fits(actionOf(e.Type), change.Merge.Action) {
		e.Commit = change.Commit
	}
	return err
}

// confirmRef replaces what an unsigned delivery says of a ref by what the platform says. told
// reports whether the receiver was told that, or the subscription began with it: any number of
// deliveries may say what is true.
func (q *questions) confirmRef(
	ctx context.Context, row binding.Subscription, e *binding.SourceEvent, deletion bool,
) (told bool, err error) {
	now, err := q.head(ctx, e.Ref)
	if err != nil {
		return false, err
	}
	known, ok := row.KnownHead(e.Ref)
	if !ok && (now.Hash != "" || deletion) {
		if known, ok, err = q.service.syncedHead(ctx, row, e.Ref); err != nil {
			return false, err
		}
	}
	switch {
	case now.Hash != "":
		e.Before, e.Commit, e.Created = known, now.Hash, ok && known == ""
		e.Titles = now.Titles()
	case deletion && known != "":
		e.Before, e.Deleted = known, true
	default:
		ignore(e, binding.IgnoredUnconfirmed)
		return false, nil
	}
	return ok && known == now.Hash, nil
}

// confirmMerge replaces what an unsigned delivery says of a merge request by what the platform
// says.
func (q *questions) confirmMerge(
	ctx context.Context, row binding.Subscription, e *binding.SourceEvent,
) error {
	change, err := q.merge(ctx, e.Merge.Number)
	if err != nil {
		return err
	}
	told := actionOf(e.Type)
	switch {
	case change.Merge == nil:
		ignore(e, binding.IgnoredUnconfirmed)
	case fits(told, change.Merge.Action):
		e.Ref, e.Commit, e.Merge = change.Ref, change.Commit, mergeOf(change.Merge)
		// Any number of deliveries may say so: the platform's state decides whether it is news.
		e.ID = binding.SourceEventID(row.ID, binding.Join(told, e.Commit), e.OrderKey())
		last, known := row.KnownHead(e.OrderKey())
		if known && last != change.Merge.Action && row.Knows(e.ID) { // it was closed, and opened again
			count := strconv.FormatInt(row.EventCount, 10)
			e.ID = binding.SourceEventID(row.ID, binding.Join(told, e.Commit, count), e.OrderKey())
		}
	case told == "merged" || told == "closed":
		ignore(e, binding.IgnoredUnconfirmed)
	default:
		ignore(e, binding.IgnoredSuperseded)
	}
	return nil
}

// fits reports whether the state of a merge request may follow from an action.
func fits(action, state string) bool { return stateAfter(action) == state }

// stateAfter returns the state of a merge request after an action. An open request is "updated".
func stateAfter(action string) string {
	if action == "opened" {
		return "updated"
	}
	return action
}
