package provider

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// The limits of an identity's texts, which are stored in records and shown on pages.
const (
	maxLabelLength = 200
	maxLinkLength  = 2048
)

// identityOf returns an identity from a platform's reply. The texts are untrusted: control
// characters are dropped, long texts are cut, and a link that isn't a web address is dropped. An id
// that would have to be changed is "", since a changed id may be another user's.
func identityOf(id, username, name, avatar, profile loose) Identity {
	if len(id) > maxLabelLength || !printable(string(id)) {
		id = ""
	}
	return Identity{
		ID:         string(id),
		Username:   label(string(username)),
		Name:       label(string(name)),
		AvatarURL:  link(string(avatar)),
		ProfileURL: link(string(profile)),
	}
}

// numeric reports whether an id is a positive int64 in its one decimal form.
func numeric(id string) bool {
	n, err := strconv.ParseInt(id, 10, 64)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == id
}

func label(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxLabelLength {
		s = strings.ToValidUTF8(s[:maxLabelLength], "")
	}
	return strings.TrimSpace(s)
}

// link returns s if it is a web address, else "": a page must not show a javascript: link.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxLinkLength || u.Host == "" || u.User != nil {
		return ""
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return s
}
