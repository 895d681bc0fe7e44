package git

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Change is a ref that was created, moved or deleted.
type Change struct {
	Ref           string // "refs/heads/main"
	Before, After string // full hashes, or all zeros; of an annotated tag the tag's object
	// Commit is the commit that After points at; "" if the ref was deleted.
	Commit string
	// BeforeCommit is the commit that Before points at; "" if the ref is new.
	BeforeCommit string
	// Forced says that the commit before is no ancestor of the one after.
	Forced bool
	// Commits are the ones that were pushed, oldest first: those that a moved ref didn't have, and
	// those that no ref had if the ref is new. They are at most [MaxCommits], the newest ones.
	Commits []PushedCommit
}

// PushedCommit is a commit of a push. The time is in RFC 3339.
type PushedCommit struct{ Hash, Message, Author, Email, Time string }

// MaxCommits is how many commits of a change are listed, as many as GitHub sends.
const MaxCommits = 2048

// Zero is the hash of nothing, before a ref's creation and after its deletion.
const Zero = "0000000000000000000000000000000000000000"

// change runs write, which may change the refs of a repository, and then makes what git has now the
// current state and calls pushed with the changes, if there are any.
func (s *Server) change(
	ctx context.Context, r Repository, d *disk, write func() error, pushed func([]Change),
) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.begin(ctx); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	after, err := d.readRefs(ctx)
	if err != nil || maps.Equal(d.refs, after) {
		return err
	}
	now, err := d.current(ctx, r.Name, after)
	if err != nil {
		return err
	}
	changes, err := d.changes(ctx, d.refs, after)
	if err != nil {
		return err
	}
	d.refs = after
	s.pushedTo.Store(r.Name, now)
	pushed(changes)
	return nil
}

// begin reads refs and the default branch before the first change. Hold writing.
func (d *disk) begin(ctx context.Context) error {
	if d.refs != nil {
		return nil
	}
	head, err := d.run(ctx, "", "symbolic-ref", "HEAD")
	if err != nil {
		return err
	}
	d.main = strings.TrimPrefix(strings.TrimSpace(head), "refs/heads/")
	d.refs, err = d.readRefs(ctx)
	return err
}

// readRefs returns the branches and tags, as "heads/NAME" and "tags/NAME". Those that lead to no
// commit are left out.
func (d *disk) readRefs(ctx context.Context) (map[string]target, error) {
	out, err := d.run(ctx, "", "for-each-ref",
		"--format=%(objectname) %(*objectname) %(refname)", "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	refs := map[string]target{}
	var hashes []string
	for line := range strings.Lines(out) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		to := target{fields[0], fields[0]}
		if fields[1] != "" {
			to.commit = fields[1]
		}
		refs[strings.TrimPrefix(fields[2], "refs/")] = to
		hashes = append(hashes, to.commit)
	}
	if err := d.load(hashes); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(refs, func(_ string, to target) bool { return d.commits[to.commit].Hash == "" })
	return refs, nil
}

// current returns the repository with these refs. If the default branch doesn't exist, the first
// one becomes it. Hold writing.
func (d *disk) current(
	ctx context.Context, name string, refs map[string]target,
) (Repository, error) {
	r := Repository{Name: name, pushed: &pushed{d, refs}}
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		kind, name, _ := strings.Cut(ref, "/")
		switch {
		case kind == "heads":
			r.Branches = append(r.Branches, name)
		case refs[ref].tag() == "":
			r.Tags = append(r.Tags, name)
		default:
			r.Annotated = append(r.Annotated, name)
		}
	}
	if len(r.Branches) == 0 {
		return r, nil
	}
	i := slices.Index(r.Branches, d.main)
	if i < 0 {
		d.main = r.Branches[0]
		_, err := d.run(ctx, "", "symbolic-ref", "HEAD", "refs/heads/"+d.main)
		return r, err
	}
	r.Branches = slices.Insert(slices.Delete(r.Branches, i, i+1), 0, d.main)
	return r, nil
}

// changes compares the refs before and after a push.
func (d *disk) changes(ctx context.Context, before, after map[string]target) ([]Change, error) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var known []string // the commits of all refs before
	for _, to := range before {
		known = append(known, to.commit)
	}
	lists := map[string][]string{} // the commits of a change, by its hashes
	var changes []Change
	for _, ref := range slices.Sorted(maps.Keys(all)) {
		from, to := before[ref], after[ref]
		if from == to {
			continue
		}
		c := Change{
			Ref: "refs/" + ref, Commit: to.commit, BeforeCommit: from.commit,
			Before: cmp.Or(from.object, Zero), After: cmp.Or(to.object, Zero),
		}
		if to.commit != "" {
			key := from.commit + to.commit
			if lists[key] == nil {
				without := []string{from.commit}
				if from.commit == "" {
					without = known
				}
				list, err := d.list(ctx, MaxCommits, to.commit, without...)
				if err != nil {
					return nil, err
				}
				slices.Reverse(list)
				lists[key] = append([]string{}, list...)
			}
			if err := d.describe(ctx, &c, from, to, lists[key]); err != nil {
				return nil, err
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// describe adds the commits of a change and whether it was forced.
func (d *disk) describe(ctx context.Context, c *Change, from, to target, hashes []string) error {
	if err := d.load(hashes); err != nil {
		return err
	}
	for _, hash := range hashes {
		of, _ := d.find(hash)
		c.Commits = append(c.Commits,
			PushedCommit{of.Hash, of.Message, of.Author, of.Email, of.Time})
	}
	ahead := slices.ContainsFunc(hashes, func(hash string) bool {
		of, _ := d.find(hash)
		return of.Parent == from.commit
	})
	if from.commit == "" || ahead {
		return nil
	}
	lost, err := d.list(ctx, 1, from.commit, to.commit)
	c.Forced = len(lost) > 0
	return err
}

// list returns the commits that one commit has and the others haven't, newest first.
func (d *disk) list(
	ctx context.Context, limit int, of string, without ...string,
) ([]string, error) {
	if slices.Contains(without, of) {
		return nil, nil
	}
	var input strings.Builder
	input.WriteString(of + "\n")
	for _, hash := range without {
		input.WriteString("^" + hash + "\n")
	}
	out, err := d.run(ctx, input.String(),
		"rev-list", "--topo-order", fmt.Sprintf("--max-count=%d", limit), "--stdin")
	return strings.Fields(out), err
}
