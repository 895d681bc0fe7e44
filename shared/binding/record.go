// Package binding has the records of bindings and authorizations, and what follows from a record
// without I/O: its status, its health, its schedule, the secrets that it owns.
//
// The packages below it act: ledger keeps records and secrets in step, connect binds by token and
// unbinds, consent binds by OAuth, credential hands out tokens and refreshes them, maintenance does
// what is due.
// None of them knows HTTP or a cloud.
package binding

import (
	"slices"
	"time"

	"bindery/shared/problem"
	"bindery/shared/vault"
)

// Lease gives one invocation the right to ask the platform for the next generation. It only limits
// callers: if it is lost, another caller asks again.
type Lease struct {
	Owner string    `json:"owner"`
	Until time.Time `json:"until"`
}

// Backoff describes a refresh that failed for a transient reason, and when the next may be tried.
type Backoff struct {
	Until   time.Time        `json:"until"`
	Tries   int              `json:"tries"` // in a row
	Problem *problem.Problem `json:"problem"`
}

// LastingFailure is a failure of checks that an operator may have to end: the platform refuses
// Bindery itself, something in front of it answers, or it can't be reached.
type LastingFailure struct {
	What string `json:"what"`
	// Since is when a check first failed like this, or the last alarm about it.
	Since time.Time `json:"since"`
}

// Token is what a record says about the token that it points at. It does not contain the token.
type Token struct {
	// Secret and Generation name the token in the vault.
	Secret     vault.SecretName `json:"secret"`
	Generation int              `json:"generation"`
	// Username is the user name that the platform's git server takes with the token.
	Username  string    `json:"username"`
	Scopes    []string  `json:"scopes,omitempty"`
	IssuedAt  time.Time `json:"issuedAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"` // zero: never, or not known
	// Refreshable says that the vault has a refresh token for the token.
	Refreshable bool `json:"renewable,omitempty"`

	unknown unknownFields
}

// SameGeneration reports whether two tokens are the same generation of the same secret.
func SameGeneration(a, b Token) bool {
	return a.Secret == b.Secret && a.Generation == b.Generation
}

// Record is the record of one binding. A row without a secret is unbound; it stays for 15
// minutes, until its events are in the history and its list of secrets is empty.
type Record struct {
	Key
	// Version is set by the table and changes with each save; "" is a row that does not exist yet.
	Version string `json:"-"`
	// Revision is random, changes at bind and unbind only, and is the ETag.
	Revision string `json:"stamp"`

	Token Token `json:"token,omitzero"`
	// Secrets are the secrets that this row owns, without the one that it points at.
	Secrets      []OwnedSecret `json:"secrets,omitempty"`
	Method       string        `json:"method"`
	Address      string        `json:"address,omitempty"`
	Organization string        `json:"organization,omitempty"`
	// GitUsername is the user name that git uses with a token that the user pasted; "" for a consent,
	// and for a binding from before it was recorded.
	GitUsername string            `json:"gitUsername,omitempty"`
	Identity    Identity          `json:"identity,omitzero"`
	BoundAt     time.Time         `json:"boundAt,omitzero"`
	BoundBy     User              `json:"boundBy,omitzero"`
	Warnings    []problem.Problem `json:"warnings,omitempty"`

	Health        Health           `json:"health,omitempty"`
	Problem       *problem.Problem `json:"problem,omitempty"`
	LastCheckedAt time.Time        `json:"lastCheckedAt,omitzero"` // the last good check
	Unanswered    int              `json:"unanswered,omitempty"`   // checks in a row without an answer
	// CheckAt is when the token is next checked; zero: not before its owner asks for it, or a re-bind.
	CheckAt time.Time `json:"checkAt,omitzero"`
	// DoubtedAt is when a check first got the refusal DoubtedProblem, or a check or a build first
	// found the secret gone, which the next check confirms or refutes. Until then Health stays as it
	// was. A time before LastCheckedAt is refuted.
	DoubtedAt      time.Time        `json:"doubtedAt,omitzero"`
	DoubtedProblem *problem.Problem `json:"doubtedProblem,omitempty"`
	// Failure is what checks of the token keep ending with, if it does not end by itself.
	Failure LastingFailure `json:"failure,omitzero"`
	// RechecksLeft is how many early checks a binding has left that a check has found unusable.
	RechecksLeft int `json:"rechecksLeft,omitempty"`
	// Warned is the number of days before the token's end of the last warning to its owner; 0: none.
	Warned int `json:"warned,omitempty"`
	// MissingSince is when the instance was first not found in the catalogue.
	MissingSince time.Time `json:"missingSince,omitzero"`

	Lease Lease `json:"lease,omitzero"`
	// RefreshUnclear says that a refresh ended without a definite answer.
	RefreshUnclear bool `json:"unsure,omitempty"`
	// Backoff delays the next try of a refresh that failed.
	Backoff Backoff `json:"backoff,omitzero"`
	// RecheckAt is when a revoked binding is checked once more, because its next generation may have
	// been stored late. Zero: not at all, or done.
	RecheckAt time.Time `json:"lookAt,omitzero"`

	// Events are written with the record, until the sweep has moved them to the history.
	Events     []Event `json:"events,omitempty"`
	EventCount int64   `json:"eventCount,omitempty"` // the last event's number
	// EventAt is the last event's time: no event of a binding is older than the one before it.
	EventAt time.Time `json:"eventAt,omitzero"`
	// Delivery says how far the history has been sent to the operator's webhook.
	Delivery Delivery `json:"delivery,omitzero"`

	DueAt time.Time `json:"dueAt,omitzero"` // zero: never due
	// CheckAttempts counts the checks in a row that were begun and have not ended: they crashed.
	CheckAttempts int `json:"attempts,omitempty"`

	// Attributes are the row's attributes that this version does not know, in the store's own type. A
	// save writes them back as they were read.
	Attributes any `json:"-"`
	unknown    unknownFields
}

// Doubted reports whether the platform has refused the record's token in a check, or the vault did
// not have it, and no check since then was good.
func (b Record) Doubted() bool {
	return !b.DoubtedAt.IsZero() && !b.LastCheckedAt.After(b.DoubtedAt)
}

// Bound reports whether the record points at a secret.
func (b Record) Bound() bool { return b.Token.Secret != "" }

// Match is the condition of a change (RFC 9110, 13.1). The zero value is none.
type Match struct {
	// ETags are those of an If-Match header, without their quotes, or "*" for any binding; nil if
	// there is no such header.
	ETags []string
	// Unbound says that there must be no binding: If-None-Match: *.
	Unbound bool
}

// IsZero reports whether there is no condition.
func (m Match) IsZero() bool { return m.ETags == nil && !m.Unbound }

// Allows reports whether the condition holds for a record.
func (m Match) Allows(rec Record) bool {
	if m.Unbound && rec.Bound() {
		return false
	}
	named := slices.Contains(m.ETags, "*") || slices.Contains(m.ETags, rec.Revision)
	return m.ETags == nil || rec.Bound() && named
}

// WarningsOf returns a platform's warnings in the form that a record keeps.
func WarningsOf(warnings []*problem.Problem) []problem.Problem {
	list := make([]problem.Problem, 0, len(warnings))
	for _, w := range warnings {
		list = append(list, *w)
	}
	return list
}

// plainRecord is a type without methods, which encoding/json would call without end.
type plainRecord Record

// MarshalJSON writes the unknown fields too.
func (b Record) MarshalJSON() ([]byte, error) { return marshalKnown(plainRecord(b), b.unknown) }

// UnmarshalJSON keeps the fields that this version does not know.
func (b *Record) UnmarshalJSON(text []byte) (err error) {
	b.unknown, err = unmarshalKnown(text, (*plainRecord)(b))
	return err
}

// WithUnknown returns b with what a newer version wrote into the row of another record and this
// version does not know: its fields, but not those of its token, its events and its secrets, and
// the attributes of its row. It is for a binding that is built anew in place of the other.
func (b Record) WithUnknown(of Record) Record {
	b.unknown, b.Attributes = of.unknown, of.Attributes
	return b
}

// plainToken is a type without methods, which encoding/json would call without end.
type plainToken Token

// MarshalJSON writes the unknown fields too.
func (t Token) MarshalJSON() ([]byte, error) { return marshalKnown(plainToken(t), t.unknown) }

// UnmarshalJSON keeps the fields that this version does not know.
func (t *Token) UnmarshalJSON(text []byte) (err error) {
	t.unknown, err = unmarshalKnown(text, (*plainToken)(t))
	return err
}
