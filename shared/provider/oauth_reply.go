package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bindery/shared/secret"
)

// tokenReply is a token endpoint's reply, in one form for all platforms.
type tokenReply struct {
	access, refresh secret.Text
	life            time.Duration // 0: missing or not usable
	scopes          []string
	// failure is the error's code (RFC 6749, 5.2), whatever the reply's status: GitHub sends its
	// errors with 200. [unnamedFailure] if the code isn't text.
	failure string
	// description is untrusted text, which must not be shown or logged.
	description string
}

const unnamedFailure = "unnamed"

// maxTokensLength limits the length of access and refresh token together: the vault's limit for one
// value, less room for what is stored with them. Nothing else is assumed about their length.
const maxTokensLength = 28_000

// maxScopes and maxScopeLength limit the scopes of a reply, which are stored in records.
const (
	maxScopes      = 100
	maxScopeLength = 100
)

// maxTokenLife is the longest life of a token that is accepted; a longer one is cut. No platform
// documents more than a day, and an expires_in of 1e18 would overflow [time.Duration].
const maxTokenLife = 365 * 24 * time.Hour

var (
	errNoTokenReply = errors.New("the body is neither a JSON object nor a form")
	errNoToken      = errors.New("the reply has neither a token nor an error")
	errTokenText    = errors.New("the token is too long or not printable ASCII")
)

// readTokenReply parses the body of a token reply (RFC 6749, 5.1 and 5.2). It accepts
// JSON and a form (GitHub's default), expires_in as a number or a text, scope under either of its
// names as text or list. The error never quotes the body.
func readTokenReply(header http.Header, body []byte) (tokenReply, error) {
	fields, err := replyFields(header, body)
	if err != nil {
		return tokenReply{}, err
	}
	reply := tokenReply{
		access:  secret.New(fields.text("access_token")),
		refresh: secret.New(fields.text("refresh_token")),
		life:    lifeOf(fields["expires_in"]),
		scopes:  scopesOf(fields["scope"], fields["scopes"]),
		failure: fields.failure(),
	}
	switch {
	case reply.failure != "":
		description := fields.text("error_description")
		return tokenReply{failure: reply.failure, description: description}, nil
	case reply.access.Empty():
		return tokenReply{}, errNoToken
	case !sendable(reply.access, reply.refresh):
		return tokenReply{}, errTokenText
	}
	return reply, nil
}

// replyValues are the fields of a reply as JSON; a form's values are JSON strings.
type replyValues map[string]json.RawMessage

func replyFields(header http.Header, body []byte) (replyValues, error) {
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		var fields replyValues
		if json.Unmarshal(body, &fields) != nil {
			return nil, errNoTokenReply
		}
		return fields, nil
	}
	switch kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded", "text/plain":
	default:
		return nil, errNoTokenReply
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errNoTokenReply // the error itself would quote the body
	}
	fields := replyValues{}
	for name := range form {
		quoted, err := json.Marshal(form.Get(name))
		if err != nil {
			return nil, errNoTokenReply
		}
		fields[name] = quoted
	}
	return fields, nil
}

// text returns the field if it is a string, else "".
func (v replyValues) text(name string) string {
	var s string
	if json.Unmarshal(v[name], &s) != nil {
		return ""
	}
	return s
}

func (v replyValues) failure() string {
	raw, there := v["error"]
	if !there || string(raw) == "null" || string(raw) == `""` {
		return ""
	}
	if code := v.text("error"); code != "" {
		return code
	}
	return unnamedFailure
}

// lifeOf parses expires_in. It returns 0 for anything but a positive number of seconds; the
// platform's documented life is then used. A life that is too long is cut.
func lifeOf(raw json.RawMessage) time.Duration {
	text := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = strings.TrimSpace(quoted)
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	if seconds >= maxTokenLife.Seconds() {
		return maxTokenLife
	}
	return time.Duration(seconds * float64(time.Second))
}

// scopesOf parses scopes from text, separated by spaces or commas, or from a list of such texts.
func scopesOf(values ...json.RawMessage) []string {
	var scopes []string
	for _, raw := range values {
		var one string
		var list []string
		if json.Unmarshal(raw, &one) != nil {
			_ = json.Unmarshal(raw, &list) // neither: the reply has no scopes
		}
		scopes = append(append(scopes, list...), one)
	}
	return splitScopes(strings.Join(scopes, " "))
}

// splitScopes splits scopes at spaces and commas and drops duplicates. A scope that isn't printable
// ASCII or is very long is dropped: it wasn't requested, and it would get into records and texts.
func splitScopes(line string) []string {
	var scopes []string
	for _, scope := range strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r <= ' ' }) {
		odd := len(scope) > maxScopeLength || !printable(scope)
		if !odd && len(scopes) < maxScopes && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// sendable reports whether the tokens can be stored and sent in a header.
func sendable(access, refresh secret.Text) bool {
	return len(access.Reveal())+len(refresh.Reveal()) <= maxTokensLength &&
		printable(access.Reveal()) && printable(refresh.Reveal())
}

// printable reports whether s is visible ASCII without spaces.
func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
