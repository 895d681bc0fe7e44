package maintenance

import (
	"context"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/workqueue"
	"bindery/shared/event"
	"bindery/shared/problem"
)

// postpone leaves a record for later without asking its host.
func (c checker) postpone(ctx context.Context, rec binding.Record, wait time.Duration) error {
	rec.CheckAt = c.ledger.Now().Add(wait + c.ledger.Jitter(CheckLeaseTTL))
	// Not Due: a lease that was left behind would make the record due at once.
	rec.DueAt = binding.Earliest(rec.CheckAt, binding.SecretsDueAt(rec))
	_, err := c.ledger.Table.SaveBinding(ctx, rec)
	return err
}

// dueResult is what the check of a due record has come to.
type dueResult struct {
	host    workqueue.HostResult
	counts  RunResult
	failing failingHost // for the alarm
}

// checkDue claims a record and checks it, unless it is parked, revoked for good, or a newer
// version's.
func (c checker) checkDue(ctx context.Context, rec binding.Record) (out dueResult, err error) {
	if binding.FromNewerVersion(rec) {
		return out, c.postpone(ctx, rec, CheckLeaseTTL)
	}
	if rec.CheckAttempts >= MaxCheckAttempts && !mayConfirmLoss(rec) {
		out.counts.Parked = one(rec.CheckAttempts < parkedAttempts)
		return out, c.park(ctx, rec)
	}
	if rec, err = c.claim(ctx, rec); err != nil {
		return out, err
	}
	rec, gone, err := c.instanceGone(ctx, rec)
	rests := binding.IsRevokedByOperator(rec) ||
		rec.Health == binding.HealthRevoked && !hasRecheck(rec)
	if err == nil && !gone && rests {
		err = c.rest(ctx, rec)
	}
	if err != nil {
		c.unclaim(ctx, rec) // a store or a platform has failed: that is no crash
	}
	if gone || rests || err != nil {
		return out, err
	}
	_, found, err := c.checkClaimed(ctx, rec, origin{})
	out.counts = RunResult{Checked: 1, Refreshed: one(found.refreshed)}
	if err != nil {
		return out, err // the rest was not saved
	}
	out.counts.Add(RunResult{
		Warned: one(found.warned), Recovered: one(found.recovered),
		Failed: one(found.failed), Lost: one(found.lost),
	})
	out.failing = found.failing
	out.host = workqueue.HostResult{Asked: true, Well: found.transient == nil}
	if found.transient != nil {
		out.host.Wait = found.transient.RetryAfter
	}
	return out, nil
}

// parkedAttempts are the attempts of a parked record, whose alarm was written.
const parkedAttempts = MaxCheckAttempts + 1

// park stops the scheduled checks of a record: every worker that has tried to check it has crashed.
// A check that its user asks for, or a bind, starts them again. A loss that a build notes later is
// still checked, once.
func (c checker) park(ctx context.Context, rec binding.Record) error {
	if rec.CheckAttempts < parkedAttempts {
		c.ledger.Log.ErrorContext(ctx, "a binding is not checked any more: every check of it has crashed",
			"alarm", "parked", "binding", binding.Describe(rec.Key), "attempts", rec.CheckAttempts)
		clearDoubt(&rec)
		rec.CheckAttempts = parkedAttempts
	}
	rec.RefreshUnclear = rec.RefreshUnclear || rec.Lease != (binding.Lease{})
	rec.CheckAt, rec.RecheckAt, rec.Lease = time.Time{}, time.Time{}, binding.Lease{}
	rec.DueAt = c.ledger.Due(rec)
	_, err := c.ledger.Table.SaveBinding(ctx, rec)
	return err
}

// mayConfirmLoss reports whether a record was parked and then found to have no secret in the vault.
// If the check that confirms that crashes too, there is no other.
func mayConfirmLoss(rec binding.Record) bool {
	return rec.CheckAttempts == parkedAttempts && rec.Doubted() &&
		credential.IsLost(rec.DoubtedProblem)
}

// rest postpones a revoked binding until tomorrow. The platform is not asked again; only whether
// the instance still exists was checked. What a refresh has stored after the operator ended the
// token is revoked too.
func (c checker) rest(ctx context.Context, rec binding.Record) error {
	if look := rec.RecheckAt; !look.IsZero() && !look.After(c.ledger.Now()) {
		if err := c.revokeLate(ctx, rec); err != nil {
			return err
		}
		rec.RecheckAt = time.Time{}
	}
	rec.CheckAttempts = 0
	rec.CheckAt = c.ledger.Now().Add(ledger.CheckInterval - c.ledger.Jitter(2*time.Hour))
	rec.DueAt = c.ledger.Due(rec)
	_, err := c.ledger.Table.SaveBinding(ctx, rec)
	return err
}

// hasRecheck reports whether the schedule still has checks of a revoked binding left.
func hasRecheck(rec binding.Record) bool { return !rec.RecheckAt.IsZero() || rec.RechecksLeft > 0 }

// instanceGone unbinds a binding whose instance has been away from the catalogue for a week. A
// catalogue that can't be read says nothing. It returns the record with the time since when the
// instance is missing.
func (c checker) instanceGone(
	ctx context.Context, rec binding.Record,
) (_ binding.Record, gone bool, _ error) {
	if c.instances == nil {
		return rec, false, nil
	}
	_, err := c.instances.Find(ctx, rec.Account, rec.Region, rec.Instance)
	switch {
	case err == nil:
		rec.MissingSince = time.Time{}
		return rec, false, nil
	case !problem.Is(err, problem.InstanceUnknown):
		return rec, false, nil
	case rec.MissingSince.IsZero():
		rec.MissingSince = c.ledger.Now()
	}
	if c.ledger.Now().Sub(rec.MissingSince) < missingInstancePeriod {
		return rec, false, nil
	}
	if _, err := c.subscriptions.EndAll(ctx, rec); err != nil {
		return rec, false, err
	}
	old, err := c.ledger.Unbind(ctx, rec, binding.Match{}, binding.User{})
	if err == nil {
		event.Audit(ctx, c.ledger.Log, event.Entry{
			Action: "instance gone", Target: rec.Key, Outcome: event.Done, Previous: old.Identity,
		})
	}
	return rec, true, err
}
