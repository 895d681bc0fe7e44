package git

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// CommitRequest is a commit that a platform makes, as for a user who edits a file on its site.
type CommitRequest struct {
	Branch  string // "": the default one
	Message string
	Author  string
	At      time.Time
	// Merge is a branch to merge; "" for a commit that changes the file CHANGES.
	Merge string
}

// Commit makes a commit on a branch, which need not exist, and returns its hash. It calls pushed as
// [Server.Serve] does.
func (s *Server) Commit(
	ctx context.Context, r Repository, in CommitRequest, pushed func([]Change),
) (string, error) {
	d, err := s.ensure(ctx, r)
	if err != nil {
		return "", err
	}
	if in.Branch == "" {
		in.Branch = "main"
		if branches := s.Current(r).Branches; len(branches) > 0 {
			in.Branch = branches[0]
		}
	}
	hash := ""
	err = s.change(ctx, r, d, func() error {
		stream, err := d.stream(ctx, in)
		if err != nil {
			return err
		}
		if _, err := d.run(ctx, stream, "fast-import", "--quiet"); err != nil {
			return err
		}
		hash, err = d.run(ctx, "", "rev-parse", "--verify", "refs/heads/"+in.Branch)
		return err
	}, pushed)
	return strings.TrimSpace(hash), err
}

// stream returns a commit as git-fast-import reads it. A merge has what git's merge of the two
// branches has, and fails if there is a conflict.
func (d *disk) stream(ctx context.Context, in CommitRequest) (string, error) {
	var b strings.Builder
	data := func(text string) string { return fmt.Sprintf("data %d\n%s\n", len(text), text) }
	ref := "refs/heads/" + in.Branch
	fmt.Fprintf(&b, "commit %s\ncommitter %s <%s> %d +0000\n%s", ref,
		cmp.Or(in.Author, Person), Email, in.At.Unix(), data(in.Message+"\n"))
	parent, err := d.run(ctx, "", "for-each-ref", "--format=%(objectname)", ref)
	if err != nil {
		return "", err
	}
	parent = strings.TrimSpace(parent)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	if in.Merge == "" {
		change := fmt.Sprintf("%s after %s\n", in.Message, cmp.Or(parent, "nothing"))
		fmt.Fprintf(&b, "M 100644 inline CHANGES\n%s", data(change))
		return b.String(), nil
	}
	tree, err := d.run(ctx, "", "merge-tree", "--write-tree", ref, "refs/heads/"+in.Merge)
	if err != nil {
		return "", err
	}
	head, err := d.run(ctx, "", "rev-parse", "refs/heads/"+in.Merge)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "merge %s\nM 040000 %s \n", strings.TrimSpace(head), strings.TrimSpace(tree))
	return b.String(), nil
}
