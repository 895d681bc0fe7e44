package binding

import (
	"strconv"
	"strings"

	"bindery/shared/instance"
)

// Key names a binding: one platform of one instance of one account.
type Key struct {
	Account  string `json:"account"`
	Region   string `json:"region"`
	Instance string `json:"instance"`
	Platform string `json:"platform"`
}

// String returns the key as text: [Join] of its parts.
func (k Key) String() string { return Join(k.Account, k.Region, k.Instance, k.Platform) }

// Join builds a key of parts, each with its length before it. No two lists of parts give the same
// key, whatever they contain, and the key of the first parts is a prefix of the whole key.
func Join(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(':')
		b.WriteString(part)
	}
	return b.String()
}

// KeyOf returns the key of the binding of an instance and a platform.
func KeyOf(account string, i instance.Instance, platform string) Key {
	return Key{Account: account, Region: i.Region, Instance: i.ID, Platform: platform}
}

// Describe returns a key in the form of a log line.
func Describe(k Key) string {
	parts := []string{k.Account, k.Region, k.Instance, k.Platform}
	for i := range parts {
		parts[i] = strconv.Quote(parts[i])
	}
	return strings.Join(parts, "/")
}
