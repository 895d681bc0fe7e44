// Package consent binds an instance by OAuth: an authorization is started, a browser is redirected
// to the platform and comes back to the callback, and the user who started confirms.
package consent

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
)

// Subscriptions are those of a binding that is bound again.
type Subscriptions interface {
	// HoldAll holds the deliveries of a binding that is about to be bound to the user with this id
	// until a sync.
	HoldAll(ctx context.Context, key binding.Key, identityID string) error
}

// Service works on authorizations. Its methods may be called at once from many goroutines and
// processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger        *ledger.Ledger
	callback      string
	subscriptions Subscriptions
}

// New returns a service on a ledger. callback is what the platforms' callback addresses begin with;
// a platform's name follows.
func New(l *ledger.Ledger, callback string, subscriptions Subscriptions) *Service {
	return &Service{ledger: l, callback: callback, subscriptions: subscriptions}
}
