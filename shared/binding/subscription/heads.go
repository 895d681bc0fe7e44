package subscription

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/table"
)

// maxRefPages is how many pages of branches, and of tags, a sync reads. Refs of a repository with
// more are not compared.
const maxRefPages = 50

// maxTitled is how many refs may have changed for a sync to ask for the title of each.
const maxTitled = 10

// comparison is what a sync has read to find out which changes the receiver was not told of.
type comparison struct {
	start    binding.Subscription // the row before the refs were listed
	listed   map[string]string    // the commits of the refs, as the platform lists them
	cut      map[provider.RefKind]bool
	deleted  map[string]bool // the refs that aren't listed and that the platform doesn't have
	told     toldHeads
	baseline bool                       // it is the first one: see takes
	commits  map[string]provider.Commit // of the changed refs, by their hashes, if these are few
	refused  *binding.RefusedMerge      // a merge request that the platform refuses to tell of
}

// refKinds returns the kinds of refs that a subscription watches.
func refKinds(sub binding.Subscription) (kinds []provider.RefKind) {
	if sub.Subscribes(binding.PushKind) {
		kinds = append(kinds, provider.Branches)
	}
	if sub.Subscribes(binding.TagKind) {
		kinds = append(kinds, provider.Tags)
	}
	return kinds
}

// kindOf returns the kind of a ref and its name.
func kindOf(ref string) (kind provider.RefKind, name string) {
	first, name, _ := strings.Cut(strings.TrimPrefix(ref, "refs/"), "/")
	return provider.RefKind(first), name
}

// watches reports whether a subscription asks for the changes of a ref.
func watches(sub binding.Subscription, ref string) bool {
	kind, name := kindOf(ref)
	return slices.Contains(refKinds(sub), kind) &&
		(kind == provider.Tags || binding.MatchBranch(sub.Branches, name))
}

// listHeads lists the refs that a subscription watches. cut are the kinds of which there are too
// many for a sync, or for a row with their heads; none of these is in heads.
func (s *Service) listHeads(
	ctx context.Context, at site, sub binding.Subscription,
) (heads map[string]string, cut map[provider.RefKind]bool, err error) {
	heads, cut = map[string]string{}, map[provider.RefKind]bool{}
	for _, kind := range refKinds(sub) {
		cursor := ""
		for pages := 0; ; pages++ {
			if pages == maxRefPages {
				cut[kind] = true
				break
			}
			page, err := ask(ctx, s, at, "Refs", func(ctx context.Context) (provider.RefPage, error) {
				return at.Refs(ctx, at.credential, sub.Repository.ID, kind, "", cursor)
			})
			if err != nil {
				return nil, nil, err
			}
			for _, r := range page.Refs {
				if ref := "refs/" + string(kind) + "/" + r.Name; watches(sub, ref) {
					heads[ref] = r.Commit
				}
			}
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
	}
	for kind := range cut {
		dropKind(heads, kind)
	}
	for _, kind := range refKinds(sub) {
		if !binding.HeadsFit(headList(heads)) {
			cut[kind] = true
			dropKind(heads, kind)
		}
	}
	return heads, cut, nil
}

// dropKind removes the refs of a kind.
func dropKind(heads map[string]string, kind provider.RefKind) {
	maps.DeleteFunc(heads, func(ref, _ string) bool { of, _ := kindOf(ref); return of == kind })
}

// headList returns heads in the order of their refs.
func headList(heads map[string]string) (list []binding.Head) {
	for _, ref := range slices.Sorted(maps.Keys(heads)) {
		list = append(list, binding.Head{Ref: ref, Commit: heads[ref]})
	}
	return list
}

// toldHeads are the heads as the last sync has left them.
type toldHeads struct {
	version string
	heads   map[string]string // ref -> commit
	cut     map[provider.RefKind]bool
}

// toldHeads reads the heads that the last sync has left, and reports whether there are any.
func (s *Service) toldHeads(
	ctx context.Context, sub binding.Subscription,
) (told toldHeads, found bool, err error) {
	row, err := s.ledger.Table.SubscriptionHeads(ctx, sub.ID)
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		return told, false, ledger.Unavailable("reading the heads", err)
	}
	told = toldHeads{row.Version, map[string]string{}, map[provider.RefKind]bool{}}
	for _, h := range row.List {
		told.heads[h.Ref] = h.Commit
	}
	for _, kind := range row.Cut {
		told.cut[provider.RefKind(kind)] = true
	}
	return told, err == nil, nil
}

// packed returns the heads as the table keeps them.
func (t toldHeads) packed(id string) binding.Heads {
	packed := binding.Heads{Subscription: id, Version: t.version, List: headList(t.heads)}
	for _, kind := range slices.Sorted(maps.Keys(t.cut)) {
		packed.Cut = append(packed.Cut, string(kind))
	}
	return packed
}

// changeHeads edits the heads that the last sync has left, which were read as told. An edit is made
// again if they have changed since. Heads that are gone are not written: the subscription has
// ended.
func (s *Service) changeHeads(
	ctx context.Context, sub binding.Subscription, told toldHeads, edit func(*toldHeads),
) error {
	for range ledger.MaxTries {
		next := told
		next.heads, next.cut = maps.Clone(told.heads), maps.Clone(told.cut)
		edit(&next)
		if told.version != "" && maps.Equal(next.heads, told.heads) && maps.Equal(next.cut, told.cut) {
			return nil
		}
		_, err := s.ledger.Table.SaveSubscriptionHeads(ctx, next.packed(sub.ID))
		if err == nil {
			return nil
		}
		if !errors.Is(err, table.ErrConflict) {
			return ledger.Unavailable("saving the heads", err)
		}
		var found bool
		if told, found, err = s.toldHeads(ctx, sub); err != nil || !found {
			return err
		}
	}
	return ledger.Unavailable("saving the heads", table.ErrConflict)
}

// spillHeads moves the older heads of a row to those of the last sync while the row has room for
// more, since it can't forget any: a sync would take them for changes that the receiver was not
// told of.
func (s *Service) spillHeads(
	ctx context.Context, sub binding.Subscription,
) (binding.Subscription, error) {
	older := sub.OlderHeads()
	if len(older) == 0 || sub.Claim.After(s.ledger.Now()) {
		return sub, nil
	}
	told, found, err := s.toldHeads(ctx, sub)
	if err != nil || !found {
		return sub, err
	}
	err = s.changeHeads(ctx, sub, told, func(told *toldHeads) {
		for _, h := range older {
			if told.heads[h.Ref] = h.Commit; h.Commit == "" {
				delete(told.heads, h.Ref)
			}
		}
	})
	if errors.Is(err, binding.ErrTooManyHeads) {
		return sub, nil // the sync that a full row asks for watches fewer refs
	}
	if err != nil {
		return sub, err
	}
	return s.ledger.ChangeSubscription(ctx, sub, func(row *binding.Subscription) bool {
		row.RemoveHeads(older)
		return true
	})
}

// compareHeads reads the heads of the refs at the platform and those that the receiver was told of.
// sub is the row as it was before.
func (s *Service) compareHeads(
	ctx context.Context, at site, sub binding.Subscription,
) (c comparison, err error) {
	told, found, err := s.toldHeads(ctx, sub)
	if err != nil {
		return c, err
	}
	listed, cut, err := s.listHeads(ctx, at, sub)
	if err != nil {
		return c, err
	}
	c = comparison{
		start: sub, listed: listed, cut: cut, told: told,
		baseline: !found || sub.SyncedAt.IsZero(), refused: s.refusedMerge(ctx, at, sub),
	}
	s.confirmDeletions(ctx, at, &c)
	return c, nil
}

// maxConfirmed is how many refs a sync asks for because the list of refs doesn't have them any
// more. Further ones are left to the next.
const maxConfirmed = 64

// confirmDeletions asks for each ref that the receiver knows and the platform doesn't list: a list
// of several pages shifts while it is read. What isn't answered stays in doubt.
func (s *Service) confirmDeletions(ctx context.Context, at site, c *comparison) {
	c.deleted = map[string]bool{}
	asked := 0
	for _, ref := range c.refs() {
		known, _ := c.known(ref)
		if _, listed := c.listed[ref]; listed || known == "" || c.ignores(c.start, ref) {
			continue
		}
		if asked++; asked > maxConfirmed {
			return
		}
		found, err := ask(ctx, s, at, "Commit", func(ctx context.Context) (provider.Commit, error) {
			name := strings.TrimPrefix(ref, "refs/")
			return at.Commit(ctx, at.credential, c.start.Repository.ID, name)
		})
		switch {
		case problem.Is(err, problem.RefUnknown):
			c.deleted[ref] = true
		case err != nil:
			return
		default:
			c.listed[ref] = found.Hash
		}
	}
}

// ignores reports whether a sync doesn't compare a ref.
func (c comparison) ignores(sub binding.Subscription, ref string) bool {
	kind, _ := kindOf(ref)
	return !watches(sub, ref) || c.cut[kind]
}

// takes reports whether a ref is taken as it is: the receiver was told of none of its kind, so an
// unknown one is not new.
func (c comparison) takes(ref string) bool {
	kind, _ := kindOf(ref)
	return c.baseline || c.told.cut[kind]
}

// refusedMerge asks for a merge request where deliveries are confirmed by that, and returns it if
// the token or its user may not read it. Whether it exists doesn't matter.
func (s *Service) refusedMerge(
	ctx context.Context, at site, sub binding.Subscription,
) *binding.RefusedMerge {
	platform, ok := at.WebhookPlatform.(provider.MergePlatform)
	if !ok || !sub.Subscribes(binding.MergeKind) || sub.Signed && sub.Refused == nil {
		return nil
	}
	number := "1"
	if sub.Refused != nil {
		number = sub.Refused.Number
	}
	_, err := ask(ctx, s, at, "MergeRequest", func(ctx context.Context) (provider.Change, error) {
		return platform.MergeRequest(ctx, at.credential, sub.Repository.ID, number)
	})
	switch {
	case problem.Is(err, problem.WebhooksForbidden):
		return binding.NewRefusedMerge(number, s.ledger.Title(sub.Binding.Platform), err)
	case err == nil, problem.Is(err, problem.RefUnknown):
		return nil
	}
	return sub.Refused // it is not known now
}

// noteMerges writes into a row whether the platform refuses to tell of merge requests, unless a
// delivery has found that out meanwhile.
func (c comparison) noteMerges(row *binding.Subscription) {
	if row.Refused == nil || c.start.Refused != nil {
		row.Refuse(c.refused)
	} else {
		row.Refuse(row.Refused)
	}
}

// describe asks for the commits of the refs that have changed, if these are few. Without the answer
// only the titles are missing.
func (s *Service) describe(
	ctx context.Context, at site, sub binding.Subscription, c *comparison,
) {
	var changed []string
	for ref, head := range c.listed {
		if known, isKnown := c.known(ref); head != known && (isKnown || !c.takes(ref)) {
			changed = append(changed, ref)
		}
	}
	if len(changed) > maxTitled {
		return
	}
	c.commits = map[string]provider.Commit{}
	for _, ref := range changed {
		found, err := ask(ctx, s, at, "Commit", func(ctx context.Context) (provider.Commit, error) {
			return at.Commit(ctx, at.credential, sub.Repository.ID, strings.TrimPrefix(ref, "refs/"))
		})
		if err != nil {
			return
		}
		c.commits[found.Hash] = found
	}
}

// addBaseline takes the refs that a subscription is about to watch in addition as they are.
func (s *Service) addBaseline(
	ctx context.Context, at site, before, next binding.Subscription,
) error {
	told, found, err := s.toldHeads(ctx, before)
	if err != nil || !found {
		return err // without any, the next sync takes all as they are
	}
	heads, cut, err := s.listHeads(ctx, at, next)
	if err != nil {
		return err
	}
	return s.changeHeads(ctx, before, told, func(told *toldHeads) {
		for ref, commit := range heads {
			if !watches(before, ref) {
				told.heads[ref] = commit
			}
		}
		for kind := range cut {
			told.cut[kind] = true
		}
	})
}

// saveFirstHeads saves the heads of a subscription that has none, before its row is saved: that
// save fails if the subscription has ended meanwhile, and its end would not delete heads that are
// saved later. The row has the heads of the refs that change meanwhile.
func (s *Service) saveFirstHeads(
	ctx context.Context, sub binding.Subscription, c comparison,
) error {
	if c.told.version != "" {
		return nil
	}
	first := toldHeads{heads: c.listed, cut: c.cut}
	_, err := s.ledger.Table.SaveSubscriptionHeads(ctx, first.packed(sub.ID))
	if err != nil && !errors.Is(err, table.ErrConflict) { // a save whose reply was lost
		return ledger.Unavailable("saving the heads", err)
	}
	return nil
}

// saveToldHeads saves the heads that the receiver was told of when a sync has ended.
func (s *Service) saveToldHeads(
	ctx context.Context, sub binding.Subscription, c comparison, told map[string]string,
) error {
	if c.told.version == "" {
		return nil // they were the first
	}
	return s.changeHeads(ctx, sub, c.told, func(next *toldHeads) {
		for ref := range c.told.heads { // another invocation may have added some
			if _, ok := told[ref]; !ok {
				delete(next.heads, ref)
			}
		}
		maps.Copy(next.heads, told)
		next.cut = c.cut
	})
}

// known returns the last head of a ref that the receiver was told of, "" if it was told that the
// ref is deleted, and whether it was told any.
func (c comparison) known(ref string) (commit string, ok bool) {
	if commit, ok = c.start.KnownHead(ref); ok {
		return commit, true
	}
	commit, ok = c.told.heads[ref]
	return commit, ok
}

// refs returns the refs to compare, in their order: those that are listed, and those that the
// receiver knows.
func (c comparison) refs() []string {
	all := maps.Clone(c.listed)
	maps.Copy(all, c.told.heads)
	for _, h := range c.start.Heads {
		all[h.Ref] = h.Commit
	}
	return slices.Sorted(maps.Keys(all))
}

// refsLeft says which refs a sync has left to the next.
type refsLeft struct {
	full    bool // there was no room for their events, or a deletion could not be confirmed
	changed bool // deliveries have told of them meanwhile, and the platform listed another head
}

// catchUp adds an event to the row for each change that the receiver was not told of. It returns
// how many, and the heads that the receiver was told of then. A ref whose known head has changed
// since the refs were listed is left to the next sync: what the platform listed may be older.
func (s *Service) catchUp(
	row *binding.Subscription, c comparison,
) (added int, told map[string]string, left refsLeft) {
	told = map[string]string{}
	for _, ref := range c.refs() {
		if c.ignores(*row, ref) {
			continue
		}
		head := c.listed[ref]
		known, isKnown := c.known(ref)
		before, was := c.start.KnownHead(ref)
		now, is := row.KnownHead(ref)
		switch {
		case is && (now != before || !was): // a head that is not in the row any more was told
			left.changed = left.changed || now != head
			head = now
		case head == known, !isKnown && c.takes(ref):
		case head == "" && !c.deleted[ref]: // it isn't known whether it is there
			left.full, head = true, known
		case s.addCaughtUp(row, ref, known, head, c.commits[head]):
			added++
		default:
			left.full, head = true, known
		}
		if head != "" {
			told[ref] = head
		}
	}
	return added, told, left
}

// addCaughtUp adds the event of a change that a sync has found, and reports whether there was room.
// found is the commit, or zero.
func (s *Service) addCaughtUp(
	row *binding.Subscription, ref, before, commit string, found provider.Commit,
) bool {
	kind, ok := binding.RefEventType(ref)
	if !ok {
		return true
	}
	e := binding.SourceEvent{
		ID: binding.CaughtUpID(row.ID, ref, before, commit), Type: kind, State: binding.EventWaiting,
		Ref: ref, Before: before, Commit: commit, Created: before == "", Deleted: commit == "",
		CaughtUp: true, Titles: found.Titles(), CompareURL: found.URL,
	}
	result := row.Add(e, s.ledger.Now())
	if head, _ := row.KnownHead(ref); result == binding.Repeated && head != commit {
		// The ref has gone this way before, and back.
		e.ID = binding.CaughtUpID(row.ID, ref, before, commit+strconv.FormatInt(row.EventCount, 10))
		result = row.Add(e, s.ledger.Now())
	}
	return result != binding.Full
}
