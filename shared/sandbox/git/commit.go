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

// Commit makes a commit on a branch and returns its hash. A branch that doesn't exist begins at the
// default one. It calls pushed as [Server.Serve] does.
func (s *Server) Commit(
	ctx context.Context, r Repository, in CommitRequest, pushed func([]Change),
) (string, error) {
	d, err := s.ensure(ctx, r)
	if err != nil {
		return "", err
	}
	hash := ""
	err = s.change(ctx, r, d, func() error {
		in.Branch = cmp.Or(in.Branch, d.main)
		stream, err := d.stream(ctx, in)
		if err == nil {
			_, err = d.run(ctx, stream, "fast-import", "--quiet")
		}
		return err
	}, func(changes []Change) {
		hash = changes[0].Commit
		pushed(changes)
	})
	return hash, err
}

// stream returns a commit as git-fast-import reads it. A merge has what git's merge of the two
// branches has, and fails if there is a conflict. Hold writing.
func (d *disk) stream(ctx context.Context, in CommitRequest) (string, error) {
	var b strings.Builder
	data := func(text string) string { return fmt.Sprintf("data %d\n%s\n", len(text), text) }
	fmt.Fprintf(&b, "commit refs/heads/%s\ncommitter %s <%s> %d +0000\n%s", in.Branch,
		cmp.Or(in.Author, Person), Email, in.At.Unix(), data(in.Message+"\n"))
	parent := cmp.Or(d.refs["heads/"+in.Branch].commit, d.refs["heads/"+d.main].commit)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	if in.Merge == "" {
		change := fmt.Sprintf("%s after %s\n", in.Message, cmp.Or(parent, "nothing"))
		fmt.Fprintf(&b, "M 100644 inline CHANGES\n%s", data(change))
		return b.String(), nil
	}
	tree, err := d.run(ctx, "", "merge-tree", "--write-tree", parent, "refs/heads/"+in.Merge)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "merge %s\nM 040000 %s \n",
		d.refs["heads/"+in.Merge].commit, strings.TrimSpace(tree))
	return b.String(), nil
}
