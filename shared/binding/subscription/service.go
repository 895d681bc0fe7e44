// Package subscription subscribes to the changes of repositories: it installs webhooks at the
// platforms, finds out whether they still work, repairs them, makes up for what they missed, and
// removes them.
package subscription

import (
	"context"
	"errors"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
)

// Service manages subscriptions. Its methods may be called at once from many goroutines and
// processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger      *ledger.Ledger
	credentials *credential.Service
	deliveries  *delivery.Service
	public      string
}

// New returns a service whose webhooks have addresses at public, the origin of the functions.
func New(
	l *ledger.Ledger, credentials *credential.Service, deliveries *delivery.Service, public string,
) *Service {
	return &Service{l, credentials, deliveries, public}
}

// Target is a repository of a binding, by its key.
type Target struct {
	By         binding.User
	Instance   instance.Instance
	Platform   string
	Repository string // the key; "" where a binding is meant
}

// PutRequest asks for a subscription.
type PutRequest struct {
	Target
	Kinds    []binding.SourceKind // at least one
	Branches []string             // empty for all
}

// View is a subscription as its account may see it.
type View struct {
	Subscription binding.Subscription
	// WebhooksURL is the platform's page where a user manages the repository's webhooks by hand.
	WebhooksURL string
}

// Remaining is a webhook that could not be removed.
type Remaining struct {
	Repository  binding.SubscribedRepository
	WebhooksURL string
}

var errNotYet = errors.New("not implemented")

// Put subscribes to a repository, or changes its subscription. created reports whether there was
// none.
func (s *Service) Put(ctx context.Context, in PutRequest) (v View, created bool, err error) {
	return v, false, errNotYet
}

// Get returns the subscription of a repository. [problem.SubscriptionUnknown].
func (s *Service) Get(ctx context.Context, in Target) (v View, err error) { return v, errNotYet }

// Page is a page of a binding's subscriptions.
type Page struct {
	Views  []View
	Cursor string // "" on the last page
}

// List lists the subscriptions of a binding.
func (s *Service) List(ctx context.Context, in Target, cursor string) (p Page, err error) {
	return p, errNotYet
}

// Delete ends the subscription and removes its webhook. If the platform refuses that, the
// subscription ends nevertheless and the webhook is returned as remaining. No subscription is nil.
func (s *Service) Delete(ctx context.Context, in Target) (left *Remaining, err error) {
	return nil, errNotYet
}

// Sync compares the webhook and the heads of the refs now, and repairs and catches up.
func (s *Service) Sync(ctx context.Context, in Target) (v View, err error) { return v, errNotYet }

// EndAll removes the webhooks of a binding that is about to end, while its token is valid, and ends
// its subscriptions. It returns those that could not be removed. A crash leaves the binding and the
// subscriptions: a sync then makes the webhooks again.
func (s *Service) EndAll(ctx context.Context, rec binding.Record) ([]Remaining, error) {
	return nil, errNotYet
}

// HoldAll makes a binding's subscriptions refuse deliveries until a sync has found that its new
// user may administer them. The sync is due at once.
func (s *Service) HoldAll(ctx context.Context, key binding.Key) error { return errNotYet }

// RunResult counts what a run has done.
type RunResult struct {
	Due, Forwarded, Dead, Synced, Repaired, CaughtUp, Broken, Ended, Failed int
	Left                                                                    bool
}

// Run works on every subscription that is due: forwards its events, writes its log, syncs, finishes
// what a crash has left. Several may run at once.
func (s *Service) Run(ctx context.Context) (r RunResult, err error) { return r, errNotYet }
