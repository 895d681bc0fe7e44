package binding

import (
	"fmt"
	"strings"
	"time"

	"bindery/shared/problem"
)

// Delivery is a position in the history: the events after it have not been sent to the operator's
// webhook yet.
type Delivery struct {
	Sent    string    `json:"sent,omitempty"`    // the position of the last event that was sent
	Waiting int       `json:"waiting,omitempty"` // events that have not been sent yet
	Tries   int       `json:"tries,omitempty"`   // failed ones, in a row
	At      time.Time `json:"at,omitzero"`       // when the next try is due
}

// MaxEvents is the largest number of events that a record has.
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
	// Repository is that of the subscription, if the event is about one.
	Repository EventRepository `json:"repository,omitzero"`

	unknown unknownFields
}

// EventRepository is the repository of an event, as it was called then.
type EventRepository struct {
	Key  string `json:"key"` // see [RepositoryKey]
	Name string `json:"name"`
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
	// The next two are about one of the binding's subscriptions, and have its repository.
	EventSubscriptionBroken    = "subscription.broken"
	EventSubscriptionRecovered = "subscription.recovered"
)

// Position returns text that sorts a binding's events by time, number and id.
func (e Event) Position() string {
	return fmt.Sprintf("%014d.%010d.%s", e.At.UnixMilli(), e.Number, e.ID)
}

// IsPosition reports whether the text has the form of an [Event.Position]. A table checks
// the cursors of a history with it.
func IsPosition(text string) bool {
	const at, number = 14, 14 + 1 + 10
	if len(text) <= number+1 || text[at] != '.' || text[number] != '.' {
		return false
	}
	digits := text[:at] + text[at+1:number]
	return strings.Trim(digits, "0123456789") == ""
}

// plainEvent is a type without methods, which encoding/json would call without end.
type plainEvent Event

// MarshalJSON writes the unknown fields too.
func (e Event) MarshalJSON() ([]byte, error) { return marshalKnown(plainEvent(e), e.unknown) }

// UnmarshalJSON keeps the fields that this version does not know.
func (e *Event) UnmarshalJSON(text []byte) (err error) {
	e.unknown, err = unmarshalKnown(text, (*plainEvent)(e))
	return err
}
