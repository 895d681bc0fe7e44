package ledger

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// Hook is called before each call to a table, with the call's name, such as "SaveBinding". If it
// returns an error, the call is not made and fails with that error. A func that it returns is
// called when the call has ended. It is the same type as vault.Hook.
type Hook = func(ctx context.Context, call string) (done func(), err error)

// WithBeforeCall returns a table that calls h before every call to t. [New] enforces
// [CallDeadline] by a hook, and tests count calls and crash by hooks.
func WithBeforeCall(t Table, h Hook) Table { return hooked{t, h} }

type hooked struct {
	t Table
	h Hook
}

func with1[T any](ctx context.Context, h Hook, name string, call func() (T, error)) (T, error) {
	done, err := h(ctx, name)
	if err != nil {
		var none T
		return none, err
	}
	if done != nil {
		defer done()
	}
	return call()
}

func with0(ctx context.Context, h Hook, name string, call func() error) error {
	_, err := with1(ctx, h, name, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (w hooked) Binding(ctx context.Context, key binding.Key) (binding.Record, error) {
	return with1(ctx, w.h, "Binding", func() (binding.Record, error) {
		return w.t.Binding(ctx, key)
	})
}

func (w hooked) BindingUnless(
	ctx context.Context, key binding.Key, version string,
) (binding.Record, error) {
	return with1(ctx, w.h, "Binding", func() (binding.Record, error) {
		return w.t.BindingUnless(ctx, key, version)
	})
}

func (w hooked) InstanceBindings(
	ctx context.Context, account, region, instance string,
) ([]binding.Record, error) {
	return with1(ctx, w.h, "InstanceBindings", func() ([]binding.Record, error) {
		return w.t.InstanceBindings(ctx, account, region, instance)
	})
}

func (w hooked) AccountBindings(
	ctx context.Context, account, cursor string, limit int,
) (table.Page[binding.Record], error) {
	return with1(ctx, w.h, "AccountBindings", func() (table.Page[binding.Record], error) {
		return w.t.AccountBindings(ctx, account, cursor, limit)
	})
}

func (w hooked) AllBindings(
	ctx context.Context, cursor string, limit int,
) (table.Page[binding.Record], error) {
	return with1(ctx, w.h, "AllBindings", func() (table.Page[binding.Record], error) {
		return w.t.AllBindings(ctx, cursor, limit)
	})
}

func (w hooked) SaveBinding(ctx context.Context, b binding.Record) (binding.Record, error) {
	return with1(ctx, w.h, "SaveBinding", func() (binding.Record, error) {
		return w.t.SaveBinding(ctx, b)
	})
}

func (w hooked) DeleteBinding(ctx context.Context, b binding.Record) error {
	return with0(ctx, w.h, "DeleteBinding", func() error { return w.t.DeleteBinding(ctx, b) })
}

func (w hooked) Authorization(ctx context.Context, id string) (binding.Authorization, error) {
	return with1(ctx, w.h, "Authorization", func() (binding.Authorization, error) {
		return w.t.Authorization(ctx, id)
	})
}

func (w hooked) AllAuthorizations(
	ctx context.Context, cursor string, limit int,
) (table.Page[binding.Authorization], error) {
	return with1(ctx, w.h, "AllAuthorizations",
		func() (table.Page[binding.Authorization], error) {
			return w.t.AllAuthorizations(ctx, cursor, limit)
		})
}

func (w hooked) SaveAuthorization(
	ctx context.Context, a binding.Authorization,
) (binding.Authorization, error) {
	return with1(ctx, w.h, "SaveAuthorization", func() (binding.Authorization, error) {
		return w.t.SaveAuthorization(ctx, a)
	})
}

func (w hooked) DeleteAuthorization(ctx context.Context, a binding.Authorization) error {
	return with0(ctx, w.h, "DeleteAuthorization", func() error {
		return w.t.DeleteAuthorization(ctx, a)
	})
}

func (w hooked) DueBefore(
	ctx context.Context, t time.Time, cursor string, limit int,
) (table.Page[table.DueEntry], error) {
	return with1(ctx, w.h, "DueBefore", func() (table.Page[table.DueEntry], error) {
		return w.t.DueBefore(ctx, t, cursor, limit)
	})
}

func (w hooked) SaveIdentityEntry(ctx context.Context, e binding.IdentityEntry) error {
	return with0(ctx, w.h, "SaveIdentityEntry", func() error {
		return w.t.SaveIdentityEntry(ctx, e)
	})
}

func (w hooked) ListIdentityEntries(
	ctx context.Context, of binding.IdentityKey, cursor string, limit int,
) (table.Page[binding.IdentityEntry], error) {
	return with1(ctx, w.h, "ListIdentityEntries", func() (table.Page[binding.IdentityEntry], error) {
		return w.t.ListIdentityEntries(ctx, of, cursor, limit)
	})
}

func (w hooked) DeleteIdentityEntry(ctx context.Context, e binding.IdentityEntry) error {
	return with0(ctx, w.h, "DeleteIdentityEntry", func() error {
		return w.t.DeleteIdentityEntry(ctx, e)
	})
}

func (w hooked) AppendHistory(ctx context.Context, key binding.Key, events []binding.Event) error {
	return with0(ctx, w.h, "AppendHistory", func() error {
		return w.t.AppendHistory(ctx, key, events)
	})
}

func (w hooked) ListHistory(
	ctx context.Context, key binding.Key, order table.Order, cursor string, limit int,
) (table.Page[binding.Event], error) {
	return with1(ctx, w.h, "ListHistory", func() (table.Page[binding.Event], error) {
		return w.t.ListHistory(ctx, key, order, cursor, limit)
	})
}
