// Package event reports what happens to bindings: audit lines and metrics in the log, and events to
// the operator's webhook.
//
// Package ledger creates an event and stores it in the same write as the record's change, so that
// the event exists exactly if the change does. Audit lines are for an operator: who did or tried
// what, to which binding, and whether it was allowed; a denied call has its line too.
package event

import (
	"context"
	"log/slog"

	"bindery/shared/binding"
)

// Entry is one audit line.
type Entry struct {
	Action string       // "bind", "unbind", "confirm", …; of a denied call its route
	User   binding.User // zero for Bindery itself
	Target binding.Key
	// Repository is the key of the subscription's repository; "" of a binding.
	Repository string
	// Outcome is "done", or the code of the problem that the caller got.
	Outcome string
	// Identity is the platform's user, Previous the user that it replaced.
	Identity, Previous binding.Identity
	// Revoked reports that this action revoked a token at the platform.
	Revoked bool
}

// Done is the outcome of an action that was allowed and succeeded.
const Done = "done"

// Audit writes the line. It contains names and ids, never a token.
func Audit(ctx context.Context, log *slog.Logger, e Entry) {
	attrs := []slog.Attr{
		slog.String("action", e.Action),
		slog.String("outcome", e.Outcome),
		slog.String("account", e.Target.Account),
		slog.String("region", e.Target.Region),
		slog.String("instance", e.Target.Instance),
		slog.String("platform", e.Target.Platform),
	}
	if e.User != (binding.User{}) {
		attrs = append(attrs, slog.Group("user",
			slog.String("issuer", e.User.Issuer),
			slog.String("subject", e.User.Subject),
			slog.String("account", e.User.Account)))
	}
	if e.Repository != "" {
		attrs = append(attrs, slog.String("repository", e.Repository))
	}
	attrs = appendIdentity(attrs, "identity", e.Identity)
	attrs = appendIdentity(attrs, "previous", e.Previous)
	if e.Revoked {
		attrs = append(attrs, slog.Bool("revoked", true))
	}
	log.LogAttrs(ctx, slog.LevelInfo, "audit", attrs...)
}

func appendIdentity(attrs []slog.Attr, name string, i binding.Identity) []slog.Attr {
	if i == (binding.Identity{}) {
		return attrs
	}
	return append(attrs, slog.Group(name,
		slog.String("id", i.ID), slog.String("username", i.Username)))
}
