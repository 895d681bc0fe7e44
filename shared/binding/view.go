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

// The statuses; the first that applies counts.
const (
	StatusUnbound      Status = "unbound"
	StatusRevoked      Status = "revoked"
	StatusExpired      Status = "expired"
	StatusUnauthorized Status = "unauthorized"
	StatusUnreachable  Status = "unreachable"
	StatusExpiring     Status = "expiring"
	StatusBound        Status = "bound"
)

// Statuses lists them all.
func Statuses() []Status {
	return []Status{
		StatusUnbound, StatusRevoked, StatusExpired, StatusUnauthorized, StatusUnreachable,
		StatusExpiring, StatusBound,
	}
}

const (
	// expiring is how long before its end a token that its owner must renew is shown as expiring.
	expiring = 14 * 24 * time.Hour
	// unanswered is how many checks in a row must get no answer before a binding is unreachable.
	unanswered = 3
)

// StatusOf is a record's status at a time.
func StatusOf(rec table.Binding, now time.Time) Status {
	ends := rec.Token.ExpiresAt
	renewable := rec.Token.Refreshable
	switch {
	case !rec.Bound():
		return StatusUnbound
	case rec.Health == table.Revoked:
		return StatusRevoked
	case rec.Health == table.Expired, !ends.IsZero() && !ends.After(now) && !renewable:
		return StatusExpired
	case rec.Health == table.Unauthorized:
		return StatusUnauthorized
	case rec.Unanswered >= unanswered:
		return StatusUnreachable
	case !ends.IsZero() && !ends.After(now.Add(expiring)) && !renewable:
		return StatusExpiring
	}
	return StatusBound
}

// View is a binding as somebody may see it. Instance is set in the account's list only.
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
	if v.Status == StatusExpired && v.Record.Problem == nil {
		v.Record.Problem = problem.New(problem.TokenExpired).With("platform", s.title(rec.Platform))
	}
	return v
}

// Platforms describes the five, in their order.
func (s *Service) Platforms() []provider.Description {
	var list []provider.Description
	for _, platform := range s.platforms.All() {
		list = append(list, platform.Describe())
	}
	return list
}

// InstanceBindings lists all platforms of an instance in their order, unbound ones too. One
// call to the table.
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

// Filter narrows the account's list. Empty fields don't.
type Filter struct {
	Status   Status
	Platform string
	// Instances are those that the caller may see, out of the catalogue and by its own limits.
	Instances []instance.Instance
}

// AccountBindings lists an account's bindings, page by page; unbound ones have no record and are
// not among them, nor are those of an instance that is not in the filter's list. A page may be
// short, even empty, and yet have a cursor.
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

// History lists a binding's events, newest first, page by page. Events that are still on their
// way from the record to the history are there at once.
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

// describe is a key in a log line.
func describe(k table.Key) string {
	parts := []string{k.Account, k.Region, k.Instance, k.Platform}
	for i := range parts {
		parts[i] = strconv.Quote(parts[i])
	}
	return strings.Join(parts, "/")
}
