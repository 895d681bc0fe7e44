package ledger

import "bindery/shared/binding"

// replace is next in the place of rec: what belongs to the row stays, what belonged to the old
// token goes.
func (l *Ledger) Replace(rec, next binding.Record) binding.Record {
	next = next.WithUnknown(rec)
	next.Key, next.Version = rec.Key, rec.Version
	next.Secrets = l.nextSecrets(rec, next.Token.Secret)
	next.Events, next.EventCount, next.EventAt = rec.Events, rec.EventCount, rec.EventAt
	next.Delivery = rec.Delivery
	e := binding.Event{Type: binding.EventBound, Actor: next.BoundBy, Identity: next.Identity}
	if rec.Bound() {
		e.Type, e.Previous = binding.EventRebound, rec.Identity
	}
	l.Happened(&next, e)
	return next
}
