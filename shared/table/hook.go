package table

import (
	"context"
	"time"
)

// Hook is called before each call to a table, with the call's name, such as "SaveBinding". If it
// returns an error, the call is not made and fails with that error. A func that it returns is
// called when the call has ended. It is the same type as vault.Hook.
type Hook = func(ctx context.Context, call string) (done func(), err error)

// WithBeforeCall returns a table that calls h before every call to t. Package binding enforces its
// 2-minute rule by a hook, and its tests count calls and crash by hooks.
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

func (w hooked) Binding(ctx context.Context, key Key) (Binding, error) {
	return with1(ctx, w.h, "Binding", func() (Binding, error) { return w.t.Binding(ctx, key) })
}

func (w hooked) InstanceBindings(
	ctx context.Context, account, region, instance string,
) ([]Binding, error) {
	return with1(ctx, w.h, "InstanceBindings", func() ([]Binding, error) {
		return w.t.InstanceBindings(ctx, account, region, instance)
	})
}

func (w hooked) AccountBindings(
	ctx context.Context, account, cursor string, limit int,
) (Page[Binding], error) {
	return with1(ctx, w.h, "AccountBindings", func() (Page[Binding], error) {
		return w.t.AccountBindings(ctx, account, cursor, limit)
	})
}

func (w hooked) AllBindings(
	ctx context.Context, cursor string, limit int,
) (Page[Binding], error) {
	return with1(ctx, w.h, "AllBindings", func() (Page[Binding], error) {
		return w.t.AllBindings(ctx, cursor, limit)
	})
}

func (w hooked) SaveBinding(ctx context.Context, b Binding) (Binding, error) {
	return with1(ctx, w.h, "SaveBinding", func() (Binding, error) { return w.t.SaveBinding(ctx, b) })
}

func (w hooked) DeleteBinding(ctx context.Context, b Binding) error {
	return with0(ctx, w.h, "DeleteBinding", func() error { return w.t.DeleteBinding(ctx, b) })
}

func (w hooked) Authorization(ctx context.Context, id string) (Authorization, error) {
	return with1(ctx, w.h, "Authorization", func() (Authorization, error) {
		return w.t.Authorization(ctx, id)
	})
}

func (w hooked) SaveAuthorization(ctx context.Context, a Authorization) (Authorization, error) {
	return with1(ctx, w.h, "SaveAuthorization", func() (Authorization, error) {
		return w.t.SaveAuthorization(ctx, a)
	})
}

func (w hooked) DeleteAuthorization(ctx context.Context, a Authorization) error {
	return with0(ctx, w.h, "DeleteAuthorization", func() error {
		return w.t.DeleteAuthorization(ctx, a)
	})
}

func (w hooked) DueBefore(
	ctx context.Context, t time.Time, cursor string, limit int,
) (Page[DueEntry], error) {
	return with1(ctx, w.h, "DueBefore", func() (Page[DueEntry], error) {
		return w.t.DueBefore(ctx, t, cursor, limit)
	})
}

func (w hooked) SaveIdentityEntry(ctx context.Context, e IdentityEntry) error {
	return with0(ctx, w.h, "SaveIdentityEntry", func() error {
		return w.t.SaveIdentityEntry(ctx, e)
	})
}

func (w hooked) ListIdentityEntries(
	ctx context.Context, of IdentityKey, cursor string, limit int,
) (Page[IdentityEntry], error) {
	return with1(ctx, w.h, "ListIdentityEntries", func() (Page[IdentityEntry], error) {
		return w.t.ListIdentityEntries(ctx, of, cursor, limit)
	})
}

func (w hooked) DeleteIdentityEntry(ctx context.Context, e IdentityEntry) error {
	return with0(ctx, w.h, "DeleteIdentityEntry", func() error {
		return w.t.DeleteIdentityEntry(ctx, e)
	})
}

func (w hooked) AppendHistory(ctx context.Context, key Key, events []Event) error {
	return with0(ctx, w.h, "AppendHistory", func() error {
		return w.t.AppendHistory(ctx, key, events)
	})
}

func (w hooked) ListHistory(
	ctx context.Context, key Key, order Order, cursor string, limit int,
) (Page[Event], error) {
	return with1(ctx, w.h, "ListHistory", func() (Page[Event], error) {
		return w.t.ListHistory(ctx, key, order, cursor, limit)
	})
}
