package binding_test

import (
	"slices"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

// bound returns a bound record with a test's changes.
func bound(change func(*binding.Record)) binding.Record {
	rec := binding.Record{
		Key:      key("i-1", provider.GitLab),
		Revision: "stamp-1",
		Token:    binding.Token{Secret: "0123456789abcdef0123456789abcdef", Generation: 1},
	}
	change(&rec)
	return rec
}

func TestTheFirstStatusThatAppliesCounts(t *testing.T) {
	now := newClock().Now()
	day := 24 * time.Hour
	ends := func(in time.Duration) func(*binding.Record) {
		return func(b *binding.Record) { b.Token.ExpiresAt = now.Add(in) }
	}
	health := func(h binding.Health) func(*binding.Record) {
		return func(b *binding.Record) { b.Health = h }
	}
	silent := func(n int) func(*binding.Record) {
		return func(b *binding.Record) { b.Unanswered = n }
	}
	renewable := func(b *binding.Record) { b.Token.Refreshable = true }
	type changes = []func(*binding.Record)
	for _, c := range []struct {
		name    string
		changes changes
		want    binding.Status
	}{
		{"nothing known of an end", nil, binding.StatusBound},
		{"ends in a year", changes{ends(365 * day)}, binding.StatusBound},
		{
			"a millisecond more than 14 days",
			changes{ends(14*day + time.Millisecond)},
			binding.StatusBound,
		},
		{"14 days", changes{ends(14 * day)}, binding.StatusExpiring},
		{"a millisecond left", changes{ends(time.Millisecond)}, binding.StatusExpiring},
		{"at its end", changes{ends(0)}, binding.StatusExpired},
		{"after its end", changes{ends(-day)}, binding.StatusExpired},
		{"14 days, renewable", changes{ends(14 * day), renewable}, binding.StatusBound},
		{"at its end, renewable", changes{ends(0), renewable}, binding.StatusBound},
		{"the platform says expired", changes{health(binding.HealthExpired)}, binding.StatusExpired},
		{"expired, renewable", changes{health(binding.HealthExpired), renewable}, binding.StatusExpired},
		{"scopes taken away", changes{health(binding.HealthUnauthorized)}, binding.StatusUnauthorized},
		{"two checks without an answer", changes{silent(2)}, binding.StatusBound},
		{"three checks without an answer", changes{silent(3)}, binding.StatusUnreachable},
		{"silent and expiring", changes{silent(3), ends(day)}, binding.StatusUnreachable},
		{
			"silent and unauthorized",
			changes{silent(9), health(binding.HealthUnauthorized)},
			binding.StatusUnauthorized,
		},
		{
			"unauthorized and at its end",
			changes{health(binding.HealthUnauthorized), ends(0)},
			binding.StatusExpired,
		},
		{
			"unauthorized and expiring",
			changes{health(binding.HealthUnauthorized), ends(day)},
			binding.StatusUnauthorized,
		},
		{
			"revoked and at its end",
			changes{health(binding.HealthRevoked), ends(0)},
			binding.StatusRevoked,
		},
		{"revoked and silent", changes{health(binding.HealthRevoked), silent(3)}, binding.StatusRevoked},
		{"no secret, whatever else", changes{
			health(binding.HealthRevoked), silent(3), ends(0),
			func(b *binding.Record) { b.Token.Secret = "" },
		}, binding.StatusUnbound},
	} {
		rec := bound(func(b *binding.Record) {
			for _, change := range c.changes {
				change(b)
			}
		})
		testkit.Want(t, c.name, binding.StatusOf(rec, now), c.want)
		if !slices.Contains(binding.Statuses(), c.want) {
			t.Errorf("%s is not among the statuses", c.want)
		}
	}
}

func TestAnExpiredTokenHasAProblemToShow(t *testing.T) {
	b := newHarness(t)
	v := b.Ledger.View(bound(func(r *binding.Record) { r.Token.ExpiresAt = b.clock().Now() }))
	if v.Record.Problem == nil || v.Record.Problem.Code != problem.TokenExpired {
		t.Fatalf("got the problem %v, want %s", v.Record.Problem, problem.TokenExpired)
	}
	testkit.Want(t, "platform of the problem", v.Record.Problem.Params["platform"], "GitLab")
	told := problem.New(problem.UserBlocked)
	v = b.Ledger.View(bound(func(r *binding.Record) {
		r.Health, r.Problem = binding.HealthExpired, told
	}))
	testkit.Want(t, "a problem that is known", v.Record.Problem, told)
}

func TestAMatchHoldsForTheBindingThatItNames(t *testing.T) {
	is, none := bound(func(*binding.Record) {}), binding.Record{}
	unbound := binding.Record{Revision: "stamp-1"}
	for _, c := range []struct {
		name  string
		match binding.Match
		rec   binding.Record
		want  bool
	}{
		{"no condition, bound", binding.Match{}, is, true},
		{"no condition, no row", binding.Match{}, none, true},
		{"its tag", binding.Match{ETags: []string{"stamp-1"}}, is, true},
		{"one of several tags", binding.Match{ETags: []string{"stamp-0", "stamp-1"}}, is, true},
		{"another tag", binding.Match{ETags: []string{"stamp-0"}}, is, false},
		{"any, bound", binding.Match{ETags: []string{"*"}}, is, true},
		{"any, no row", binding.Match{ETags: []string{"*"}}, none, false},
		{"any, unbound", binding.Match{ETags: []string{"*"}}, unbound, false},
		{"the tag of an unbound row", binding.Match{ETags: []string{"stamp-1"}}, unbound, false},
		{"an empty tag, no row", binding.Match{ETags: []string{""}}, none, false},
		{"a condition that names nothing", binding.Match{ETags: []string{}}, is, false},
	} {
		testkit.Want(t, c.name, c.match.Allows(c.rec), c.want)
	}
}
