package rowkey

import (
	"time"

	"bindery/shared/table"
)

// Kind is one kind of records: those that have a version and may come due.
type Kind[T any] struct {
	Name    string // of one, for errors
	Key     func(T) Key
	Version func(*T) *string
	Due     func(T) time.Time
}

// Bindings are the bindings.
func Bindings() Kind[table.Binding] {
	return Kind[table.Binding]{
		Name:    "a binding",
		Key:     func(b table.Binding) Key { return Binding(b.Key) },
		Version: func(b *table.Binding) *string { return &b.Version },
		Due:     func(b table.Binding) time.Time { return b.DueAt },
	}
}

// Authorizations are the authorizations.
func Authorizations() Kind[table.Authorization] {
	return Kind[table.Authorization]{
		Name:    "an authorization",
		Key:     func(a table.Authorization) Key { return Authorization(a.ID) },
		Version: func(a *table.Authorization) *string { return &a.Version },
		Due:     func(a table.Authorization) time.Time { return a.DueAt },
	}
}
