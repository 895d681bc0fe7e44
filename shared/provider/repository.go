package provider

import (
	"context"
	"time"

	"bindery/shared/problem"
)

// RepositoryPlatform is a platform whose repositories a token's user can look at. Every id is the
// platform's stable one, which survives a rename; every ref and path is as git writes it, not
// escaped. Each method makes one call to the platform unless it says otherwise.
//
// Failures are those of [Platform]'s Check, and [problem.RepositoryUnknown], [problem.RefUnknown]
// or [problem.FileUnknown] for what doesn't exist or what the token may not see.
type RepositoryPlatform interface {
	// Repositories returns a page of the repositories that the token's user is a member of. search
	// is a part of the name, "" for all. cursor is from the page before, "" for the first; a cursor
	// that the platform didn't issue is [problem.InputMalformed] of the field "cursor". A page may
	// be empty and have a cursor. A search costs up to ten calls where the platform has none of its
	// own: GitHub, Gitee.
	Repositories(ctx context.Context, cred Credential, search, cursor string) (RepositoryPage, error)

	// Repository returns one repository.
	Repository(ctx context.Context, cred Credential, id string) (Repository, error)

	// Refs returns a page of the branches or tags, each with its commit. It pages and searches as
	// Repositories does. Branches cost one call more where the platform's list doesn't say which is
	// the default one: GitHub, Gitee, Bitbucket.
	Refs(ctx context.Context, cred Credential, id string, kind RefKind, search, cursor string) (
		RefPage, error,
	)

	// Commit resolves "heads/NAME", "tags/NAME" or a hash, which may be short, to a commit. An
	// annotated tag gives the commit that it points at. A name that git doesn't allow is unknown.
	Commit(ctx context.Context, cred Credential, id, ref string) (Commit, error)

	// File returns a file at a ref, which is as for Commit. More than [FileLimit] bytes are
	// [problem.FileTooLarge], and the reply isn't read to the end. A ref that isn't a hash is
	// resolved first, which costs the calls of Commit.
	File(ctx context.Context, cred Credential, id, path, ref string) ([]byte, error)
}

// RepositoriesOf returns the platform with what it tells of repositories, and reports whether it
// tells anything. For the platforms here that is a type of its own, because the linker keeps all
// exported methods of a platform's type in every function.
func RepositoriesOf(p Platform) (RepositoryPlatform, bool) {
	if teller, ok := p.(interface{ repositories() RepositoryPlatform }); ok {
		return teller.repositories(), true
	}
	repositories, ok := p.(RepositoryPlatform)
	return repositories, ok
}

// FileLimit is the largest file that is returned, in bytes.
const FileLimit = 256 << 10

// RepositoryPage is a page of repositories.
type RepositoryPage struct {
	Repositories []Repository
	Cursor       string // "" on the last page
	// Notices are problems that don't make the page wrong: repositories that the platform hides
	// until its single sign-on is passed, a list that the platform cuts.
	Notices []*problem.Problem
}

// Repository is a repository, without anything secret that the platform's reply had.
type Repository struct {
	ID   string // the platform's; never given to another repository
	Name string // with its namespace: "acme/web"
	// URL is the clone address at the platform's own site, without credentials. "" if the platform
	// tells none that is one.
	URL           string
	WebURL        string
	DefaultBranch string // "" if the repository is empty or the platform's list doesn't have it
	Visibility    string // "public", "internal", "private"; "" if not known
	Archived      bool
	Empty         bool // known to be empty: GitHub doesn't tell
	CanSubscribe  bool // the user may install webhooks, as far as the platform tells
}

// RefKind is a kind of ref, as in git's "refs/heads" and "refs/tags".
type RefKind string

// The kinds.
const (
	Branches RefKind = "heads"
	Tags     RefKind = "tags"
)

// RefPage is a page of refs.
type RefPage struct {
	Refs   []Ref
	Cursor string // "" on the last page
}

// Ref is a branch or a tag.
type Ref struct {
	Name      string // without "refs/heads/" or "refs/tags/"
	Commit    string // the full hash of the commit, also for an annotated tag
	Protected bool
	Default   bool
}

// Commit is a commit.
type Commit struct {
	Hash        string // in full
	CommittedAt time.Time
	Message     string
	URL         string // the platform's page
}

// Titles returns the first line of the message as the titles of a [Change]. Of an empty message it
// returns none.
func (c Commit) Titles() []string {
	if first := title(c.Message); first != "" {
		return []string{first}
	}
	return nil
}
