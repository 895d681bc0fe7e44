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
// struct has no field for. Nearly every object has none, and is then read only once: a read of a
// credential takes most of its time here.
func unmarshalKnown(text []byte, to any) (unknownFields, error) {
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if strict.Decode(to) == nil && strict.InputOffset() == int64(len(text)) {
		return "", nil
	}
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
	unknown, err := json.Marshal(
		members,
	) // in one order and form, so that equal ones are equal text
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
