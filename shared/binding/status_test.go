package binding

import (
	"slices"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// bound returns a bound record with a test's changes.
func bound(change func(*table.Binding)) table.Binding {
	rec := table.Binding{
		Key:      key("i-1", provider.GitLab),
		Revision: "stamp-1",
		Token:    table.Token{Secret: "0123456789abcdef0123456789abcdef", Generation: 1},
	}
	change(&rec)
	return rec
}

func TestTheFirstStatusThatAppliesCounts(t *testing.T) {
	now := newClock().now()
	day := 24 * time.Hour
	ends := func(in time.Duration) func(*table.Binding) {
		return func(b *table.Binding) { b.Token.ExpiresAt = now.Add(in) }
	}
	health := func(h table.Health) func(*table.Binding) {
		return func(b *table.Binding) { b.Health = h }
	}
	silent := func(n int) func(*table.Binding) {
		return func(b *table.Binding) { b.Unanswered = n }
	}
	renewable := func(b *table.Binding) { b.Token.Refreshable = true }
	type changes = []func(*table.Binding)
	for _, c := range []struct {
		name    string
		changes changes
		want    Status
	}{
		{"nothing known of an end", nil, StatusBound},
		{"ends in a year", changes{ends(365 * day)}, StatusBound},
		{"a millisecond more than 14 days", changes{ends(14*day + time.Millisecond)}, StatusBound},
		{"14 days", changes{ends(14 * day)}, StatusExpiring},
		{"a millisecond left", changes{ends(time.Millisecond)}, StatusExpiring},
		{"at its end", changes{ends(0)}, StatusExpired},
		{"after its end", changes{ends(-day)}, StatusExpired},
		{"14 days, renewable", changes{ends(14 * day), renewable}, StatusBound},
		{"at its end, renewable", changes{ends(0), renewable}, StatusBound},
		{"the platform says expired", changes{health(table.Expired)}, StatusExpired},
		{"expired, renewable", changes{health(table.Expired), renewable}, StatusExpired},
		{"scopes taken away", changes{health(table.Unauthorized)}, StatusUnauthorized},
		{"two checks without an answer", changes{silent(2)}, StatusBound},
		{"three checks without an answer", changes{silent(3)}, StatusUnreachable},
		{"silent and expiring", changes{silent(3), ends(day)}, StatusUnreachable},
		{
			"silent and unauthorized",
			changes{silent(9), health(table.Unauthorized)},
			StatusUnauthorized,
		},
		{
			"unauthorized and at its end",
			changes{health(table.Unauthorized), ends(0)},
			StatusExpired,
		},
		{
			"unauthorized and expiring",
			changes{health(table.Unauthorized), ends(day)},
			StatusUnauthorized,
		},
		{"revoked and at its end", changes{health(table.Revoked), ends(0)}, StatusRevoked},
		{"revoked and silent", changes{health(table.Revoked), silent(3)}, StatusRevoked},
		{"no secret, whatever else", changes{
			health(table.Revoked), silent(3), ends(0),
			func(b *table.Binding) { b.Token.Secret = "" },
		}, StatusUnbound},
	} {
		rec := bound(func(b *table.Binding) {
			for _, change := range c.changes {
				change(b)
			}
		})
		want(t, c.name, StatusOf(rec, now), c.want)
		if !slices.Contains(Statuses(), c.want) {
			t.Errorf("%s is not among the statuses", c.want)
		}
	}
}

func TestAnExpiredTokenHasAProblemToShow(t *testing.T) {
	b := newHarness(t)
	v := b.view(bound(func(r *table.Binding) { r.Token.ExpiresAt = b.clock().now() }))
	if v.Record.Problem == nil || v.Record.Problem.Code != problem.TokenExpired {
		t.Fatalf("got the problem %v, want %s", v.Record.Problem, problem.TokenExpired)
	}
	want(t, "platform of the problem", v.Record.Problem.Params["platform"], "GitLab")
	told := problem.New(problem.UserBlocked)
	v = b.view(bound(func(r *table.Binding) { r.Health, r.Problem = table.Expired, told }))
	want(t, "a problem that is known", v.Record.Problem, told)
}

func TestAMatchHoldsForTheBindingThatItNames(t *testing.T) {
	is, none := bound(func(*table.Binding) {}), table.Binding{}
	unbound := table.Binding{Revision: "stamp-1"}
	for _, c := range []struct {
		name  string
		match Match
		rec   table.Binding
		want  bool
	}{
		{"no condition, bound", nil, is, true},
		{"no condition, no row", nil, none, true},
		{"its tag", Match{"stamp-1"}, is, true},
		{"one of several tags", Match{"stamp-0", "stamp-1"}, is, true},
		{"another tag", Match{"stamp-0"}, is, false},
		{"any, bound", Match{"*"}, is, true},
		{"any, no row", Match{"*"}, none, false},
		{"any, unbound", Match{"*"}, unbound, false},
		{"the tag of an unbound row", Match{"stamp-1"}, unbound, false},
		{"an empty tag, no row", Match{""}, none, false},
		{"a condition that names nothing", Match{}, is, false},
	} {
		want(t, c.name, c.match.allows(c.rec), c.want)
	}
}
