package binding

import (
	"slices"
	"time"

	"bindery/shared/vault"
)

// isListed reports whether a record's list has a secret.
func IsListed(rec Record, name vault.SecretName) bool {
	return slices.ContainsFunc(rec.Secrets, func(o OwnedSecret) bool {
		return o.Name == name
	})
}

// isRetired reports whether a record has pointed at a secret and points elsewhere now.
func IsRetired(rec Record, name vault.SecretName) bool {
	return slices.ContainsFunc(rec.Secrets, func(o OwnedSecret) bool {
		return o.Name == name && o.Retired
	})
}

// unlisted is a record's list without a secret.
func Unlisted(rec Record, name vault.SecretName) []OwnedSecret {
	return slices.DeleteFunc(slices.Clone(rec.Secrets), func(o OwnedSecret) bool {
		return o.Name == name
	})
}

// secretsDueAt is when the first entry of a record's list is due. Zero: there is none.
func SecretsDueAt(rec Record) time.Time {
	var first time.Time
	for _, o := range rec.Secrets {
		first = Earliest(first, o.DueAt)
	}
	return first
}
