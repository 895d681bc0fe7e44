// Package connect binds an instance by a personal access token, ends bindings, and lists them.
package connect

import "bindery/shared/binding/ledger"

// Service binds by token, unbinds and lists. Its methods may be called at once from many goroutines
// and processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger *ledger.Ledger
}

// New returns a service on a ledger.
func New(l *ledger.Ledger) *Service { return &Service{ledger: l} }
