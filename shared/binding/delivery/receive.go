package delivery

import (
	"context"
	"errors"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// answerTimeout is how long after its start a delivery is answered, if the table and the platform
// answer at once. Platforms wait for ten seconds.
const answerTimeout = 1500 * time.Millisecond

// ReceiveRequest is a request to a webhook.
type ReceiveRequest struct {
	Platform string
	ID       string              // of the subscription
	Header   map[string][]string // as in net/http
	Body     []byte
}

// The kinds of the metric Deliveries, besides the codes of problems.
const (
	kindStored   = "stored"
	kindRepeated = "repeated" // or of no interest to any subscription
	kindEarly    = "early"    // the first heads of the subscription are not known yet
	kindDeferred = "deferred" // to a sync, because there are too many
)

// Receive verifies a delivery, stores what it tells of, and forwards it if that can be done within
// a second or so. An unknown id, a subscription that is ending or held, and a delivery that is not
// authentic are [problem.SubscriptionUnknown], all alike. [problem.InputMalformed] is an authentic
// delivery that can't be read. What was stored is nil, also if the receiver doesn't take it. So is
// what is left to a sync: more than a subscription may have in a minute, and what the platform
// refuses to tell. Any other error asks the platform to send it again, as one for which there is no
// room if it is of a merge request.
//
// It costs three calls to the table and one to the vault, none if the process has the webhook's
// secret. A delivery that the platform must be asked about needs a token: that is no call to the
// vault if the process has it, and one more to the table if the row doesn't name it. A delivery
// that has the secret itself costs no call to the vault for it. One that may be old costs a read of
// the last sync's heads if there are many, and a row that many ended events are in is first written
// to the log.
func (s *Service) Receive(ctx context.Context, in ReceiveRequest) error {
	ctx = s.ledger.StartInvocation(ctx)
	platform, ok := s.ledger.Platforms.Get(in.Platform)
	if !ok {
		return problem.New(problem.SubscriptionUnknown)
	}
	hooks, ok := provider.WebhooksOf(platform)
	if !ok {
		return problem.New(problem.SubscriptionUnknown)
	}
	kind, err := s.receive(ctx, hooks, in)
	if err != nil {
		kind = string(problem.Of(err).Code)
	}
	s.count(ctx, in.Platform, kind, "Deliveries", 1) // and no line in the log, which anyone could fill
	return err
}

func (s *Service) receive(
	ctx context.Context, hooks provider.WebhookPlatform, in ReceiveRequest,
) (kind string, err error) {
	start := s.ledger.Now()
	sub, d, err := s.authenticate(ctx, hooks, in)
	switch {
	case err != nil:
		return "", err
	case sub.Stage == binding.SubscriptionCreating:
		return kindEarly, nil
	case !s.memory.allow(sub.ID, start):
		return kindDeferred, s.leave(ctx, sub, d, nil)
	case len(d.Changes) == 0 && !d.Test:
		return kindRepeated, nil
	}
	w := &write{Service: s, questions: newQuestions(s, hooks, sub), delivery: d, start: start}
	sub, err = s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		return w.edit(ctx, row)
	})
	switch {
	case w.refused, errors.Is(err, table.ErrNotFound), problem.Is(w.err, problem.SubscriptionUnknown):
		return "", problem.New(problem.SubscriptionUnknown)
	case w.forbidden != nil:
		return kindDeferred, s.noteForbidden(ctx, sub, w.forbidden, w.err)
	case w.full, w.err != nil:
		return kindDeferred, s.leave(ctx, sub, d, w.err)
	case err != nil:
		return "", err
	case !w.saved:
		return kindRepeated, nil
	}
	if w.lease.IsZero() {
		return kindStored, nil
	}
	sending, cancel := context.WithTimeout(ctx, answerTimeout-s.ledger.Now().Sub(start))
	defer cancel()
	if _, _, err := s.send(ctx, sending, sub); err != nil { // it is stored: the run continues
		s.ledger.Log.WarnContext(ctx, "the outcome of forwarding is not noted yet",
			"subscription", sub.ID, "error", err)
	}
	return kindStored, nil
}

// authenticate returns the subscription that a delivery is for, and what it says. For an unknown
// subscription it verifies the delivery with a secret that no webhook has, which takes as long.
func (s *Service) authenticate(
	ctx context.Context, hooks provider.WebhookPlatform, in ReceiveRequest,
) (sub binding.Subscription, d provider.Delivery, err error) {
	unknown := problem.New(problem.SubscriptionUnknown)
	sub, err = s.ledger.Table.Subscription(ctx, in.ID)
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return sub, d, ledger.Unavailable("reading the subscription", err)
	}
	known := err == nil && sub.Binding.Platform == in.Platform && takes(sub)
	key := secret.New(s.ledger.Random(32))
	if known {
		real, err := s.webhookSecret(ctx, hooks, sub, in)
		switch {
		case errors.Is(err, vault.ErrNotFound), errors.Is(err, provider.ErrNotAuthentic):
			known = false
		case err != nil:
			return sub, d, ledger.Unavailable("reading a webhook's secret", err)
		default:
			key = real
		}
	}
	d, err = hooks.Delivery(provider.DeliveryRequest{
		Header: in.Header, Body: in.Body, Secret: key, Signed: sub.Signed, HookID: sub.HookID,
		WebURL: sub.Repository.WebURL, Now: s.ledger.Now(),
	})
	switch {
	case !known || errors.Is(err, provider.ErrNotAuthentic):
		return sub, d, unknown
	case err != nil:
		return sub, d, problem.New(problem.InputMalformed).Because("type").With("field", "body").From(err)
	case !about(d, sub.Repository.ID):
		return sub, d, unknown
	}
	return sub, d, nil
}

// about reports whether a delivery is about the repository with the id. One that tells of nothing
// doesn't have to name it.
func about(d provider.Delivery, id string) bool {
	return provider.SameRepository(d.RepositoryID, id) || d.RepositoryID == "" && len(d.Changes) == 0
}

// takes reports whether a subscription takes deliveries.
func takes(sub binding.Subscription) bool {
	return sub.Stage != binding.SubscriptionEnding && !sub.Held
}

// webhookSecret returns the secret of a subscription's webhook, from the memory of the process if
// it has it. A delivery whose token is to be the secret has it, if the row has its hash; another
// token is [provider.ErrNotAuthentic].
func (s *Service) webhookSecret(
	ctx context.Context, hooks provider.WebhookPlatform, sub binding.Subscription, in ReceiveRequest,
) (value secret.Text, err error) {
	if value, ok := s.memory.secret(sub.ID, sub.Secret); ok {
		return value, nil
	}
	token, sent := sentToken(hooks, in)
	switch {
	case !sent || sub.SecretHash == "":
		value, err = s.ledger.WebhookSecret(ctx, sub)
	case secret.New(binding.HashSecret(token)).Equal(secret.New(sub.SecretHash)):
		s.memory.keep(sub.ID, sub.Secret, secret.Text{}) // the next one is compared with the hash too
		return token, nil
	default:
		err = provider.ErrNotAuthentic
	}
	if err == nil {
		s.memory.keep(sub.ID, sub.Secret, value)
	}
	return value, err
}

// sentToken returns the token of a delivery that only a token makes authentic.
func sentToken(
	hooks provider.WebhookPlatform, in ReceiveRequest,
) (token secret.Text, sent bool) {
	platform, ok := hooks.(provider.WebhookTokenPlatform)
	if !ok {
		return token, false
	}
	return platform.SentToken(in.Header)
}

// leave leaves what a delivery tells of to a sync, which is due at once: there are too many, or the
// platform didn't answer a question, which is why. A temporary failure is an error too, so that the
// platform sends it again: then its event is not only caught up. So is what tells of a merge
// request, which no sync sees.
func (s *Service) leave(
	ctx context.Context, sub binding.Subscription, d provider.Delivery, why error,
) error {
	now := s.ledger.Now()
	_, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		due := !row.SyncAt.IsZero() && !row.SyncAt.After(now)
		row.SyncAt = now
		return !due
	})
	merge := slices.ContainsFunc(d.Changes, func(c provider.Change) bool { return c.Merge != nil })
	switch {
	case err != nil:
		return err
	case why == nil && merge, why != nil && problem.Of(why).Status() >= 500:
		return problem.New(problem.Overloaded).After(30 * time.Second).From(why)
	}
	return nil
}

// noteForbidden notes that the platform refuses to tell of a merge request, and tells the operator
// of the first.
func (s *Service) noteForbidden(
	ctx context.Context, sub binding.Subscription, r *binding.RefusedMerge, why error,
) error {
	first := false
	_, err := s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		if first = row.Refused == nil; first {
			row.Refuse(r)
		}
		return first
	})
	if err == nil && first {
		s.ledger.Log.WarnContext(ctx, "a platform refuses to tell of merge requests",
			"subscription", sub.ID, "binding", binding.Describe(sub.Binding), "error", why)
	}
	return err
}

// write stores a delivery. Its edit is called again after a conflict.
type write struct {
	*Service
	*questions
	delivery provider.Delivery
	start    time.Time

	saved, refused bool
	full           bool      // there is no room for a merge request
	lease          time.Time // until when this invocation forwards
	err            error
}

// edit adds what the delivery tells of to the row.
func (w *write) edit(ctx context.Context, row *binding.Subscription) bool {
	w.saved, w.refused, w.full, w.lease, w.err = false, false, false, time.Time{}, nil
	w.asked, w.missed, w.forbidden, w.told = 0, false, nil, false
	if w.refused = !takes(*row); w.refused {
		return false
	}
	var events []binding.SourceEvent
	if events, w.err = w.events(ctx, *row, w.delivery); w.err != nil {
		return false
	}
	now := w.ledger.Now()
	for _, e := range events {
		result := row.Add(e, now)
		if w.full = result == binding.Full && e.Merge != nil; w.full {
			return false
		}
		w.saved = result != binding.Repeated || w.saved
		isNew := result == binding.Added && e.State == binding.EventWaiting
		if isNew && e.Merge != nil && !w.delivery.Confirmed {
			row.NoteHead(e.OrderKey(), stateAfter(actionOf(e.Type)))
		}
	}
	if !w.saved {
		return false
	}
	if w.named.IdentityID != "" && row.IdentityID == w.named.IdentityID {
		row.Asked = w.named
	}
	if w.missed {
		row.SyncAt = binding.Earliest(row.SyncAt, now.Add(missedDelay))
	}
	if w.told && row.Refused != nil {
		row.SyncAt = binding.Earliest(row.SyncAt, now) // it tells of them again
	}
	if len(row.Ended()) > binding.MaxEnded/2 {
		if w.err = w.writeLog(ctx, row); w.err != nil {
			return false
		}
	}
	if now.Sub(w.start) < answerTimeout/2 && len(row.Sendable(now)) > 0 {
		w.lease = w.takeLease(row)
	}
	return true
}
