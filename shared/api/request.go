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

// malformed returns the problem of a malformed field.
func malformed(field, reason string) error {
	return problem.New(problem.InputMalformed).Because(reason).With("field", field)
}

func bodyTooLarge(limit int64) error {
	return problem.New(problem.BodyTooLarge).With("limit", strconv.FormatInt(limit, 10))
}

// readBody reads a body of at most limit bytes. A longer one is [problem.BodyTooLarge].
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	// What is small on the wire could be huge here.
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
	default:
		return nil, problem.New(problem.MediaTypeUnknown).Because("compressed")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return nil, bodyTooLarge(limit)
	}
	if err != nil {
		return nil, malformed("body", "json")
	}
	return data, nil
}

// decode decodes the body into a struct. The body must be a single JSON object in UTF-8, with no
// unknown field and no field twice. Errors name the field and never quote a value.
func decode(c call, into any) error {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return problem.New(problem.MediaTypeUnknown)
	}
	data, err := readBody(c.w, c.Request, maxBody)
	if err == nil && !utf8.Valid(data) {
		err = malformed("body", "json")
	}
	if err != nil {
		return err
	}
	if err := checkObject(json.NewDecoder(bytes.NewReader(data))); err != nil {
		return err
	}
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(into); err != nil {
		return decodeProblem(err)
	}
	return nil
}

// decodeProblem returns the problem for an error of encoding/json, which reports an unknown field
// only in its text.
func decodeProblem(err error) error {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) && wrongType.Field != "" {
		return malformed(wrongType.Field, "type")
	}
	if _, name, found := strings.Cut(err.Error(), "json: unknown field "); found {
		return malformed(strings.Trim(name, `"`), "unknown")
	}
	return malformed("body", "json")
}

// checkObject refuses what encoding/json accepts: deep nesting, a name twice (in any case of
// letters, since all of them fill the same field), and data after the object.
func checkObject(dec *json.Decoder) error {
	first, err := dec.Token()
	if err != nil || first != json.Delim('{') {
		return malformed("body", "json")
	}
	if err := checkMembers(dec, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return malformed("body", "json")
	}
	return nil
}

func checkMembers(dec *json.Decoder, depth int) error {
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
		if err := checkValue(dec, depth); err != nil {
			return err
		}
	}
	return closed(dec)
}

// fold returns the name with its case folded as encoding/json compares names, to which K, k and the
// Kelvin sign are one letter.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		lowest := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			lowest = min(lowest, next)
		}
		return lowest
	}, name)
}

func checkValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil || depth >= maxDepth {
		return malformed("body", "json")
	}
	switch token {
	case json.Delim('{'):
		return checkMembers(dec, depth+1)
	case json.Delim('['):
		for dec.More() {
			if err := checkValue(dec, depth+1); err != nil {
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

// parameter returns the value of a query parameter, which may occur once, or "".
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

// wordParameter returns the value of a query parameter whose valid values hold no comma, or "".
// Function Compute and its router join the values of a parameter that occurs twice by a comma, so a
// comma is a second value there; on the other runtimes it is refused too, so that all behave alike.
// GitHub, Gitee and Bitbucket issue codes of letters and digits, and everything else that is read
// by it is Bindery's own. A parameter for free text must be read by [parameter].
func wordParameter(c call, name string) (string, error) {
	value, err := parameter(c, name)
	if err == nil && strings.Contains(value, ",") {
		return "", malformed(name, "doubled")
	}
	return value, err
}

// flag returns the value of a query parameter that is true, false or absent.
func flag(c call, name string) (bool, error) {
	value, err := wordParameter(c, name)
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

// condition returns the condition of a change (RFC 9110, 13.1). It also accepts an ETag
// without quotes, which is how the JSON of a binding holds it. A weak ETag matches nothing.
func condition(c call) (match binding.Match, err error) {
	for _, line := range c.Header.Values("If-Match") {
		for tag := range strings.SplitSeq(line, ",") {
			match.ETags = append(match.ETags, strings.Trim(strings.TrimSpace(tag), `"`))
		}
	}
	for _, line := range c.Header.Values("If-None-Match") {
		if strings.TrimSpace(line) != "*" {
			return match, malformed("If-None-Match", "")
		}
		match.Unbound = true
	}
	return match, nil
}

// parseTime parses a time in the form of RFC 3339. An empty value is the zero time.
func parseTime(field, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, malformed(field, "type")
	}
	return t.UTC(), nil
}
