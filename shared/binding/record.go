// Package binding has the records of bindings and authorizations, and what can be said of a record
// without asking anything: its status, its health, its schedule, the secrets that it owns.
//
// The packages below it act: ledger keeps records and secrets in step, connect binds by token and
// unbinds, consent binds by OAuth, credential hands out and refreshes, maintenance does what is due.
// None of them knows HTTP or a cloud.
package binding

import (
	"bindery/shared/instance"

	"fmt"
	"strconv"
	"strings"
	"time"

	"bindery/shared/problem"
	"bindery/shared/vault"
)

// Key names a binding: one platform of one instance of one account.
type Key struct {
	Account  string `json:"account"`
	Region   string `json:"region"`
	Instance string `json:"instance"`
	Platform string `json:"platform"`
}

// String is [Join] of the parts.
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

// Health is what the platform's last definite answer says about a binding's token.
type Health string

// The states of health. A transient failure does not change the state.
const (
	HealthGood         Health = ""
	HealthRevoked      Health = "revoked"
	HealthExpired      Health = "expired"
	HealthUnauthorized Health = "unauthorized"
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
	// Attempts counts the sweep's tries to revoke and delete it.
	Attempts int       `json:"attempts,omitempty"`
	DueAt    time.Time `json:"dueAt"`

	unknown unknownFields
}

// Record is the record of one binding. A row without a secret is unbound; it stays for 15
// minutes, until its events are in the history and its list of secrets is empty.
type Record struct {
	Key
	// Version is set by the table; see [Bindings].
	Version string `json:"-"`
	// Revision is random, changes at bind and unbind only, and is the ETag.
	Revision string `json:"stamp"`

	Token Token `json:"token,omitzero"`
	// Secrets are the secrets that this row owns besides the one that it points at.
	Secrets      []OwnedSecret     `json:"secrets,omitempty"`
	Method       string            `json:"method"`
	Address      string            `json:"address,omitempty"`
	Organization string            `json:"organization,omitempty"`
	Identity     Identity          `json:"identity,omitzero"`
	BoundAt      time.Time         `json:"boundAt,omitzero"`
	BoundBy      User              `json:"boundBy,omitzero"`
	Warnings     []problem.Problem `json:"warnings,omitempty"`

	Health        Health           `json:"health,omitempty"`
	Problem       *problem.Problem `json:"problem,omitempty"`
	LastCheckedAt time.Time        `json:"lastCheckedAt,omitzero"` // the last good check
	Unanswered    int              `json:"unanswered,omitempty"`   // checks in a row without an answer
	// CheckAt is when the token is next checked; zero: not before its owner asks for it, or a re-bind.
	CheckAt time.Time `json:"checkAt,omitzero"`
	// DoubtedAt is when a check first got the refusal DoubtedProblem, which the next check confirms or
	// refutes. Until then Health stays as it was. A time before LastCheckedAt is refuted.
	DoubtedAt      time.Time        `json:"doubtedAt,omitzero"`
	DoubtedProblem *problem.Problem `json:"doubtedProblem,omitempty"`
	// RechecksLeft is how many early checks a binding has left that a check has found unusable.
	RechecksLeft int `json:"rechecksLeft,omitempty"`
	// Warned is the number of days before the token's end of the last warning to its owner; 0: none.
	Warned int `json:"warned,omitempty"`
	// MissingSince is when the instance was first not found in the catalogue.
	MissingSince time.Time `json:"missingSince,omitzero"`

	Lease Lease `json:"lease,omitzero"`
	// RefreshUnclear says that a refresh ended without a definite answer.
	RefreshUnclear bool `json:"unsure,omitempty"`
	// Backoff keeps a refresh that failed from being tried again at once.
	Backoff Backoff `json:"backoff,omitzero"`
	// RecheckAt is when a revoked binding is checked once more, because its next generation may have
	// been stored late. Zero: not at all, or done.
	RecheckAt time.Time `json:"lookAt,omitzero"`

	// Events are written with the record, until the sweep has moved them to the history.
	Events     []Event `json:"events,omitempty"`
	EventCount int64   `json:"eventCount,omitempty"` // the last event's number
	// EventAt is the last event's time: no event of a binding is older than the one before it.
	EventAt time.Time `json:"eventAt,omitzero"`
	// Delivery is how far the history has been sent to the operator's webhook.
	Delivery Delivery `json:"delivery,omitzero"`

	DueAt    time.Time `json:"dueAt,omitzero"` // zero: never due
	Attempts int       `json:"attempts,omitempty"`

	// Attributes are the row's attributes that this version does not know, in the store's own type. A
	// save writes them back as they were read.
	Attributes any `json:"-"`
	unknown    unknownFields
}

// Doubted reports whether a check has refused the record's token and no later one was good.
func (b Record) Doubted() bool {
	return !b.DoubtedAt.IsZero() && !b.LastCheckedAt.After(b.DoubtedAt)
}

// Bound reports whether the record points at a secret.
func (b Record) Bound() bool { return b.Token.Secret != "" }

// Delivery is a cursor into the history: the events behind it have not been sent yet.
type Delivery struct {
	Sent    string    `json:"sent,omitempty"` // the position of the last event that was
	Waiting int       `json:"waiting,omitempty"`
	Tries   int       `json:"tries,omitempty"` // that failed, in a row
	At      time.Time `json:"at,omitzero"`     // when the next is due
}

// MaxEvents is the number of events that a record has at most.
const MaxEvents = 8

// Event is something that happened to a binding.
type Event struct {
	ID     string    `json:"id"`     // random
	Number int64     `json:"number"` // 1, 2, 3, … while the row lives
	Type   string    `json:"type"`   // binding.bound
	At     time.Time `json:"at"`     // whole milliseconds, UTC
	// Actor is the user who caused it; zero for Bindery itself.
	Actor    User             `json:"actor,omitzero"`
	Identity Identity         `json:"identity,omitzero"`
	Previous Identity         `json:"previous,omitzero"` // of a re-bind: the one it replaced
	Problem  *problem.Problem `json:"problem,omitempty"`

	unknown unknownFields
}

// The types of events. They are part of the API.
const (
	EventBound        = "binding.bound"
	EventRebound      = "binding.rebound"
	EventUnbound      = "binding.unbound"
	EventExpiring     = "binding.expiring"
	EventExpired      = "binding.expired"
	EventRevoked      = "binding.revoked"
	EventUnauthorized = "binding.unauthorized"
	EventUnreachable  = "binding.unreachable"
	EventRecovered    = "binding.recovered"
	// EventRevocationFailed is about a token that a binding had before.
	EventRevocationFailed = "binding.revocation_failed"
)

// Position returns text that sorts a binding's events by time, number and id.
func (e Event) Position() string {
	return fmt.Sprintf("%014d.%010d.%s", e.At.UnixMilli(), e.Number, e.ID)
}

// IsPosition reports whether the text has the form of an [Event.Position]. A [History] checks its
// cursors with it.
func IsPosition(text string) bool {
	const at, number = 14, 14 + 1 + 10
	if len(text) <= number+1 || text[at] != '.' || text[number] != '.' {
		return false
	}
	digits := text[:at] + text[at+1:number]
	return strings.Trim(digits, "0123456789") == ""
}

// Stage is how far an authorization has come.
type Stage string

// The stages of an authorization.
const (
	StageStarted    Stage = "started"    // the id is given out
	StageRedirected Stage = "redirected" // a browser was sent to the platform
	StageClaimed    Stage = "claimed"    // a callback has come and is being worked on
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
	// false for an attempt whose callback a version before format 2 has handled: a note of that
	// version owns the secret.
	OwnsSecret bool `json:"ownsSecret,omitempty"`
	// Binding is the record that a confirm is about to point at the secret, or has pointed at it.
	// Zero: none. It never changes once it is set.
	Binding Key `json:"binding,omitzero"`
	// Discarded says that another user has tried to confirm it. It can't be confirmed any more.
	Discarded bool `json:"discarded,omitempty"`

	ExpiresAt time.Time `json:"expiresAt"`
	// Attempts counts the sweep's tries to revoke and delete the secret.
	Attempts int       `json:"attempts,omitempty"`
	DueAt    time.Time `json:"dueAt"`

	// Attributes are the row's attributes that this version does not know, in the store's own type. A
	// save writes them back as they were read.
	Attributes any `json:"-"`
	unknown    unknownFields
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

// describe returns a key in the form of a log line.
func Describe(k Key) string {
	parts := []string{k.Account, k.Region, k.Instance, k.Platform}
	for i := range parts {
		parts[i] = strconv.Quote(parts[i])
	}
	return strings.Join(parts, "/")
}

func KeyOf(account string, i instance.Instance, platform string) Key {
	return Key{Account: account, Region: i.Region, Instance: i.ID, Platform: platform}
}

func TargetOf(a Authorization) Key {
	return Key{
		Account: a.Starter.Account, Region: a.Region, Instance: a.Instance, Platform: a.Platform,
	}
}

// sameGeneration reports whether two records point at the same generation of the same secret.
func SameGeneration(a, b Token) bool {
	return a.Secret == b.Secret && a.Generation == b.Generation
}
