// Package credential hands a build what git needs, and refreshes the token before if it expires too
// soon. Of all callers in all processes one refreshes, and the others wait for its token.
package credential

import (
	"golang.org/x/sync/singleflight"

	"bindery/shared/binding/ledger"
)

// Service hands out credentials. Its methods may be called at once from many goroutines and
// processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger  *ledger.Ledger
	cache   tokenCache
	flights singleflight.Group
}

// New returns a service on a ledger.
func New(l *ledger.Ledger) *Service { return &Service{ledger: l} }
