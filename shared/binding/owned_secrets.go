package binding

import (
	"slices"
	"time"

	"bindery/shared/vault"
)

// OwnedSecret is a secret of the vault that a binding's row lists and does not point at. It is
// pending while a bind stores it and has not yet pointed the row at it, and retired after the row
// was pointed elsewhere. The sweep revokes its tokens if they were issued to Bindery, deletes the
// secret, and then takes the entry off the list.
type OwnedSecret struct {
	Name vault.SecretName `json:"name"`
	// Generation is the first whose token may be valid at the platform. A refresh may store later
	// ones after the entry was written.
	Generation int  `json:"generation"`
	Retired    bool `json:"retired,omitempty"` // false: pending
	// SweepAttempts counts the sweep's tries to revoke and delete it.
	SweepAttempts int       `json:"attempts,omitempty"`
	DueAt         time.Time `json:"dueAt"`

	unknown unknownFields
}

// IsListed reports whether a record's list has a secret.
func IsListed(rec Record, name vault.SecretName) bool {
	return slices.ContainsFunc(rec.Secrets, func(o OwnedSecret) bool {
		return o.Name == name
	})
}

// IsRetired reports whether a record has pointed at a secret and points elsewhere now.
func IsRetired(rec Record, name vault.SecretName) bool {
	return slices.ContainsFunc(rec.Secrets, func(o OwnedSecret) bool {
		return o.Name == name && o.Retired
	})
}

// Unlisted returns a record's list without a secret. The record's own list is not changed.
func Unlisted(rec Record, name vault.SecretName) []OwnedSecret {
	return slices.DeleteFunc(slices.Clone(rec.Secrets), func(o OwnedSecret) bool {
		return o.Name == name
	})
}

// plainOwnedSecret is a type without methods, which encoding/json would call without end.
type plainOwnedSecret OwnedSecret

// MarshalJSON writes the unknown fields too.
func (o OwnedSecret) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainOwnedSecret(o), o.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (o *OwnedSecret) UnmarshalJSON(text []byte) (err error) {
	o.unknown, err = unmarshalKnown(text, (*plainOwnedSecret)(o))
	return err
}
