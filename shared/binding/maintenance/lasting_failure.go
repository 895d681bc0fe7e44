package maintenance

import (
	"context"
	"net/url"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
)

// FailureAlarmInterval is how long the checks of a binding end with the same lasting failure before
// the operator is alarmed, and is alarmed again.
const FailureAlarmInterval = 24 * time.Hour

// failingHost is a host with a lasting failure: what an alarm names. The zero value is none.
type failingHost struct{ host, what string }

// nameOfFailure names a failure that does not end by itself. It returns "" for any other: one that
// has its own alarm, or that says nothing, as a platform's 500 does. Why a platform can't be
// reached may vary from check to check.
func nameOfFailure(p *problem.Problem) string {
	switch {
	case p.Code == problem.PlatformUnreachable && p.Reason != "proxy":
		return string(p.Code)
	case p.Code == problem.PlatformUnreachable,
		p.Code == problem.PlatformError && p.Reason != "" && p.Reason != "busy":
		return strings.TrimSpace(strings.Join([]string{string(p.Code), p.Reason, p.Params["code"]}, " "))
	}
	return ""
}

// noteFailure records a lasting failure of a check, and returns it if the operator must be alarmed
// now. A revoked binding is left out: its user binds again.
func (c checker) noteFailure(b *binding.Record, p *problem.Problem) failingHost {
	what, now := nameOfFailure(p), c.ledger.Now()
	switch {
	case what == "" || b.Health == binding.HealthRevoked:
		return failingHost{}
	case b.Failure.What != what:
		b.Failure = binding.LastingFailure{What: what, Since: now}
		return failingHost{}
	case now.Sub(b.Failure.Since) < FailureAlarmInterval:
		return failingHost{}
	}
	b.Failure.Since = now
	return failingHost{strings.TrimSpace(hostOf(*b)), what}
}

// alarmFailing tells the operator of a host at which the checks of so many bindings have failed in
// the same way for a day.
func (c checker) alarmFailing(ctx context.Context, of failingHost, bindings int) {
	if bindings > 0 {
		c.ledger.Log.ErrorContext(ctx, "checks have failed in the same way for a day",
			"alarm", "check_failing", "host", of.host, "problem", of.what, "bindings", bindings)
	}
}

// hostOf names the host that a record's checks ask: its platform and, where users name it, the
// host.
func hostOf(rec binding.Record) string {
	if u, err := url.Parse(rec.Address); err == nil {
		return rec.Platform + " " + u.Host
	}
	return rec.Platform + " " + rec.Address
}
