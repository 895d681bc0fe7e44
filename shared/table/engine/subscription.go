package engine

import (
	"context"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// Subscription implements ledger.Subscriptions.
func (t *Table) Subscription(ctx context.Context, id string) (binding.Subscription, error) {
	return get(ctx, t, t.subscriptions, binding.Subscription{ID: id})
}

// SaveSubscription implements ledger.Subscriptions.
func (t *Table) SaveSubscription(
	ctx context.Context, s binding.Subscription,
) (binding.Subscription, error) {
	return save(ctx, t, t.subscriptions, s)
}

// DeleteSubscription implements ledger.Subscriptions.
func (t *Table) DeleteSubscription(ctx context.Context, s binding.Subscription) error {
	return remove(ctx, t, t.subscriptions, s)
}

// AllSubscriptions implements ledger.Subscriptions, as AllBindings does ledger.Bindings.
func (t *Table) AllSubscriptions(
	ctx context.Context, cursor string, limit int,
) (table.Page[binding.Subscription], error) {
	list, err := scan(ctx, t, SubscriptionKind, binding.Join("all", SubscriptionKind), cursor, limit,
		t.subscriptions.decode)
	return list, t.failed("list subscriptions", err)
}

// SubscriptionEntry implements ledger.Subscriptions.
func (t *Table) SubscriptionEntry(
	ctx context.Context, key binding.Key, repositoryID string,
) (binding.SubscriptionEntry, error) {
	like := binding.SubscriptionEntry{Binding: key, RepositoryID: repositoryID}
	return get(ctx, t, t.entries, like)
}

// SaveSubscriptionEntry implements ledger.Subscriptions.
func (t *Table) SaveSubscriptionEntry(
	ctx context.Context, e binding.SubscriptionEntry,
) (binding.SubscriptionEntry, error) {
	return save(ctx, t, t.entries, e)
}

// DeleteSubscriptionEntry implements ledger.Subscriptions.
func (t *Table) DeleteSubscriptionEntry(ctx context.Context, e binding.SubscriptionEntry) error {
	return remove(ctx, t, t.entries, e)
}

// SubscriptionEntries implements ledger.Subscriptions, by strong reads.
func (t *Table) SubscriptionEntries(
	ctx context.Context, key binding.Key, cursor string, limit int,
) (table.Page[binding.SubscriptionEntry], error) {
	list, err := page(ctx, t, SubscribedPK(key), cursor, limit, t.entries.decode)
	return list, t.failed("list the entries of subscriptions", err)
}
