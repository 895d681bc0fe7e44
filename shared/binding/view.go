package binding

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// Status is how a binding is doing.
type Status string

// The statuses. The first that applies is a binding's status.
const (
	StatusUnbound      Status = "unbound"
	StatusUnknown      Status = "unknown" // written by a newer version of Bindery
	StatusRevoked      Status = "revoked"
	StatusExpired      Status = "expired"
	StatusUnauthorized Status = "unauthorized"
	StatusUnreachable  Status = "unreachable"
	StatusExpiring     Status = "expiring"
	StatusBound        Status = "bound"
)

// Statuses returns all statuses, in that order.
func Statuses() []Status {
	return []Status{
		StatusUnbound, StatusUnknown, StatusRevoked, StatusExpired, StatusUnauthorized,
		StatusUnreachable, StatusExpiring, StatusBound,
	}
}

const (
	// expiringPeriod is how long before its expiry a token that its owner must renew is shown as
	// expiring.
	expiringPeriod = 14 * 24 * time.Hour
	// minUnansweredChecks is how many checks in a row get no answer before a binding is unreachable.
	minUnansweredChecks = 3
)

// StatusOf returns a record's status at the time now.
func StatusOf(rec table.Binding, now time.Time) Status {
	expiry := rec.Token.ExpiresAt
	refreshable := rec.Token.Refreshable
	switch {
	case !rec.Bound():
		return StatusUnbound
	case fromNewerVersion(rec):
		return StatusUnknown
	case rec.Health == table.Revoked:
		return StatusRevoked
	case rec.Health == table.Expired, !expiry.IsZero() && !expiry.After(now) && !refreshable:
		return StatusExpired
	case rec.Health == table.Unauthorized:
		return StatusUnauthorized
	case rec.Unanswered >= minUnansweredChecks:
		return StatusUnreachable
	case !expiry.IsZero() && !expiry.After(now.Add(expiringPeriod)) && !refreshable:
		return StatusExpiring
	}
	return StatusBound
}

// View is a binding as its account may see it. Instance is set by [Service.AccountBindings] only.
type View struct {
	Record   table.Binding
	Status   Status
	Method   provider.Method
	Instance instance.Instance
}

func (s *Service) view(rec table.Binding) View {
	v := View{Record: rec, Status: StatusOf(rec, s.now())}
	if platform, ok := s.platforms.Get(rec.Platform); ok {
		v.Method = platform.Describe().Method
	}
	switch {
	case rec.Problem != nil:
	case v.Status == StatusExpired:
		v.Record.Problem = problem.New(problem.TokenExpired).With("platform", s.title(rec.Platform))
	case v.Status == StatusUnknown:
		v.Record.Problem = problem.New(problem.NewerVersion)
	}
	return v
}

// Platforms describes the five platforms, in their order.
func (s *Service) Platforms() []provider.Description {
	var list []provider.Description
	for _, platform := range s.platforms.All() {
		list = append(list, platform.Describe())
	}
	return list
}

// InstanceBindings lists all five platforms of an instance in their order, unbound ones too. It makes
// one call to the table.
func (s *Service) InstanceBindings(
	ctx context.Context, account string, i instance.Instance,
) ([]View, error) {
	ctx = s.startInvocation(ctx)
	recs, err := s.table.InstanceBindings(ctx, account, i.Region, i.ID)
	if err != nil {
		return nil, unavailable("listing the bindings", err)
	}
	var views []View
	for _, name := range s.platforms.Names() {
		at := slices.IndexFunc(recs, func(r table.Binding) bool { return r.Platform == name })
		if at >= 0 {
			views = append(views, s.view(recs[at]))
			continue
		}
		views = append(views, s.view(table.Binding{Key: keyOf(account, i, name)}))
	}
	return views, nil
}

// Filter narrows the list of an account's bindings. An empty Status or Platform matches all.
type Filter struct {
	Status   Status
	Platform string
	// Instances are those of the catalogue that the caller may see. A binding of another instance is
	// not listed.
	Instances []instance.Instance
}

// AccountBindings lists one page of an account's bindings and returns the cursor of the next, "" after
// the last. Unbound platforms have no record and are not listed. A page may be short, even empty, and
// yet have a cursor.
func (s *Service) AccountBindings(
	ctx context.Context, account string, f Filter, cursor string,
) ([]View, string, error) {
	ctx = s.startInvocation(ctx)
	page, err := s.table.AccountBindings(ctx, account, cursor, pageSize)
	if errors.Is(err, table.ErrCursor) {
		return nil, "", badCursor()
	}
	if err != nil {
		return nil, "", unavailable("listing the account's bindings", err)
	}
	views := []View{}
	for _, rec := range page.Items {
		v := s.view(rec)
		at := slices.IndexFunc(f.Instances, func(i instance.Instance) bool {
			return i.Region == rec.Region && i.ID == rec.Instance
		})
		if at < 0 || !rec.Bound() ||
			f.Status != "" && v.Status != f.Status ||
			f.Platform != "" && rec.Platform != f.Platform {
			continue
		}
		v.Instance = f.Instances[at]
		views = append(views, v)
	}
	return views, page.Cursor, nil
}

func badCursor() error {
	return problem.New(problem.InputMalformed).Because("cursor").With("field", "cursor")
}

// History lists one page of a binding's events, newest first, and returns the cursor of the next, ""
// after the last. The first page includes the events that are still in the record.
func (s *Service) History(
	ctx context.Context, account string, i instance.Instance, platform, cursor string,
) ([]table.Event, string, error) {
	ctx = s.startInvocation(ctx)
	if _, ok := s.platforms.Get(platform); !ok {
		return nil, "", problem.New(problem.PlatformUnknown)
	}
	key := keyOf(account, i, platform)
	var waiting []table.Event
	if cursor == "" {
		rec, err := s.record(ctx, key)
		if err != nil {
			return nil, "", err
		}
		waiting = rec.Events
	}
	page, err := s.table.ListHistory(ctx, key, table.NewestFirst, cursor, pageSize)
	if errors.Is(err, table.ErrCursor) {
		return nil, "", badCursor()
	}
	if err != nil {
		return nil, "", unavailable("reading the history", err)
	}
	events := page.Items
	for _, e := range waiting {
		if !slices.ContainsFunc(page.Items, func(p table.Event) bool { return p.ID == e.ID }) {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b table.Event) int {
		return strings.Compare(b.Position(), a.Position())
	})
	return events, page.Cursor, nil
}

// describe returns a key in the form of a log line.
func describe(k table.Key) string {
	parts := []string{k.Account, k.Region, k.Instance, k.Platform}
	for i := range parts {
		parts[i] = strconv.Quote(parts[i])
	}
	return strings.Join(parts, "/")
}
