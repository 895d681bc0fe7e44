package engine

import (
	"context"
	"time"

	"bindery/shared/binding"
)

func leases() kind[binding.RunLease] {
	return kind[binding.RunLease]{
		name:       "a lease",
		key:        func(l binding.RunLease) Key { return LeaseKey(l.Schedule) },
		version:    func(l *binding.RunLease) *string { return &l.Version },
		attributes: func(l *binding.RunLease) *any { return &l.Attributes },
		due:        func(binding.RunLease) time.Time { return time.Time{} },
	}
}

// RunLease implements ledger.RunLeases.
func (t *Table) RunLease(ctx context.Context, schedule string) (binding.RunLease, error) {
	return get(ctx, t, t.leases, binding.RunLease{Schedule: schedule})
}

// SaveRunLease implements ledger.RunLeases.
func (t *Table) SaveRunLease(
	ctx context.Context, lease binding.RunLease,
) (binding.RunLease, error) {
	return save(ctx, t, t.leases, lease)
}

// DeleteRunLease implements ledger.RunLeases.
func (t *Table) DeleteRunLease(ctx context.Context, lease binding.RunLease) error {
	return remove(ctx, t, t.leases, lease)
}
