package alibabacloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"bindery/shared/secret"
)

// answer is an answer of a service other than a good one. It holds nothing of what the service may
// quote of a request: a value that it didn't like, or, about a wrong signature, all headers with
// the session's token in them.
type answer struct {
	service             string
	status              int
	code, text, request string
}

func (a *answer) Error() string {
	text := a.service + " answered " + a.code
	if a.code == "" {
		text = fmt.Sprintf("%s answered with status %d", a.service, a.status)
	}
	if a.text != "" {
		text += ": " + a.text
	}
	if a.request != "" {
		text += " (request " + a.request + ")"
	}
	return text
}

// Is reports whether a service answered with one of the codes.
func Is(err error, codes ...string) bool {
	var a *answer
	return errors.As(err, &a) && slices.Contains(codes, a.code)
}

// Refused reports whether a service understood the request and won't do it, so that it wasn't done
// and won't be.
func Refused(err error) bool {
	var a *answer
	return errors.As(err, &a) && a.code != "" && !passing(err) &&
		a.status >= 400 && a.status < 500 && a.status != http.StatusForbidden
}

// Failed is the error for a reply of status 200 that says itself that the call failed, by its code
// and the request's id.
func (c *Client) Failed(code, request string) error {
	return c.answered(http.StatusOK, code, request)
}

// passing reports whether the same call may succeed in a moment.
func passing(err error) bool {
	var a *answer
	if errors.As(err, &a) {
		return a.status == http.StatusTooManyRequests || a.status >= 500 ||
			strings.Contains(a.code, "Throttling")
	}
	var connection *connection
	return errors.As(err, &connection)
}

// connection is a call that got no answer.
type connection struct {
	service string
	cause   error
}

func (c *connection) Error() string { return "asking " + c.service + ": " + c.cause.Error() }
func (c *connection) Unwrap() error { return c.cause }

// disconnected is the error for a call that got no answer, without its address.
func (c *Client) disconnected(err error) error {
	return &connection{c.service.Title, secret.WithoutAddress(err)}
}

// describe reads the answer of a status that isn't good. It may be a page of something in between.
func (c *Client) describe(status int, text []byte) error {
	var quoting struct {
		Code    string
		Request string `json:"RequestId"`
	}
	_ = json.Unmarshal(text, &quoting)
	return c.answered(status, quoting.Code, quoting.Request)
}

func (c *Client) answered(status int, code, request string) error {
	a := &answer{
		service: c.service.Title, status: status, code: plain(code), request: plain(request),
	}
	if a.text = explain(a.code); a.text == "" {
		a.text = c.service.Explain(a.code)
	}
	return a
}

// plain is a code or an id as the services write them, and "" for anything else: it may be from
// something in between that isn't the service.
func plain(text string) string {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if len(text) > 80 || strings.Trim(text, signs) != "" {
		return ""
	}
	return text
}

// explain says to an operator what a code means that any service may answer with.
func explain(code string) string {
	for _, prefix := range []string{
		"InvalidAccessKeyId", "InvalidSecurityToken", "SignatureDoesNotMatch", "IncompleteSignature",
	} {
		if strings.HasPrefix(code, prefix) {
			return "the credentials aren't taken. On Function Compute they are the role's: see that " +
				"it exists, and that the function sets no ALIBABA_CLOUD_ variable of its own"
		}
	}
	if code == "IllegalTimestamp" {
		return "the clock of this machine is off"
	}
	return ""
}
