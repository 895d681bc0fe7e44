package binding

import (
	"time"

	"bindery/shared/problem"
)

// AuthorizationTTL is how long an authorization can be used, from start to confirm.
const AuthorizationTTL = 15 * time.Minute

// Stage is the state of an authorization.
type Stage string

// The stages of an authorization.
const (
	StageStarted    Stage = "started"    // the id was given out
	StageRedirected Stage = "redirected" // a browser was sent to the platform
	StageClaimed    Stage = "claimed"    // one callback has the right to redeem the code
	StageConsented  Stage = "consented"  // the token is in the vault, waiting for the confirm
	StageFailed     Stage = "failed"     // Problem says why
)

// Authorization is one OAuth attempt, from start to confirm.
type Authorization struct {
	ID      string `json:"id"`
	Version string `json:"-"`

	Starter  User   `json:"starter"`
	Platform string `json:"platform"`
	// Region and Instance were named at start, or are empty.
	Region   string `json:"region,omitempty"`
	Instance string `json:"instance,omitempty"`
	ReturnTo string `json:"returnTo,omitempty"`

	Stage            Stage  `json:"stage"`
	StateHash        string `json:"stateHash,omitempty"`
	Challenge        string `json:"challenge,omitempty"` // PKCE, S256
	ConfirmationHash string `json:"finishHash,omitempty"`

	// Token names its secret from the claim on, before anything is in the vault.
	Token    Token             `json:"token,omitzero"`
	Identity Identity          `json:"identity,omitzero"`
	Warnings []problem.Problem `json:"warnings,omitempty"`
	Problem  *problem.Problem  `json:"problem,omitempty"`

	// OwnsSecret says that the sweep ends the secret unless a binding has it. The claim sets it. It is
	// false for an attempt whose callback a version before format 2 has handled: that version keeps
	// its secrets to delete in rows of their own, and deletes this one.
	OwnsSecret bool `json:"ownsSecret,omitempty"`
	// Binding is the record that a confirm is about to point at the secret, or has pointed at it.
	// Zero: none. It never changes once it is set.
	Binding Key `json:"binding,omitzero"`
	// Discarded says that another user has tried to confirm it. It can't be confirmed any more.
	Discarded bool `json:"discarded,omitempty"`

	ExpiresAt time.Time `json:"expiresAt"`
	// SweepAttempts counts the sweep's tries to revoke and delete the secret.
	SweepAttempts int       `json:"attempts,omitempty"`
	DueAt         time.Time `json:"dueAt"`

	// Attributes are the row's attributes that this version does not know, in the store's own type. A
	// save writes them back as they were read.
	Attributes any `json:"-"`
	unknown    unknownFields
}

// TargetOf returns the key of the binding that an authorization was started for. Its region and its
// instance are empty if none was named at start.
func TargetOf(a Authorization) Key {
	return Key{
		Account: a.Starter.Account, Region: a.Region, Instance: a.Instance, Platform: a.Platform,
	}
}

// plainAuthorization is a type without methods, which encoding/json would call without end.
type plainAuthorization Authorization

// MarshalJSON writes the unknown fields too.
func (a Authorization) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainAuthorization(a), a.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (a *Authorization) UnmarshalJSON(text []byte) (err error) {
	a.unknown, err = unmarshalKnown(text, (*plainAuthorization)(a))
	return err
}
