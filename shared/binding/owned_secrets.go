package binding

import (
	"context"
	"errors"
	"slices"
	"time"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// maxOwnedSecrets bounds the list of a row. The last place is reserved for the token that an unbind
// retires, so that a user can always end a binding.
const maxOwnedSecrets = 16

// cleanupPending is the reason of [problem.Conflict] for a row whose list is full.
const cleanupPending = "cleanup_pending"

// stageSecret lists a new secret in the record as pending and puts its first generation into the
// vault. It returns the record as saved, which was read as rec. The sweep finds the secret whichever
// call after the listing is the last one.
//
// [problem.Conflict] if another caller has bound or unbound in between, or if the list is full.
func (s *Service) stageSecret(
	ctx context.Context, rec table.Binding, k tokenBundle,
) (table.Binding, vault.SecretName, error) {
	name := s.newSecretName()
	rec, err := s.listPending(ctx, rec, name)
	if err != nil {
		return rec, "", err
	}
	return rec, name, s.put(ctx, name, 1, k)
}

// listPending adds a pending secret to the record's list. The binding stays as it is, and so does
// its ETag.
func (s *Service) listPending(
	ctx context.Context, rec table.Binding, name vault.SecretName,
) (table.Binding, error) {
	for range maxTries {
		if len(rec.Secrets)+1 >= maxOwnedSecrets {
			return rec, s.listFull(rec)
		}
		next := rec
		next.Secrets = append(slices.Clone(rec.Secrets), table.OwnedSecret{
			Name: name, Generation: 1, DueAt: s.now().Add(orphanGracePeriod),
		})
		next.DueAt = s.due(next)
		saved, saveErr := s.table.SaveBinding(ctx, next)
		if saveErr == nil {
			return saved, nil
		}
		there, err := s.record(ctx, rec.Key) // what is there counts
		switch {
		case err != nil:
			return rec, err
		case isListed(there, name):
			return there, nil // it was saved, and the reply was lost
		case !errors.Is(saveErr, table.ErrConflict):
			return rec, unavailable("listing the new secret", saveErr)
		case !sameBinding(rec, there):
			return rec, problem.New(problem.Conflict)
		}
		rec = there
	}
	return rec, problem.New(problem.Conflict)
}

func (s *Service) newSecretName() vault.SecretName { return vault.SecretName(s.random(16)) }

// listFull is the problem of a record that can't list another secret until the sweep has deleted
// some.
func (s *Service) listFull(rec table.Binding) error {
	wait := max(secretsDueAt(rec).Sub(s.now()), time.Minute)
	return problem.New(problem.Conflict).Because(cleanupPending).After(wait)
}

// isListed reports whether a record's list has a secret.
func isListed(rec table.Binding, name vault.SecretName) bool {
	return slices.ContainsFunc(rec.Secrets, func(o table.OwnedSecret) bool { return o.Name == name })
}

// isRetired reports whether a record has pointed at a secret and points elsewhere now.
func isRetired(rec table.Binding, name vault.SecretName) bool {
	return slices.ContainsFunc(rec.Secrets, func(o table.OwnedSecret) bool {
		return o.Name == name && o.Retired
	})
}

// unlisted is a record's list without a secret.
func unlisted(rec table.Binding, name vault.SecretName) []table.OwnedSecret {
	return slices.DeleteFunc(slices.Clone(rec.Secrets), func(o table.OwnedSecret) bool {
		return o.Name == name
	})
}

// nextSecrets is the list of a record that is pointed at another secret, or at none (""): without that
// one, and with the secret that it points at as retired.
//
// A token of a consent can be confirmed again until its authorization expires, and only the list
// refuses that. So its entry outlives the authorization, which began before the binding was made.
func (s *Service) nextSecrets(rec table.Binding, next vault.SecretName) []table.OwnedSecret {
	list := unlisted(rec, next)
	if !rec.Bound() {
		return list
	}
	from := s.now()
	if expiry := rec.BoundAt.Add(authorizationTTL); rec.Method == string(provider.ByOAuth) &&
		expiry.After(from) {
		from = expiry
	}
	return append(list, table.OwnedSecret{
		Name:       rec.Token.Secret,
		Generation: rec.Token.Generation,
		Retired:    true,
		DueAt:      from.Add(orphanGracePeriod),
	})
}

// secretsDueAt is when the first entry of a record's list is due. Zero: there is none.
func secretsDueAt(rec table.Binding) time.Time {
	var first time.Time
	for _, o := range rec.Secrets {
		first = earliest(first, o.DueAt)
	}
	return first
}
