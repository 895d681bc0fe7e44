package delivery

import (
	"context"
	"errors"
	"slices"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// events returns the events of a delivery.
func (q *questions) events(
	ctx context.Context, row binding.Subscription, d provider.Delivery,
) (events []binding.SourceEvent, err error) {
	if d.Test {
		e := binding.SourceEvent{
			ID: binding.SourceEventID(row.ID, d.ID, ""), Type: binding.SourcePushed,
		}
		ignore(&e, binding.IgnoredTest)
		return []binding.SourceEvent{e}, nil
	}
	for _, change := range d.Changes {
		e, ok := newEvent(row, d, change)
		if !ok {
			continue
		}
		told, err := q.event(ctx, row, d, &e, change.Deleted)
		if err != nil {
			return nil, err
		}
		if !told {
			events = append(events, e)
		}
	}
	return events, nil
}

// event decides whether an event waits for the receiver, and asks the platform what it must. told
// reports whether the receiver knows what an unsigned delivery tells of.
func (q *questions) event(
	ctx context.Context, row binding.Subscription, d provider.Delivery, e *binding.SourceEvent,
	deletion bool,
) (told bool, err error) {
	if filter(row, e, d.Confirmed); e.State == binding.EventIgnored || row.Knows(e.ID) {
		return false, nil
	}
	if d.Confirmed {
		return false, q.complete(ctx, row, e)
	}
	if e.Merge == nil {
		return q.confirmRef(ctx, row, e, deletion)
	}
	if err := q.confirmMerge(ctx, row, e); err != nil {
		return false, err
	}
	filter(row, e, true)
	return false, nil
}

// newEvent returns the event of a change. Of one that isn't confirmed it has only the name of the
// ref, or the number of the merge request and the action. ok is false for what no subscription can
// ask for.
func newEvent(
	row binding.Subscription, d provider.Delivery, c provider.Change,
) (e binding.SourceEvent, ok bool) {
	e = binding.SourceEvent{Ref: c.Ref, State: binding.EventWaiting}
	if c.Merge != nil {
		e.Type, ok = mergeTypes[c.Merge.Action]
		e.Merge = &binding.Merge{Number: c.Merge.Number}
		ok = ok && len(c.Merge.Source) <= maxName
	} else {
		e.Type, ok = binding.RefEventType(c.Ref)
	}
	if d.Confirmed {
		e.Before, e.Commit, e.Pusher, e.CompareURL = c.Before, c.Commit, c.Pusher, c.CompareURL
		e.Created, e.Deleted, e.Forced = c.Created, c.Deleted, c.Forced
		e.Commits, e.Titles, e.Merge = c.Commits, c.Titles, mergeOf(c.Merge)
	}
	e.ID = binding.SourceEventID(row.ID, d.ID, e.OrderKey())
	return e, ok && len(c.Ref) <= maxName
}

// filter ignores an event that the subscription doesn't ask for. The branch of a merge request that
// isn't confirmed says nothing.
func filter(row binding.Subscription, e *binding.SourceEvent, confirmed bool) {
	kind, ok := binding.PushKind, true
	switch {
	case e.Merge != nil:
		kind, ok = binding.MergeKind, !confirmed || matches(row, e.Ref)
	case e.Type == binding.SourceTagged:
		kind = binding.TagKind
	default:
		ok = matches(row, e.Ref)
	}
	switch {
	case e.State == binding.EventIgnored:
	case !row.Subscribes(kind):
		ignore(e, binding.IgnoredKind)
	case !ok:
		ignore(e, binding.IgnoredBranch)
	}
}

func matches(row binding.Subscription, ref string) bool {
	return binding.MatchBranch(row.Branches, strings.TrimPrefix(ref, "refs/heads/"))
}

func ignore(e *binding.SourceEvent, reason string) {
	e.State, e.Reason = binding.EventIgnored, reason
}

// mergeTypes are the types of the actions of merge requests.
var mergeTypes = map[string]string{
	"opened":  binding.SourceOpened,
	"updated": binding.SourceUpdated,
	"closed":  binding.SourceClosed,
	"merged":  binding.SourceMerged,
}

func actionOf(kind string) string { return strings.TrimPrefix(kind, "source.") }

func mergeOf(m *provider.MergeRequest) *binding.Merge {
	if m == nil {
		return nil
	}
	return &binding.Merge{Number: m.Number, Title: m.Title, Source: m.Source, URL: m.URL}
}

// syncedHead returns the head that the last sync has left of a ref which the row has no head of, ""
// if it found no such ref. known is false if there was no sync, or if it leaves refs of this kind
// out.
func (s *Service) syncedHead(
	ctx context.Context, row binding.Subscription, ref string,
) (commit string, known bool, err error) {
	if row.AllHeads {
		return "", true, nil
	}
	heads, err := s.ledger.Table.SubscriptionHeads(ctx, row.ID)
	switch {
	case errors.Is(err, table.ErrNotFound):
		return "", false, nil
	case err != nil:
		return "", false, ledger.Unavailable("reading the heads", err)
	}
	for _, head := range heads.List {
		if head.Ref == ref {
			return head.Commit, true, nil
		}
	}
	cut := slices.ContainsFunc(heads.Cut, func(kind string) bool {
		return strings.HasPrefix(ref, "refs/"+kind+"/")
	})
	return "", !cut, nil
}
