package platform

import "net/http"

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

// RefChange is a ref that was created, moved or deleted.
type RefChange struct {
	Ref           string // "refs/heads/main"
	Before, After string // full hashes, or all zeros; of an annotated tag the tag's object
	// Commit is the commit that After points at; "" if the ref was deleted.
	Commit  string
	Forced  bool
	Commits []PushedCommit // oldest first, as many as were pushed
}

// PushedCommit is a commit of a push.
type PushedCommit struct{ Hash, Message, Author, Email, Time string }

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
