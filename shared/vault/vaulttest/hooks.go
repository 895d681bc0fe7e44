package vaulttest

import (
	"context"

	"bindery/shared/secret"
	"bindery/shared/table/engine"
	"bindery/shared/vault"
	"bindery/shared/vault/envelope"
)

// HookRows returns rows that call h before each call, as [vault.WithBeforeCall] does for a vault.
func HookRows(rows envelope.Store, h vault.Hook) envelope.Store { return hookedRows{rows, h} }

// HookWrapper does the same for a wrapper.
func HookWrapper(w envelope.Wrapper, h vault.Hook) envelope.Wrapper { return hookedWrapper{w, h} }

// through makes a call to which a hook belongs.
func through(ctx context.Context, h vault.Hook, name string, call func() error) error {
	done, err := h(ctx, name)
	if err != nil {
		return err
	}
	if done != nil {
		defer done()
	}
	return call()
}

type hookedRows struct {
	rows envelope.Store
	hook vault.Hook
}

func (r hookedRows) Get(ctx context.Context, key engine.Key) (row engine.Row, ok bool, err error) {
	err = through(ctx, r.hook, "Get", func() (err error) {
		row, ok, err = r.rows.Get(ctx, key)
		return err
	})
	return row, ok, err
}

func (r hookedRows) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	return through(ctx, r.hook, "Put", func() error { return r.rows.Put(ctx, row, is) })
}

func (r hookedRows) Delete(ctx context.Context, key engine.Key, is engine.Condition) error {
	return through(ctx, r.hook, "Delete", func() error { return r.rows.Delete(ctx, key, is) })
}

func (r hookedRows) Scan(
	ctx context.Context, prefix string, after engine.Key, limit int,
) (rows []engine.Row, next engine.Key, err error) {
	err = through(ctx, r.hook, "Scan", func() (err error) {
		rows, next, err = r.rows.Scan(ctx, prefix, after, limit)
		return err
	})
	return rows, next, err
}

type hookedWrapper struct {
	envelope.Wrapper
	hook vault.Hook
}

func (w hookedWrapper) NewDataKey(
	ctx context.Context,
) (dataKey secret.Text, wrapped []byte, err error) {
	err = through(ctx, w.hook, "NewDataKey", func() (err error) {
		dataKey, wrapped, err = w.Wrapper.NewDataKey(ctx)
		return err
	})
	return dataKey, wrapped, err
}

func (w hookedWrapper) Unwrap(
	ctx context.Context, key string, wrapped []byte,
) (dataKey secret.Text, err error) {
	err = through(ctx, w.hook, "Unwrap", func() (err error) {
		dataKey, err = w.Wrapper.Unwrap(ctx, key, wrapped)
		return err
	})
	return dataKey, err
}
