package repository

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"bindery/shared/problem"
)

// The longest search, ref and path, in bytes. A path is in an address, and Function Compute accepts
// 4 KB of that.
const (
	maxSearch = 256
	maxName   = 1024
)

// checkSearch checks the part of a name that is searched for. Its errors don't quote it.
func checkSearch(search string) error {
	wrong := problem.New(problem.InputMalformed).With("field", "search")
	switch {
	case len(search) > maxSearch:
		return wrong.Because("too_long")
	case !isText(search):
		return wrong.Because("characters")
	}
	return nil
}

// isText reports whether a string is UTF-8 without control characters.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// hash is a commit's hash, which may be short: git wants at least four digits. SHA-256 has 64.
var hash = regexp.MustCompile(`^[0-9a-fA-F]{4,64}$`)

// isRef reports whether a ref is "heads/NAME", "tags/NAME" or a hash, and git accepts the name
// (git-check-ref-format).
func isRef(ref string) bool {
	kind, name, found := strings.Cut(ref, "/")
	if !found {
		return hash.MatchString(ref)
	}
	if kind != "heads" && kind != "tags" || len(name) > maxName || !isText(name) ||
		strings.ContainsAny(name, " ~^:?*[\\") || strings.Contains(name, "..") ||
		strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// isPath reports whether a path can be one of a file in a git tree: relative, without "." and "..".
func isPath(path string) bool {
	if len(path) > maxName || !isText(path) {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}
