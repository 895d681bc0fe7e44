package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CallDeadline is how long after its start an invocation may begin a call to table or vault. It is
// what makes [OrphanGracePeriod] safe.
const CallDeadline = 2 * time.Minute

type startKey struct{}

// StartInvocation returns a context that carries the start of an invocation: now, or the start that
// ctx carries already. The methods that serve a request, a run or a task begin with it: without it
// every call to table or vault fails.
func (l *Ledger) StartInvocation(ctx context.Context) context.Context {
	if _, ok := ctx.Value(startKey{}).(time.Time); ok {
		return ctx
	}
	return context.WithValue(ctx, startKey{}, l.Now())
}

// ErrLate is the error of a call that an invocation begins more than [CallDeadline] after its
// start.
var ErrLate = errors.New("ledger: the invocation has gone on for too long to begin another call")

// EnforceDeadline returns [ErrLate] if the invocation started more than [CallDeadline] ago. It is
// the [Hook] of the ledger's table and vault. Calls to platforms that use a token ask it too.
func (l *Ledger) EnforceDeadline(ctx context.Context, call string) (func(), error) {
	return nil, l.StartedWithin(ctx, CallDeadline, call)
}

// StartedWithin returns [ErrLate] if the invocation started more than limit ago. call names the
// call in the error.
func (l *Ledger) StartedWithin(ctx context.Context, limit time.Duration, call string) error {
	start, ok := ctx.Value(startKey{}).(time.Time)
	if !ok {
		return fmt.Errorf("ledger: %s before StartInvocation", call)
	}
	if l.Now().Sub(start) > limit {
		return fmt.Errorf("%w (%s)", ErrLate, call)
	}
	return nil
}
