package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// MaxRevokeAttempts is how often the sweep tries to revoke the tokens of a secret. At the last
// attempt it deletes the secret even if revoking fails.
const MaxRevokeAttempts = 10

// mayAskToRevoke reports whether the sweep asks a platform before it deletes a secret. Such work
// waits in the host's queue. A platform that is not known any more is never asked.
func (s *Service) mayAskToRevoke(name string) bool {
	platform, ok := s.ledger.Platforms.Get(name)
	return ok && platform.Describe().Method == provider.ByOAuth && platform.Describe().Revocable
}

// dueSecrets returns the indexes of the due entries in the record's list.
func (s *Service) dueSecrets(rec binding.Record) (due []int) {
	now := s.ledger.Now()
	for i, o := range rec.Secrets {
		if !o.DueAt.After(now) {
			due = append(due, i)
		}
	}
	return due
}

// sweepSecrets revokes and deletes the due secrets of a record. It first counts the attempt and
// moves the entries' due time, in one save, so that a secret that makes the sweep crash does not
// come first again. A conflict means that another call works on the record: its entries stay due.
// It returns the record as it is in the end, and each secret's failure.
func (r *run) sweepSecrets(
	ctx context.Context, rec binding.Record,
) (binding.Record, []error) {
	var due []binding.OwnedSecret
	rec.Secrets = slices.Clone(rec.Secrets)
	for _, i := range r.dueSecrets(rec) {
		rec.Secrets[i].SweepAttempts++
		rec.Secrets[i].DueAt = r.ledger.Now().Add(ledger.OrphanGracePeriod)
		due = append(due, rec.Secrets[i])
	}
	rec.DueAt = r.ledger.Due(rec)
	rec, err := r.ledger.Table.SaveBinding(ctx, rec)
	if err != nil {
		return binding.Record{}, []error{err}
	}
	var failed []error
	for _, o := range due {
		swept, outcome, err := r.endSecret(ctx, ledger.TokenOwner{Binding: rec.Key}, o, rec)
		if err == nil {
			swept, err = r.unlist(ctx, swept, o.Name)
		}
		rec = swept
		if err != nil {
			failed = append(failed, err)
			if isUndecided(err) {
				rec = r.takeBackAttempt(ctx, rec, o.Name)
			}
			continue
		}
		r.countSwept(ctx, rec.Key, outcome)
	}
	return rec, failed
}

// takeBackAttempt takes back an attempt in which no revocation has failed. If that can't be saved,
// the attempt counts.
func (s *Service) takeBackAttempt(
	ctx context.Context, rec binding.Record, name vault.SecretName,
) binding.Record {
	rec, _ = s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		i := slices.IndexFunc(b.Secrets, func(o binding.OwnedSecret) bool { return o.Name == name })
		if i < 0 || b.Secrets[i].SweepAttempts == 0 {
			return false
		}
		b.Secrets = slices.Clone(b.Secrets)
		b.Secrets[i].SweepAttempts--
		return true
	})
	return rec
}

// unlist takes a secret that was deleted off a record's list.
func (s *Service) unlist(
	ctx context.Context, rec binding.Record, name vault.SecretName,
) (binding.Record, error) {
	return s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		if !binding.IsListed(*b, name) {
			return false // another run has done it, or the reply was lost
		}
		b.Secrets = binding.Unlisted(*b, name)
		b.DueAt = s.ledger.Due(*b)
		return true
	})
}

// postponeSecrets moves the due time of the due secrets of a record whose host must not be asked
// now. It counts no attempt.
func (s *Service) postponeSecrets(
	ctx context.Context, rec binding.Record, wait time.Duration,
) (binding.Record, error) {
	rec.Secrets = slices.Clone(rec.Secrets)
	for _, i := range s.dueSecrets(rec) {
		rec.Secrets[i].DueAt = s.ledger.Now().Add(max(ledger.OrphanGracePeriod, wait))
	}
	rec.DueAt = s.ledger.Due(rec)
	return s.ledger.Table.SaveBinding(ctx, rec)
}

// dueAuthorization reads an attempt that the index says is due and deletes it, unless it has a
// secret to delete first: then it returns the attempt and true. If a binding points at the secret
// or lists it, that binding owns the secret.
func (r *run) dueAuthorization(
	ctx context.Context, id string,
) (a binding.Authorization, ownsSecret bool, err error) {
	a, err = r.ledger.Table.Authorization(ctx, id)
	if errors.Is(err, table.ErrNotFound) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("reading an authorization: %w", err)
	}
	expires := a.ExpiresAt
	if a.OwnsSecret {
		expires = ledger.SecretDueAt(a)
	}
	if now := r.ledger.Now(); now.Before(expires) || now.Before(a.DueAt) {
		return a, false, nil // the index lags
	}
	if !a.OwnsSecret {
		return a, false, r.dropAuthorization(ctx, a)
	}
	if a.Binding == (binding.Key{}) {
		return a, true, nil
	}
	rec, err := r.ledger.Record(ctx, a.Binding)
	if err != nil {
		return a, false, err
	}
	pointed := rec.Token.Secret == a.Token.Secret
	if !pointed && !binding.IsListed(rec, a.Token.Secret) {
		return a, true, nil
	}
	r.count(RunResult{Kept: one(pointed)})
	return a, false, r.dropAuthorization(ctx, a)
}

// dropAuthorization deletes the record of an attempt.
func (r *run) dropAuthorization(
	ctx context.Context, a binding.Authorization,
) error {
	if err := r.ledger.Table.DeleteAuthorization(ctx, a); err != nil {
		return fmt.Errorf("deleting an authorization: %w", err)
	}
	r.count(RunResult{Removed: 1})
	return nil
}

// sweepAttempt ends the secret of an attempt that no binding has used, and deletes the attempt.
// Like sweepSecrets it counts its try first.
func (r *run) sweepAttempt(
	ctx context.Context, a binding.Authorization,
) error {
	a.SweepAttempts++
	a.DueAt = r.ledger.Now().Add(ledger.OrphanGracePeriod)
	a, err := r.ledger.Table.SaveAuthorization(ctx, a)
	if err != nil {
		return err
	}
	rec := binding.Record{Key: a.Binding}
	if a.Binding != (binding.Key{}) {
		if rec, err = r.ledger.Record(ctx, a.Binding); err != nil {
			return err
		}
	}
	left := binding.OwnedSecret{
		Name: a.Token.Secret, Generation: a.Token.Generation, SweepAttempts: a.SweepAttempts,
	}
	_, outcome, err := r.endSecret(ctx, ledger.OwnerOf(a), left, rec)
	if isUndecided(err) {
		// Not below 1: a confirm refuses an attempt that the sweep has begun to end.
		a.SweepAttempts = max(1, a.SweepAttempts-1)
		_, _ = r.ledger.Table.SaveAuthorization(ctx, a)
	}
	if err != nil {
		return err
	}
	if err := r.dropAuthorization(ctx, a); err != nil {
		return err
	}
	r.countSwept(ctx, a.Binding, outcome)
	return nil
}

// postponeAttempt moves the due time of an attempt whose host must not be asked now.
func (s *Service) postponeAttempt(
	ctx context.Context, a binding.Authorization, wait time.Duration,
) error {
	a.DueAt = s.ledger.Now().Add(max(ledger.OrphanGracePeriod, wait))
	_, err := s.ledger.Table.SaveAuthorization(ctx, a)
	return err
}

// countSwept counts a secret that was deleted, and writes the audit line of a secret that was taken
// off a list, deleted or not.
func (r *run) countSwept(ctx context.Context, key binding.Key, outcome string) {
	r.count(RunResult{Deleted: one(outcome == event.Done || outcome == notRevoked)})
	r.auditSwept(ctx, key, outcome)
}

// auditSwept writes the audit line of a secret that the sweep has ended.
func (s *Service) auditSwept(ctx context.Context, key binding.Key, outcome string) {
	event.Audit(ctx, s.ledger.Log, event.Entry{Action: "sweep", Target: key, Outcome: outcome})
}

// The outcomes of a secret that the sweep has ended, beside [event.Done].
const (
	notStored  = "not_stored"  // the vault has no such secret
	notRevoked = "not_revoked" // it was deleted, and its tokens may still be valid
)

// endSecret revokes the tokens of a secret that no record points at, if they were issued to
// Bindery, and deletes the secret. If revoking has failed for the last time it still deletes the
// secret, and writes an event to rec, the binding that had it. A zero rec.Key is no binding. A
// secret of another owner is left as it is; the caller takes it off the list. endSecret returns
// the record as it is in the end, and the outcome for the audit line.
func (s *Service) endSecret(
	ctx context.Context, own ledger.TokenOwner, o binding.OwnedSecret, rec binding.Record,
) (binding.Record, string, error) {
	outcome := event.Done
	owned, err := s.revokeGenerations(ctx, own, o)
	switch {
	case problem.Is(err, problem.TokenMismatch) && !owned:
		return rec, string(problem.TokenMismatch), nil
	case err == nil && !owned:
		return rec, notStored, nil
	case err == nil:
	case o.SweepAttempts < MaxRevokeAttempts, isUndecided(err):
		return rec, "", fmt.Errorf("revoking before the secret is deleted: %w", err)
	default:
		outcome = notRevoked
		s.ledger.Log.ErrorContext(ctx, "a token may still be alive at its platform",
			"binding", binding.Describe(rec.Key), "attempts", o.SweepAttempts, "error", err)
		if rec, err = s.recordNotRevoked(ctx, rec); err != nil {
			return rec, "", err
		}
	}
	if err := s.ledger.Vault.Delete(ctx, o.Name); err != nil {
		return rec, "", fmt.Errorf("deleting a secret: %w", err)
	}
	return rec, outcome, nil
}

// recordNotRevoked writes an event that a token which the binding had may still be valid. A
// binding that has no row any more gets one, until the event is in the history. After a crash the
// event may be written twice.
func (s *Service) recordNotRevoked(
	ctx context.Context, rec binding.Record,
) (binding.Record, error) {
	if rec.Key == (binding.Key{}) {
		return rec, nil // no binding ever had it
	}
	why := problem.New(problem.RevocationFailed).With("platform", s.ledger.Title(rec.Platform))
	return s.ledger.Change(ctx, rec, func(b *binding.Record) bool {
		s.ledger.AddEvent(b, binding.Event{Type: binding.EventRevocationFailed, Problem: why})
		return true
	})
}

// isUndecided reports whether no revocation has failed: the storage doesn't answer, or a binding
// may have the token. Whether there is anything to revoke isn't known then.
func isUndecided(err error) bool {
	return problem.Is(err, problem.StorageUnavailable) || errors.Is(err, ledger.ErrYoung)
}

// revokeGenerations revokes an OAuth secret's tokens, from the listed generation to the last: a
// refresh may have stored a later one after the secret was listed. A personal access token is its
// user's own.
//
// owned reports whether the vault has confirmed that the secret is the owner's. Only then may it be
// deleted. A secret without the listed generation was never stored, or is gone.
func (s *Service) revokeGenerations(
	ctx context.Context, own ledger.TokenOwner, o binding.OwnedSecret,
) (owned bool, err error) {
	for generation := o.Generation; ; generation++ {
		bundle, err := s.ledger.Fetch(ctx, own, binding.Token{Secret: o.Name, Generation: generation})
		if errors.Is(err, vault.ErrNotFound) {
			return owned, nil
		}
		if err != nil {
			return owned, ledger.Unavailable("reading the token", err)
		}
		owned = true
		if bundle.Method != provider.ByOAuth {
			return owned, nil
		}
		if err := s.revokeSwept(ctx, own, bundle); err != nil {
			return owned, err
		}
	}
}

// revokeSwept revokes one token that no record points at. It asks the platform whose the token is,
// because a token is stored before that is known.
func (s *Service) revokeSwept(
	ctx context.Context, own ledger.TokenOwner, bundle ledger.TokenBundle,
) error {
	platform, ok := s.ledger.Platforms.Get(bundle.Platform)
	if !ok || !platform.Describe().Revocable {
		return nil
	}
	if _, err := s.ledger.EnforceDeadline(ctx, "Check"); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, ledger.ExchangeTimeout)
	defer cancel()
	result, err := platform.Check(asking, bundle.Credential())
	switch code := problem.Of(err).Code; {
	case err == nil:
	case code == problem.TokenRejected, code == problem.TokenExpired:
		return nil // it is no longer valid
	case code == problem.PermissionMissing, code == problem.NotAPersonalAccount:
		// It is valid, but no binding was ever made with it.
	default:
		return err
	}
	of := ledger.IdentityKey(bundle.Platform, bundle.Address, result.Identity.ID)
	err = s.ledger.RevokeUnused(ctx, own, of, bundle)
	if errors.Is(err, ledger.ErrInUse) {
		return nil
	}
	return err
}
