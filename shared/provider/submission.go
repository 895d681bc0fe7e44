package provider

import (
	"strings"
	"time"
	"unicode"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// The user's input is checked before it is sent: a line break would start another header, and a
// colon in a user name would move the boundary between name and password.

// The maximum lengths of a token and a name, in bytes. Real ones have a tenth of it.
const (
	maxTokenLength = 4096
	maxNameLength  = 255
)

// cleanToken drops the spaces and line breaks around a pasted token and a "Bearer " before it.
// A token that still holds anything but visible ASCII is [problem.InputMalformed].
func cleanToken(pasted secret.Text) (secret.Text, error) {
	token := strings.TrimSpace(pasted.Reveal())
	if word, rest, found := strings.Cut(token, " "); found && strings.EqualFold(word, "Bearer") {
		token = strings.TrimSpace(rest)
	}
	if err := checkField("token", token, maxTokenLength); err != nil {
		return secret.Text{}, err
	}
	if !printable(token) {
		return secret.Text{}, malformed("token", "characters")
	}
	return secret.New(token), nil
}

// cleanUsername drops the spaces around a user name and refuses one with spaces, control
// characters or a colon inside. Code that writes it elsewhere has to escape other characters.
func cleanUsername(typed string) (string, error) {
	name := strings.TrimSpace(typed)
	if err := checkField("username", name, maxNameLength); err != nil {
		return "", err
	}
	outside := func(r rune) bool {
		return r == ':' || r == unicode.ReplacementChar ||
			!unicode.IsGraphic(r) || unicode.IsSpace(r)
	}
	if strings.ContainsFunc(name, outside) {
		return "", malformed("username", "characters")
	}
	return name, nil
}

// cleanOrganization drops the spaces around an organization's id. The id becomes part of paths, and
// real ones consist of letters, digits, dashes and underscores.
func cleanOrganization(typed string) (string, error) {
	id := strings.TrimSpace(typed)
	if id == "" {
		return "", nil
	}
	if err := checkField("organization", id, maxNameLength); err != nil {
		return "", err
	}
	if !pathSafe(id) {
		return "", malformed("organization", "characters")
	}
	return id, nil
}

// pathSafe reports whether s can be used in a path without escaping.
func pathSafe(s string) bool {
	return s != "" && strings.Trim(s, "0123456789-_"+
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// checkExpiry refuses an expiry in the past.
func checkExpiry(expiresAt, now time.Time) error {
	if !expiresAt.IsZero() && !expiresAt.After(now) {
		return malformed("expiresAt", "past")
	}
	return nil
}

func checkField(field, value string, longest int) error {
	switch {
	case value == "":
		return malformed(field, "required")
	case len(value) > longest:
		return malformed(field, "too_long")
	}
	return nil
}

func malformed(field, reason string) *problem.Problem {
	return problem.New(problem.InputMalformed).Because(reason).With("field", field)
}
