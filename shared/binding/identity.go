package binding

import "time"

// Identity is a user of a platform, as the platform reported it.
type Identity struct {
	// ID never changes and is never given to another user, unlike Username.
	ID         string `json:"id"`
	Username   string `json:"username"`
	Name       string `json:"name,omitempty"`
	AvatarURL  string `json:"avatarUrl,omitempty"`
	ProfileURL string `json:"profileUrl,omitempty"`
}

// User is a caller of Bindery: the same issuer, subject and account are the same user.
type User struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Account string `json:"account"`
}

// IdentityKey names an identity of a platform: on GitLab, an identity of one server.
type IdentityKey struct {
	Platform string
	Address  string
	ID       string
}

// IdentityEntry is a binding or an authorization that has a token of an identity.
type IdentityEntry struct {
	Of IdentityKey
	// Exactly one of these is set.
	Binding       Key
	Authorization string
	At            time.Time // whole milliseconds, UTC
}
