package ledger

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func (w hooked) Subscription(
	ctx context.Context, id string,
) (binding.Subscription, error) {
	return with1(ctx, w.h, "Subscription", func() (binding.Subscription, error) {
		return w.t.Subscription(ctx, id)
	})
}

func (w hooked) SaveSubscription(
	ctx context.Context, s binding.Subscription,
) (binding.Subscription, error) {
	return with1(ctx, w.h, "SaveSubscription", func() (binding.Subscription, error) {
		return w.t.SaveSubscription(ctx, s)
	})
}

func (w hooked) DeleteSubscription(ctx context.Context, s binding.Subscription) error {
	return with0(ctx, w.h, "DeleteSubscription", func() error {
		return w.t.DeleteSubscription(ctx, s)
	})
}

func (w hooked) AllSubscriptions(
	ctx context.Context, cursor string, limit int,
) (table.Page[binding.Subscription], error) {
	return with1(ctx, w.h, "AllSubscriptions", func() (table.Page[binding.Subscription], error) {
		return w.t.AllSubscriptions(ctx, cursor, limit)
	})
}

func (w hooked) DueSubscriptions(
	ctx context.Context, t time.Time, cursor string, limit int,
) (table.Page[string], error) {
	return with1(ctx, w.h, "DueSubscriptions", func() (table.Page[string], error) {
		return w.t.DueSubscriptions(ctx, t, cursor, limit)
	})
}

func (w hooked) SubscriptionEntry(
	ctx context.Context, key binding.Key, repositoryID string,
) (binding.SubscriptionEntry, error) {
	return with1(ctx, w.h, "SubscriptionEntry", func() (binding.SubscriptionEntry, error) {
		return w.t.SubscriptionEntry(ctx, key, repositoryID)
	})
}

func (w hooked) SaveSubscriptionEntry(
	ctx context.Context, e binding.SubscriptionEntry,
) (binding.SubscriptionEntry, error) {
	return with1(ctx, w.h, "SaveSubscriptionEntry", func() (binding.SubscriptionEntry, error) {
		return w.t.SaveSubscriptionEntry(ctx, e)
	})
}

func (w hooked) DeleteSubscriptionEntry(ctx context.Context, e binding.SubscriptionEntry) error {
	return with0(ctx, w.h, "DeleteSubscriptionEntry", func() error {
		return w.t.DeleteSubscriptionEntry(ctx, e)
	})
}

func (w hooked) SubscriptionEntries(
	ctx context.Context, key binding.Key, cursor string, limit int,
) (table.Page[binding.SubscriptionEntry], error) {
	return with1(ctx, w.h, "SubscriptionEntries", func() (
		table.Page[binding.SubscriptionEntry], error,
	) {
		return w.t.SubscriptionEntries(ctx, key, cursor, limit)
	})
}

func (w hooked) AppendLog(ctx context.Context, id string, events []binding.SourceEvent) error {
	return with0(ctx, w.h, "AppendLog", func() error { return w.t.AppendLog(ctx, id, events) })
}

func (w hooked) LoggedEvent(
	ctx context.Context, id string, number int64,
) (binding.SourceEvent, error) {
	return with1(ctx, w.h, "LoggedEvent", func() (binding.SourceEvent, error) {
		return w.t.LoggedEvent(ctx, id, number)
	})
}

func (w hooked) Log(
	ctx context.Context, id string, below int64, limit int,
) ([]binding.SourceEvent, error) {
	return with1(ctx, w.h, "Log", func() ([]binding.SourceEvent, error) {
		return w.t.Log(ctx, id, below, limit)
	})
}

func (w hooked) SubscriptionHeads(
	ctx context.Context, id string,
) (binding.Heads, error) {
	return with1(ctx, w.h, "SubscriptionHeads", func() (binding.Heads, error) {
		return w.t.SubscriptionHeads(ctx, id)
	})
}

func (w hooked) SaveSubscriptionHeads(
	ctx context.Context, heads binding.Heads,
) (binding.Heads, error) {
	return with1(ctx, w.h, "SaveSubscriptionHeads", func() (binding.Heads, error) {
		return w.t.SaveSubscriptionHeads(ctx, heads)
	})
}

func (w hooked) RunLease(ctx context.Context, schedule string) (binding.RunLease, error) {
	return with1(ctx, w.h, "RunLease", func() (binding.RunLease, error) {
		return w.t.RunLease(ctx, schedule)
	})
}

func (w hooked) SaveRunLease(
	ctx context.Context, lease binding.RunLease,
) (binding.RunLease, error) {
	return with1(ctx, w.h, "SaveRunLease", func() (binding.RunLease, error) {
		return w.t.SaveRunLease(ctx, lease)
	})
}

func (w hooked) DeleteRunLease(ctx context.Context, lease binding.RunLease) error {
	return with0(ctx, w.h, "DeleteRunLease", func() error { return w.t.DeleteRunLease(ctx, lease) })
}

func (w hooked) DeleteLog(
	ctx context.Context, id string,
) (bool, error) {
	return with1(ctx, w.h, "DeleteLog", func() (bool, error) {
		return w.t.DeleteLog(ctx, id)
	})
}
