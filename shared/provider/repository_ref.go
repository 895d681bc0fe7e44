package provider

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"bindery/shared/netguard"
	"bindery/shared/problem"
)

// revision is what a ref names: a branch or tag, or a commit's hash if kind is "".
type revision struct {
	kind RefKind
	name string
}

// parseRef reads "heads/NAME", "tags/NAME" or a hash. Names that git doesn't allow exist nowhere,
// and aren't sent: ".." would leave the path.
func (c *client) parseRef(ref string) (revision, error) {
	kind, name, isNamed := strings.Cut(ref, "/")
	switch {
	case isNamed && (kind == string(Branches) || kind == string(Tags)) && ValidRefName(name):
		return revision{RefKind(kind), name}, nil
	case isHash(ref, 4):
		return revision{name: strings.ToLower(ref)}, nil
	}
	return revision{}, c.refUnknown(ref)
}

// isHash reports whether s is a commit's hash of at least so many digits. SHA-256 has 64.
func isHash(s string, least int) bool {
	return len(s) >= least && len(s) <= 64 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// isFullHash reports whether s is a whole hash, by SHA-1 or SHA-256.
func isFullHash(s string) bool { return isHash(s, 40) && (len(s) == 40 || len(s) == 64) }

// maxPathLength limits the names of refs and files, in bytes. git itself has no limit.
const maxPathLength = 1024

// ValidRefName reports whether git allows the name of a branch or tag (git-check-ref-format).
func ValidRefName(name string) bool {
	if len(name) > maxPathLength || strings.ContainsAny(name, " ~^:?*[\\") ||
		strings.Contains(name, "@{") || strings.HasSuffix(name, ".") || !validPath(name) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") ||
			strings.Contains(part, "..") {
			return false
		}
	}
	return true
}

// validPath reports whether s can be a file in a repository: no part of it is empty, "." or "..".
func validPath(s string) bool {
	return s != "" && len(s) <= maxPathLength && path.Clean("/"+s) == "/"+s &&
		strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// escapeParts escapes every part of a path, and leaves the slashes.
func escapeParts(s string) string {
	parts := strings.Split(s, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

// onSite returns the address at the platform's own site that has the path of an address that the
// platform told. Nothing else of that is used: it may hold a user name, and a token is only ever
// sent to the site. It returns "" if there is no such path.
func onSite(site, told string) string {
	base, err := url.Parse(site)
	if err != nil {
		return ""
	}
	u, err := url.Parse(told)
	if err != nil || len(told) > maxLinkLength || u.Path == "/" || path.Clean(u.Path) != u.Path ||
		!strings.HasPrefix(u.Path, "/") {
		return ""
	}
	return (&url.URL{
		Scheme: base.Scheme, Host: base.Host, Path: u.Path, RawPath: u.RawPath,
	}).String()
}

// visibility returns the word if it is one of those that a [Repository] has, else what private
// says.
func visibility(word loose, private bool) string {
	switch {
	case word == "public", word == "internal", word == "private":
		return string(word)
	case private:
		return "private"
	}
	return "public"
}

// keepRef appends a ref if it can exist: a tag may also point at something that is no commit.
func keepRef(refs []Ref, name, hash loose, protected, isDefault bool) []Ref {
	if !ValidRefName(string(name)) || !isFullHash(string(hash)) {
		return refs
	}
	return append(refs, Ref{
		Name: string(name), Commit: string(hash), Protected: protected, Default: isDefault,
	})
}

// maxMessageLength limits a commit's message, in bytes.
const maxMessageLength = 4096

// newCommit returns a commit, and whether the platform told a whole hash. A date that can't be read
// is the zero time.
func newCommit(site string, hash, at, message, page loose) (Commit, bool) {
	text := strings.ToValidUTF8(string(message), "")
	if len(text) > maxMessageLength {
		text = strings.ToValidUTF8(text[:maxMessageLength], "")
	}
	when, err := time.Parse(time.RFC3339, string(at))
	if err != nil {
		when, _ = time.Parse(time.DateTime, string(at)) // in some of Codeup's examples
	}
	return Commit{
		Hash: string(hash), CommittedAt: when.UTC(), Message: text, URL: onSite(site, string(page)),
	}, isFullHash(string(hash))
}

// unknown returns the problem if a refusal is the API's own "not found", else err. Platforms answer
// so also for what a token may not see.
func unknown(r reply, err error, means *problem.Problem) error {
	if err == nil || r.status != http.StatusNotFound {
		return err
	}
	if e, isJSON := r.apiError(); !isJSON || e.text == "" && e.code == "" {
		return err
	}
	return means.From(err)
}

func (c *client) repositoryUnknown() *problem.Problem {
	return c.problem(problem.RepositoryUnknown)
}

func (c *client) refUnknown(ref string) *problem.Problem {
	return c.problem(problem.RefUnknown).With("ref", ref)
}

func (c *client) fileUnknown(path, ref string) *problem.Problem {
	return c.problem(problem.FileUnknown).With("path", path).With("ref", ref)
}

// file returns the file at the path and ref. read fetches it at a commit with the limit of a file's
// length; a ref that is no hash is resolved first, which is one call more, since a branch and a tag
// may have the same name.
func (c *client) file(
	ctx context.Context, p RepositoryPlatform, cred Credential, id, path, ref string,
	read func(path, commit string) (reply, error),
) ([]byte, error) {
	if !validPath(path) {
		return nil, c.fileUnknown(path, ref)
	}
	rev, err := c.parseRef(ref)
	if err != nil {
		return nil, err
	}
	if rev.kind != "" {
		commit, err := p.Commit(ctx, cred, id, ref)
		if err != nil {
			return nil, err
		}
		rev.name = commit.Hash
	}
	r, err := read(path, rev.name)
	if errors.Is(err, netguard.ErrTooLong) || err == nil && len(r.body) > FileLimit {
		return nil, c.problem(problem.FileTooLarge).
			With("path", path).With("limit", strconv.Itoa(FileLimit))
	}
	if err != nil {
		return nil, unknown(r, err, c.fileUnknown(path, ref))
	}
	return r.body, nil
}
