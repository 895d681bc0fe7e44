// Package delivery receives the deliveries of platforms to webhooks, and forwards the changes that
// they tell of to the operator's receiver.
package delivery

import (
	"context"
	"errors"
	"net/http"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
)

// Service receives and forwards. Its methods may be called at once from many goroutines and
// processes.
type Service struct {
	ledger      *ledger.Ledger
	credentials *credential.Service
}

// New returns a service. It asks the platforms about deliveries that no signature covers with
// tokens from credentials.
func New(l *ledger.Ledger, credentials *credential.Service) *Service {
	return &Service{l, credentials}
}

var errNotYet = errors.New("not implemented")

// ReceiveRequest is a request to a webhook.
type ReceiveRequest struct {
	Platform string
	ID       string // of the subscription
	Header   http.Header
	Body     []byte
}

// Receive verifies a delivery, stores what it tells of, and forwards it if that can be done within
// a second or so. An unknown id, a subscription that is ending or held, and a delivery that is not
// authentic are [problem.SubscriptionUnknown], all alike. What was stored is nil, also if the
// receiver doesn't take it. Any other error asks the platform to send it again.
func (s *Service) Receive(ctx context.Context, in ReceiveRequest) error { return errNotYet }

// Forward sends the events of a subscription that are due, writes those that have ended to its log,
// and returns the row as it is then. It does nothing while another invocation forwards them.
func (s *Service) Forward(
	ctx context.Context, sub binding.Subscription,
) (binding.Subscription, error) {
	return sub, errNotYet
}

// EventsPage is a page of a subscription's events.
type EventsPage struct {
	Events []binding.SourceEvent // newest first
	Cursor string                // "" on the last page
}

// Events lists the events of a subscription: those in its row, and then its log.
func (s *Service) Events(
	ctx context.Context, sub binding.Subscription, cursor string,
) (p EventsPage, err error) {
	return p, errNotYet
}

// Replay sends an event again, with the same id, at once if it can. [problem.DeliveryUnknown].
func (s *Service) Replay(
	ctx context.Context, sub binding.Subscription, number int64,
) (e binding.SourceEvent, err error) {
	return e, errNotYet
}
