package binding

import (
	"crypto/sha256"
	"encoding/base64"
)

// tagLength is the length in bytes of the hash in a key or cursor.
const tagLength = 12

// RepositoryKey returns the key by which callers name a repository of the binding's user. It
// follows the platform's id, so a rename changes it only at Gitee, and it holds for this binding
// and this identity only.
func RepositoryKey(b Record, id string) string { return seal(id, repositoryScope(b)) }

// RepositoryID returns the platform's id of a repository from its key, and whether the key is one
// of the binding.
func RepositoryID(b Record, key string) (id string, ok bool) {
	return open(key, repositoryScope(b))
}

// RepositoryCursor returns the cursor that callers get for a platform's cursor of a list, "" for
// "". The list is what was asked for: its kind, repository and search.
func RepositoryCursor(b Record, cursor string, list ...string) string {
	if cursor == "" {
		return ""
	}
	return seal(cursor, repositoryScope(b)+Join(list...))
}

// PlatformCursor returns the platform's cursor from a cursor of this binding's list, and whether it
// is one. "" is the first page's.
func PlatformCursor(b Record, cursor string, list ...string) (platforms string, ok bool) {
	if cursor == "" {
		return "", true
	}
	return open(cursor, repositoryScope(b)+Join(list...))
}

// repositoryScope is what keys and cursors of the binding hold for.
func repositoryScope(b Record) string {
	return b.Key.String() + Join(b.Address, b.Organization, b.Identity.ID)
}

// seal puts a hash of the scope and the value before the value. There is no secret in the hash. It
// keeps the values of bindings, identities and lists apart: one that is used elsewhere, or that was
// changed, is refused before the platform is called. It does not stop a caller who knows the scope
// from making one for another id; what protects a repository is that the platform is asked with the
// binding's own token, and this caller may use that token for every repository that it opens.
func seal(value, scope string) string {
	tag := sha256.Sum256([]byte(Join("repository", scope, value)))
	return base64.RawURLEncoding.EncodeToString(append(tag[:tagLength:tagLength], value...))
}

// open returns the value that was sealed for the scope. Only the exact text of seal is accepted.
func open(sealed, scope string) (value string, ok bool) {
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(data) <= tagLength {
		return "", false
	}
	value = string(data[tagLength:])
	return value, seal(value, scope) == sealed
}
