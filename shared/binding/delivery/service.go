// Package delivery receives the deliveries of platforms to webhooks, and forwards the changes that
// they tell of to the operator's receiver.
//
// A delivery is stored in the subscription's row before it is answered, and forwarded afterwards:
// at once if the receiver is quick, else by the run of the schedule. The row's lease lets one
// invocation at a time forward a subscription's events. A crash at any point loses no event that
// was stored; it repeats the sending of some, with the same ids.
package delivery

import (
	"context"

	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
)

// Service receives and forwards. Its methods may be called at once from many goroutines and
// processes.
type Service struct {
	ledger      *ledger.Ledger
	credentials *credential.Service
	memory      memory
}

// New returns a service. It asks the platforms about deliveries that no signature covers with
// tokens from credentials.
func New(l *ledger.Ledger, credentials *credential.Service) *Service {
	return &Service{ledger: l, credentials: credentials}
}

// count writes a metric of one platform's subscriptions. kind may be "".
func (s *Service) count(ctx context.Context, platform, kind, name string, n int) {
	labels := map[string]string{"Platform": platform}
	if kind != "" {
		labels["Kind"] = kind
	}
	event.Metric(ctx, s.ledger.Log, s.ledger.Now(), labels, map[string]float64{name: float64(n)})
}
