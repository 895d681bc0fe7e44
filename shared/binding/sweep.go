package binding

import (
	"context"
	"errors"
	"fmt"

	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/vault"
)

// maxRevokeAttempts is how often the sweep tries to revoke a secret's tokens before it deletes the secret
// all the same.
const maxRevokeAttempts = 10

// sweepBinding drains a record's events, deletes the row of an unbound one that has settled, and
// reports whether the record's token is to be checked. If so, nothing is saved yet: the claim does
// that.
func (s *Service) sweepBinding(
	ctx context.Context, key table.Key, part *SweepResult,
) (rec table.Binding, check bool, err error) {
	if rec, err = s.record(ctx, key); err != nil {
		return rec, false, err
	}
	now := s.now()
	if rec.Version == "" || rec.DueAt.IsZero() || rec.DueAt.After(now) {
		return rec, false, nil // the index lags
	}
	if s.webhook == nil {
		rec.Delivery = table.Delivery{} // nobody is told any more
	}
	if len(rec.Events) == 0 && !rec.Bound() && rec.Delivery.Waiting == 0 {
		if err := s.table.DeleteBinding(ctx, rec); err != nil {
			return rec, false, fmt.Errorf("deleting an unbound row: %w", err)
		}
		part.Removed++
		return rec, false, nil
	}
	if len(rec.Events) > 0 {
		if err := s.table.AppendHistory(ctx, key, rec.Events); err != nil {
			return rec, false, fmt.Errorf("draining the events: %w", err)
		}
		s.drained(&rec)
		part.Drained++
	}
	if next := s.checkDueAt(rec); rec.Bound() && !next.IsZero() && !next.After(now) {
		return rec, true, nil
	}
	if rec.Delivery.Waiting > 0 && !rec.Delivery.At.After(now) {
		rec.Delivery.At = now.Add(checkLeaseTTL) // claimed, should the sender die
	}
	rec.DueAt = s.due(rec)
	if rec, err = s.table.SaveBinding(ctx, rec); err != nil {
		return rec, false, fmt.Errorf("saving the drained record: %w", err)
	}
	return rec, false, nil
}

// sweepAuthorization drops an attempt that has expired. It owns nothing: what it put into the
// vault has a note of its own.
func (s *Service) sweepAuthorization(ctx context.Context, id string, done *SweepResult) error {
	a, err := s.table.Authorization(ctx, id)
	if errors.Is(err, table.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading an authorization: %w", err)
	}
	if s.now().Before(a.ExpiresAt) {
		return nil // the index lags
	}
	if err := s.table.DeleteAuthorization(ctx, a); err != nil {
		return fmt.Errorf("deleting an authorization: %w", err)
	}
	done.Removed++
	return nil
}

// sweepNote asks the record whether it points at a noted secret. If so, the note has served its
// purpose. If not, the secret is left: it is to go, and nothing is saved yet.
func (s *Service) sweepNote(
	ctx context.Context, name string, done *SweepResult,
) (note table.Note, rec table.Binding, left bool, err error) {
	note, err = s.table.Note(ctx, name)
	if errors.Is(err, table.ErrNotFound) {
		return note, rec, false, nil
	}
	if err != nil {
		return note, rec, false, fmt.Errorf("reading a note: %w", err)
	}
	if note.DueAt.After(s.now()) {
		return note, rec, false, nil // the index lags
	}
	if note.Binding != (table.Key{}) {
		if rec, err = s.record(ctx, note.Binding); err != nil {
			return note, rec, false, err
		}
	}
	if rec.Token.Secret == note.Secret {
		done.Kept++
		return note, rec, false, s.table.DeleteNote(ctx, note)
	}
	return note, rec, true, nil
}

// revokesUnasked reports whether the sweep may have to ask a platform to revoke. Of an attempt that
// nobody has confirmed the platform isn't known.
func (s *Service) revokesUnasked(name string) bool {
	platform, ok := s.platforms.Get(name)
	return !ok || platform.Describe().Method == provider.ByOAuth && platform.Describe().Revocable
}

// collect marks a secret that was left as being collected, revokes its tokens where they are ours
// to revoke, and deletes it.
func (s *Service) collect(
	ctx context.Context, note table.Note, rec table.Binding, done *SweepResult,
) error {
	note.State = table.Collecting
	note.Attempts++
	note.DueAt = s.now().Add(orphanGracePeriod)
	note, err := s.table.SaveNote(ctx, note)
	if err != nil {
		return err
	}
	return s.collected(ctx, note, rec, done)
}

// collected goes on with a secret whose note says that it is being collected.
func (s *Service) collected(
	ctx context.Context, note table.Note, rec table.Binding, done *SweepResult,
) error {
	err := s.revokeGenerations(ctx, note)
	switch {
	case err == nil:
	case note.Attempts < maxRevokeAttempts, errors.Is(err, errUnread):
		return fmt.Errorf("revoking before the secret is deleted: %w", err)
	default:
		s.log.ErrorContext(ctx, "a token may still be alive at its platform",
			"binding", describe(note.Binding), "attempts", note.Attempts, "error", err)
		if err := s.tellNotRevoked(ctx, rec); err != nil {
			return err
		}
	}
	if err := s.vault.Delete(ctx, vault.SecretName(note.Secret)); err != nil {
		return fmt.Errorf("deleting a secret: %w", err)
	}
	if err := s.table.DeleteNote(ctx, note); err != nil {
		return fmt.Errorf("deleting a note: %w", err)
	}
	done.Deleted++
	outcome := event.Done
	if err != nil {
		outcome = "not_revoked"
	}
	event.Audit(ctx, s.log, event.Entry{Action: "sweep", Target: note.Binding, Outcome: outcome})
	return nil
}

// tellNotRevoked tells a binding's users that a token which it had is perhaps alive. A binding that
// has no row any more gets one, until that is told. After a death it may be told twice.
func (s *Service) tellNotRevoked(ctx context.Context, rec table.Binding) error {
	if rec.Key == (table.Key{}) {
		return nil // no binding ever had it
	}
	why := problem.New(problem.RevocationFailed).With("platform", s.title(rec.Platform))
	_, err := s.change(ctx, rec, func(b *table.Binding) bool {
		s.happened(b, table.Event{Type: event.RevocationFailed, Problem: why})
		return true
	})
	return err
}

// errUnread says that the vault fails, and no platform: it is no revocation that has failed, and
// whether there is anything to revoke isn't known.
var errUnread = errors.New("binding: the token can't be read")

// revokeGenerations revokes an OAuth secret's tokens, from the noted generation to the last: a refresh
// may have made a further one in the meantime. A personal access token is its user's own.
func (s *Service) revokeGenerations(ctx context.Context, note table.Note) error {
	for generation := note.Generation; ; generation++ {
		k, err := s.fetch(ctx, table.Token{Secret: note.Secret, Generation: generation})
		if errors.Is(err, vault.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errUnread, err)
		}
		if k.Method != provider.ByOAuth {
			return nil
		}
		if err := s.revokeSwept(ctx, note.Binding, k); err != nil {
			return err
		}
	}
}

// revokeSwept revokes one token that nothing points at. Whose it is, the platform says: it went
// into the vault before that was asked.
func (s *Service) revokeSwept(ctx context.Context, own table.Key, k tokenBundle) error {
	platform, ok := s.platforms.Get(k.Platform)
	if !ok || !platform.Describe().Revocable {
		return nil
	}
	if _, err := s.enforceDeadline(ctx, "Check"); err != nil {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	finding, err := platform.Check(asking, k.held())
	switch code := problem.Of(err).Code; {
	case err == nil:
	case code == problem.TokenRejected, code == problem.TokenExpired:
		return nil // it is dead
	case code == problem.PermissionMissing, code == problem.NotAPersonalAccount:
		// It lives, but no binding was ever made with it.
	default:
		return err
	}
	of := identityKey(k.Platform, k.Address, finding.Identity.ID)
	err = s.revokeUnlessHeld(ctx, own, of, k)
	if errors.Is(err, errInUse) {
		return nil
	}
	return err
}
