package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"bindery/shared/binding"
	"bindery/shared/problem"
)

const (
	maxBody  = 32 << 10 // bytes
	maxDepth = 8        // of nested JSON
)

// malformed is the problem of one field.
func malformed(field, reason string) error {
	return problem.New(problem.InputMalformed).Because(reason).With("field", field)
}

// decode reads a JSON object into a struct: one object, UTF-8, no field that the struct lacks,
// none twice. Errors name the field and never quote a value.
func decode(c call, into any) error {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return problem.New(problem.MediaTypeUnknown)
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	if tooLarge(err) {
		return problem.New(problem.BodyTooLarge).With("limit", strconv.Itoa(maxBody))
	}
	if err != nil || !utf8.Valid(data) {
		return malformed("body", "json")
	}
	if err := inspect(json.NewDecoder(bytes.NewReader(data))); err != nil {
		return err
	}
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		return fieldOf(err)
	}
	return nil
}

// fieldOf turns an error of encoding/json into a problem. The package tells an unknown field by
// its text alone.
func fieldOf(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return malformed(wrongType.Field, "type")
	}
	if _, name, found := strings.Cut(err.Error(), "json: unknown field "); found {
		return malformed(strings.Trim(name, `"`), "unknown")
	}
	return malformed("body", "json")
}

// inspect walks over one JSON object and refuses what encoding/json lets pass: depth, a name
// twice (in any case of letters, since they all fill the same field), something after the end.
func inspect(dec *json.Decoder) error {
	first, err := dec.Token()
	if err != nil || first != json.Delim('{') {
		return malformed("body", "json")
	}
	if err := inspectObject(dec, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return malformed("body", "json")
	}
	return nil
}

func inspectObject(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return malformed("body", "json")
		}
		if seen[fold(name)] {
			return malformed(name, "doubled")
		}
		seen[fold(name)] = true
		if err := inspectValue(dec, depth); err != nil {
			return err
		}
	}
	return closed(dec)
}

// fold brings a name to the form in which encoding/json compares it: to it, K, k and the Kelvin
// sign are one letter.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

func inspectValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil || depth >= maxDepth {
		return malformed("body", "json")
	}
	switch token {
	case json.Delim('{'):
		return inspectObject(dec, depth+1)
	case json.Delim('['):
		for dec.More() {
			if err := inspectValue(dec, depth+1); err != nil {
				return err
			}
		}
		return closed(dec)
	}
	return nil
}

func closed(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return malformed("body", "json")
	}
	return nil
}

// parameter is a query parameter, which may be there once.
func parameter(c call, name string) (string, error) {
	values := c.URL.Query()[name]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", malformed(name, "doubled")
}

// flag is a query parameter that is true, false or not there.
func flag(c call, name string) (bool, error) {
	value, err := parameter(c, name)
	if err != nil {
		return false, err
	}
	switch value {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, malformed(name, "type")
}

// ifMatch reads the condition of a PUT or DELETE (RFC 9110, 13.1.1). An ETag without its quotes is
// understood too, as it stands in a binding's JSON. A weak one matches nothing.
func ifMatch(c call) binding.Match {
	var match binding.Match
	for _, line := range c.Header.Values("If-Match") {
		for tag := range strings.SplitSeq(line, ",") {
			match = append(match, strings.Trim(strings.TrimSpace(tag), `"`))
		}
	}
	return match
}

// instant reads a time of RFC 3339. Empty is none.
func instant(field, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, malformed(field, "type")
	}
	return t.UTC(), nil
}

// short checks a text's length in bytes.
func short(field, value string, most int) error {
	if len(value) > most {
		return malformed(field, "too_long")
	}
	return nil
}
