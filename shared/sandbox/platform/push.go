package platform

import (
	"net/http"

	"bindery/shared/sandbox/git"
)

// Push is a change of a repository by git or by a button, from which each platform makes its
// deliveries.
type Push struct {
	Repository Repository
	Changes    []RefChange
	Pusher     string // the user name
	// Merge is set instead of Changes for a change of a merge request.
	Merge *MergeChange
	// Test says that a user has asked for a test delivery.
	Test bool
}

// NewPush returns a push of these changes.
func NewPush(r Repository, changes []git.Change, pusher string) Push {
	push := Push{Repository: r, Pusher: pusher}
	for _, c := range changes {
		push.Changes = append(push.Changes, RefChange(c))
	}
	return push
}

// RefChange is a ref that was created, moved or deleted.
type RefChange git.Change

// PushedCommit is a commit of a push.
type PushedCommit = git.PushedCommit

// MergeChange is a change of a merge request.
type MergeChange struct {
	Number         int
	Action         string // "open", "update", "close", "merge"
	Title          string
	Source, Target string // branches
	Head           string // the source's commit
	MergeCommit    string // of a merge
}

// Outgoing is a delivery that a platform makes. The sender posts it.
type Outgoing struct {
	Hook   string // its id, in the repository
	URL    string
	Header http.Header
	Body   []byte
	// Retries is how often it is posted again at once after a 5xx.
	Retries int
}

// GitPassword returns the password that each user may use for git, as a developer does, in every
// platform. Unlike most tokens it may push.
func GitPassword(user string) string { return "sandbox-git-" + user }

// ServeGit answers a request of a clone or a push by a user who may read the repository. mayWrite
// reports whether the user's credentials allow a push.
func (e *Env) ServeGit(
	w http.ResponseWriter, r *http.Request, name Name, repository Repository, user string,
	mayWrite bool,
) {
	if git.IsPush(r) {
		switch {
		case repository.Archived:
			http.Error(w, "This repository was archived so it is read-only.", http.StatusForbidden)
			return
		case !repository.Admin || !mayWrite:
			http.Error(w, "Permission to "+repository.Path+" denied to "+user+".",
				http.StatusForbidden)
			return
		}
	}
	e.Git.Serve(w, r, repository.Repository, user, func(changes []git.Change) {
		repository.Repository = e.Git.Current(repository.Repository)
		e.Pushed(name, NewPush(repository, changes, user))
	})
}
