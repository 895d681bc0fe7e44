package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// SecretDueAt returns when the sweep deletes the secret of an attempt, unless a binding points at
// it or lists it. A confirm that began before the attempt expired has ended by then.
func SecretDueAt(a binding.Authorization) time.Time {
	return a.ExpiresAt.Add(OrphanGracePeriod)
}

// MaxOwnedSecrets bounds the list of secrets of a row. The last place is reserved for the token
// that an unbind retires, so that a user can always end a binding.
const MaxOwnedSecrets = 16

// CleanupPending is the reason of [problem.Conflict] for a row whose list is full.
const CleanupPending = "cleanup_pending"

// Raced returns [problem.PreconditionFailed] for the conflict of a change with a condition: the
// condition held only when the row was read. Other errors are returned as they are.
func Raced(match binding.Match, err error) error {
	if !match.IsZero() && problem.Is(err, problem.Conflict) &&
		problem.Of(err).Reason != CleanupPending {
		return problem.New(problem.PreconditionFailed).From(err)
	}
	return err
}

// StageSecret lists a new secret in the record as pending and puts its first generation into the
// vault. It returns the record as saved, which was read as rec. The sweep finds the secret
// whichever call after the listing is the last one.
//
// [problem.Conflict] if another caller has bound or unbound in between, or if the list is full.
func (l *Ledger) StageSecret(
	ctx context.Context, rec binding.Record, bundle TokenBundle,
) (binding.Record, vault.SecretName, error) {
	name := l.NewSecretName()
	rec, err := l.listPending(ctx, rec, name)
	if err != nil {
		return rec, "", err
	}
	return rec, name, l.Put(ctx, TokenOwner{Binding: rec.Key}, name, 1, bundle)
}

// listPending adds a pending secret to the record's list. The binding stays as it is, and so does
// its ETag.
func (l *Ledger) listPending(
	ctx context.Context, rec binding.Record, name vault.SecretName,
) (binding.Record, error) {
	for range MaxTries {
		if len(rec.Secrets)+1 >= MaxOwnedSecrets {
			return rec, l.listFull(rec)
		}
		next := rec
		next.Secrets = append(slices.Clone(rec.Secrets), binding.OwnedSecret{
			Name: name, Generation: 1, DueAt: l.Now().Add(OrphanGracePeriod),
		})
		next.DueAt = l.Due(next)
		saved, saveErr := l.Table.SaveBinding(ctx, next)
		if saveErr == nil {
			return saved, nil
		}
		there, err := l.Record(ctx, rec.Key) // what is there counts
		switch {
		case err != nil:
			return rec, err
		case binding.IsListed(there, name):
			return there, nil // it was saved, and the reply was lost
		case !errors.Is(saveErr, table.ErrConflict):
			return rec, Unavailable("listing the new secret", saveErr)
		case !sameBinding(rec, there):
			return rec, problem.New(problem.Conflict)
		}
		rec = there
	}
	return rec, problem.New(problem.Conflict)
}

// NewSecretName returns a random name for a secret.
func (l *Ledger) NewSecretName() vault.SecretName { return vault.SecretName(l.Random(16)) }

// listFull returns the problem of a record that can't list another secret until the sweep has
// deleted some.
func (l *Ledger) listFull(rec binding.Record) error {
	wait := max(binding.SecretsDueAt(rec).Sub(l.Now()), time.Minute)
	return problem.New(problem.Conflict).Because(CleanupPending).After(wait)
}

// nextSecrets returns the list of a record that is pointed at another secret, or at none (""). The
// list is without that secret, and has the one that the record points at now as retired.
//
// A token of a consent can be confirmed again until its authorization expires, and only the list
// refuses that. So its entry outlives the authorization, which began before the binding was made.
func (l *Ledger) nextSecrets(rec binding.Record, next vault.SecretName) []binding.OwnedSecret {
	list := binding.Unlisted(rec, next)
	if !rec.Bound() {
		return list
	}
	from := l.Now()
	if expiry := rec.BoundAt.Add(binding.AuthorizationTTL); rec.Method == string(provider.ByOAuth) &&
		expiry.After(from) {
		from = expiry
	}
	return append(list, binding.OwnedSecret{
		Name:       rec.Token.Secret,
		Generation: rec.Token.Generation,
		Retired:    true,
		DueAt:      from.Add(OrphanGracePeriod),
	})
}
