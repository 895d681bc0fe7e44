// Package secret holds text that must never be shown: tokens, codes, verifiers, client secrets.
//
// A [Text] prints as [Redacted] in every format that Go knows (fmt verbs, JSON, text, gob, slog),
// so that a secret in a struct, an error or a log line is not disclosed. [Text.Reveal] is the only
// way to read it, and a search for its name finds every place where a secret leaves.
//
// The package imports nothing of Bindery.
package secret

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// Redacted is the printed form of every secret.
const Redacted = "[redacted]"

// Text is one secret. The zero value is the empty secret. It may be copied, but not compared with
// ==: see [Text.Equal].
type Text struct {
	_ [0]func() // prevents ==, whose duration would leak and which would hide a missing length check
	// A pointer, because fmt doesn't call Format where it prints a struct's unexported field or a
	// verb that it considers wrong (%w), and then doesn't follow pointers.
	value *string
}

// New returns the value as a secret.
func New(value string) Text {
	if value == "" {
		return Text{}
	}
	return Text{value: &value}
}

// Reveal returns the secret itself. Call it only where the secret leaves the process on purpose:
// into a request's header or body, into the vault, or into the reply to a build.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// Empty reports whether there is no secret.
func (t Text) Empty() bool { return t.value == nil }

// Equal compares in constant time. An empty secret equals nothing, not even another empty one:
// "no state and no cookie" is not a match.
func (t Text) Equal(other Text) bool {
	if t.Empty() {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(t.Reveal()), []byte(other.Reveal())) == 1
}

// String returns [Redacted].
func (t Text) String() string { return Redacted }

// GoString returns [Redacted], for %#v.
func (t Text) GoString() string { return Redacted }

// Format writes [Redacted] under every verb and flag.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns [Redacted].
func (t Text) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns [Redacted]; it also serves encoders other than JSON.
func (t Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalJSON returns [Redacted] as a JSON string.
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// GobEncode returns [Redacted].
func (t Text) GobEncode() ([]byte, error) { return []byte(Redacted), nil }

// GobDecode returns an error, because gob never contains the secret.
func (t *Text) GobDecode([]byte) error { return fmt.Errorf("secret: gob holds no secrets") }

// UnmarshalJSON reads a JSON string, so that a request's body is decoded directly into a Text. Its
// error is of a type to which encoding/json adds the field's name. It doesn't quote the input.
func (t *Text) UnmarshalJSON(data []byte) error {
	var value *string
	if err := json.Unmarshal(data, &value); err != nil {
		return &json.UnmarshalTypeError{Value: "what is there", Type: reflect.TypeFor[string]()}
	}
	*t = Text{}
	if value != nil {
		*t = New(*value)
	}
	return nil
}
