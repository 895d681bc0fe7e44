package engine

import (
	"context"
	"time"

	"bindery/shared/binding"
)

func subscriptionHeads() kind[binding.Heads] {
	return kind[binding.Heads]{
		name:       "a subscription's heads",
		key:        func(h binding.Heads) Key { return HeadsKey(h.Subscription) },
		version:    func(h *binding.Heads) *string { return &h.Version },
		attributes: func(h *binding.Heads) *any { return &h.Attributes },
		due:        func(binding.Heads) time.Time { return time.Time{} },
	}
}

// SubscriptionHeads implements ledger.SubscriptionLog.
func (t *Table) SubscriptionHeads(ctx context.Context, id string) (binding.Heads, error) {
	return get(ctx, t, t.heads, binding.Heads{Subscription: id})
}

// SaveSubscriptionHeads implements ledger.SubscriptionLog.
func (t *Table) SaveSubscriptionHeads(
	ctx context.Context, heads binding.Heads,
) (binding.Heads, error) {
	return save(ctx, t, t.heads, heads)
}
