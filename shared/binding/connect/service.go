// Package connect binds an instance by a personal access token, ends bindings, and lists them.
package connect

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
)

// Subscriptions are those of a binding that ends or is bound again.
type Subscriptions interface {
	// EndAll ends a binding's subscriptions while its token is valid, and returns the webhooks that
	// could not be removed. It makes one call to the table if there are no subscriptions.
	EndAll(ctx context.Context, rec binding.Record) ([]binding.RemainingWebhook, error)
	// HoldAll holds the deliveries of a binding that is about to be bound to the user with this id
	// until a sync.
	HoldAll(ctx context.Context, key binding.Key, identityID string) error
}

// Service binds by token, unbinds and lists. Its methods may be called at once from many goroutines
// and processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger        *ledger.Ledger
	subscriptions Subscriptions
}

// New returns a service on a ledger.
func New(l *ledger.Ledger, subscriptions Subscriptions) *Service {
	return &Service{ledger: l, subscriptions: subscriptions}
}
