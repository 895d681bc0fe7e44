package binding_test

import (
	"context"

	"bindery/shared/provider"
	"bindery/shared/table/engine"
	"bindery/shared/vault/envelope"
)

// withSealed returns the operations, and those that use secrets a second time with the envelope
// vault. There only the calls of that vault to its rows and to the key service are gone through:
// between them table and platforms are as they are before or after a call to any vault.
func withSealed(all []operation) []operation {
	for _, op := range all {
		if op.usesSecrets() {
			op.sealed = true
			all = append(all, op)
		}
	}
	return all
}

func (op operation) title() string {
	if op.sealed {
		return op.name + "Sealed"
	}
	return op.name
}

// usesSecrets reports whether an operation calls the vault. Of those that are the same on all
// platforms, it is only the one on GitHub.
func (op operation) usesSecrets() bool {
	switch op.name {
	case "SweepOfEvents", "SweepOfAnUnboundRow", "SweepOfAnExpiredAuthorization", "Unbind":
		return false
	}
	return op.at() == provider.GitLab || op.at() == provider.GitHub
}

// lossesOf returns at how many calls a kill loses a token, if a process is killed in so many ways
// at each: before the call only, or after it too. The envelope vault makes more calls until the
// token is stored: to make a data key, and before that, if it isn't the first generation, to read
// the row.
func (op operation) lossesOf(ways int) int {
	switch {
	case !op.sealed || op.loses == 0:
		return op.loses
	case op.refreshes():
		return 1 + 2*ways
	}
	return 1 + ways
}

// losingRows are rows of the envelope vault that do each call, and lose some replies.
type losingRows struct {
	envelope.Store
	losing
}

func (l losingRows) Put(ctx context.Context, row engine.Row, is engine.Condition) error {
	return l.reply(true, l.Store.Put(ctx, row, is))
}

func (l losingRows) Delete(ctx context.Context, key engine.Key, is engine.Condition) error {
	return l.reply(false, l.Store.Delete(ctx, key, is))
}
