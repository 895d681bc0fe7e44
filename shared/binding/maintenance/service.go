// Package maintenance does what is due: it checks tokens, moves events to the history and sends
// them to the operator's webhook, and deletes secrets that no record points at. Its tasks for an
// operator revoke all tokens of a platform, and find records without a secret and secrets without
// a record.
package maintenance

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
)

// Subscriptions are those of a binding that ends.
type Subscriptions interface {
	// EndAll ends a binding's subscriptions while its token is valid, and returns the webhooks that
	// could not be removed.
	EndAll(ctx context.Context, rec binding.Record) ([]binding.RemainingWebhook, error)
}

// Service runs the schedule and an operator's tasks. Its methods may be called at once from many
// goroutines and processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger        *ledger.Ledger
	credentials   *credential.Service
	instances     instance.Catalogue
	subscriptions Subscriptions
}

// New returns a service on a ledger. A check refreshes expired tokens with credentials, and asks
// instances whether the instance of a binding still exists, unless instances is nil.
func New(
	l *ledger.Ledger, credentials *credential.Service, instances instance.Catalogue,
	subscriptions Subscriptions,
) *Service {
	return &Service{l, credentials, instances, subscriptions}
}

// checker asks platforms about tokens and puts the answers into records.
type checker struct{ *Service }
