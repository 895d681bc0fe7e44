package engine

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

var errNotYet = errors.New("not implemented")

func (t *Table) Subscription(ctx context.Context, id string) (s binding.Subscription, err error) {
	return s, errNotYet
}

func (t *Table) SaveSubscription(ctx context.Context, s binding.Subscription) (binding.Subscription, error) {
	return s, errNotYet
}

func (t *Table) DeleteSubscription(ctx context.Context, s binding.Subscription) error {
	return errNotYet
}

func (t *Table) AllSubscriptions(ctx context.Context, cursor string, limit int) (p table.Page[binding.Subscription], err error) {
	return p, errNotYet
}

func (t *Table) DueSubscriptions(ctx context.Context, at time.Time, cursor string, limit int) (p table.Page[string], err error) {
	return p, errNotYet
}

func (t *Table) SubscriptionEntry(ctx context.Context, key binding.Key, repositoryID string) (e binding.SubscriptionEntry, err error) {
	return e, errNotYet
}

func (t *Table) SaveSubscriptionEntry(ctx context.Context, e binding.SubscriptionEntry) (binding.SubscriptionEntry, error) {
	return e, errNotYet
}

func (t *Table) DeleteSubscriptionEntry(ctx context.Context, e binding.SubscriptionEntry) error {
	return errNotYet
}

func (t *Table) SubscriptionEntries(ctx context.Context, key binding.Key, cursor string, limit int) (p table.Page[binding.SubscriptionEntry], err error) {
	return p, errNotYet
}

func (t *Table) AppendLog(ctx context.Context, id string, events []binding.SourceEvent) error {
	return errNotYet
}

func (t *Table) LoggedEvent(ctx context.Context, id string, number int64) (e binding.SourceEvent, err error) {
	return e, errNotYet
}

func (t *Table) Log(ctx context.Context, id string, below int64, limit int) ([]binding.SourceEvent, error) {
	return nil, errNotYet
}

func (t *Table) SubscriptionHeads(ctx context.Context, id string) (h binding.Heads, err error) {
	return h, errNotYet
}

func (t *Table) SaveSubscriptionHeads(ctx context.Context, heads binding.Heads) error {
	return errNotYet
}

func (t *Table) DeleteLog(ctx context.Context, id string) (all bool, err error) {
	return false, errNotYet
}
