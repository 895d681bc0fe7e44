package binding

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// unknownFields are the members of a record's JSON that a newer version of this code wrote and this
// version does not know: an object's text, or "" for none. They are read with the record and
// written back with it, so that a check by an older version deletes nothing while both versions
// run.
//
// They are text because copies of a record may then share them, and records stay comparable.
type unknownFields string

// unmarshalKnown decodes a JSON object into a pointer to a struct, and returns the members that the
// struct has no field for.
func unmarshalKnown(text []byte, to any) (unknownFields, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, to); err != nil {
		return "", err
	}
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	known := map[string]bool{}
	fieldNames(reflect.TypeOf(to).Elem(), known)
	for name := range members {
		if known[strings.ToLower(name)] { // encoding/json ignores case too
			delete(members, name)
		}
	}
	if len(members) == 0 {
		return "", nil
	}
	unknown, err := json.Marshal(members) // in one order and form, so that equal ones are equal text
	return unknownFields(unknown), err
}

// fieldNames adds the lower-case JSON names of a struct's fields, embedded structs included.
func fieldNames(of reflect.Type, names map[string]bool) {
	for field := range fields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "" && field.Anonymous:
			fieldNames(field.Type, names)
		case name != "" && name != "-":
			names[strings.ToLower(name)] = true
		}
	}
}

func fields(of reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range of.NumField() {
			if !yield(of.Field(i)) {
				return
			}
		}
	}
}

// marshalKnown encodes a struct, with the unknown members behind its own.
func marshalKnown(record any, unknown unknownFields) ([]byte, error) {
	text, err := json.Marshal(record)
	if err != nil || unknown == "" {
		return text, err
	}
	own, ok := bytes.CutSuffix(text, []byte("}"))
	if !ok {
		return nil, fmt.Errorf("%T is not a JSON object", record)
	}
	if len(own) > len("{") {
		own = append(own, ',')
	}
	return append(own, unknown[len("{"):]...), nil
}

// The types without methods, which encoding/json would call without end.
type (
	plainRecord        Record
	plainAuthorization Authorization
	plainToken         Token
	plainEvent         Event
	plainOwnedSecret   OwnedSecret
	plainSubscription  Subscription
	plainSourceEvent   SourceEvent
)

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

// MarshalJSON writes the unknown fields too.
func (a Authorization) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainAuthorization(a), a.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (a *Authorization) UnmarshalJSON(text []byte) (err error) {
	a.unknown, err = unmarshalKnown(text, (*plainAuthorization)(a))
	return err
}

// MarshalJSON writes the unknown fields too.
func (t Token) MarshalJSON() ([]byte, error) { return marshalKnown(plainToken(t), t.unknown) }

// UnmarshalJSON keeps the fields that this version does not know.
func (t *Token) UnmarshalJSON(text []byte) (err error) {
	t.unknown, err = unmarshalKnown(text, (*plainToken)(t))
	return err
}

// MarshalJSON writes the unknown fields too.
func (e Event) MarshalJSON() ([]byte, error) { return marshalKnown(plainEvent(e), e.unknown) }

// UnmarshalJSON keeps the fields that this version does not know.
func (e *Event) UnmarshalJSON(text []byte) (err error) {
	e.unknown, err = unmarshalKnown(text, (*plainEvent)(e))
	return err
}

// MarshalJSON writes the unknown fields too.
func (o OwnedSecret) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainOwnedSecret(o), o.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (o *OwnedSecret) UnmarshalJSON(text []byte) (err error) {
	o.unknown, err = unmarshalKnown(text, (*plainOwnedSecret)(o))
	return err
}

// MarshalJSON writes the unknown fields too.
func (s Subscription) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainSubscription(s), s.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (s *Subscription) UnmarshalJSON(text []byte) (err error) {
	s.unknown, err = unmarshalKnown(text, (*plainSubscription)(s))
	return err
}

// MarshalJSON writes the unknown fields too.
func (e SourceEvent) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainSourceEvent(e), e.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (e *SourceEvent) UnmarshalJSON(text []byte) (err error) {
	e.unknown, err = unmarshalKnown(text, (*plainSourceEvent)(e))
	return err
}
