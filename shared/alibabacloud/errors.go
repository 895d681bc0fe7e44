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

// answer is a service's error reply. It holds nothing that the service may quote from a request: a
// value that it refused, or, for a wrong signature, all headers with the session token.
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

// Is reports whether the service returned one of the codes.
func Is(err error, codes ...string) bool {
	var a *answer
	return errors.As(err, &a) && slices.Contains(codes, a.code)
}

// Refused reports whether the service understood the request and refused it, so that it wasn't done
// and won't be.
func Refused(err error) bool {
	var a *answer
	return errors.As(err, &a) && a.code != "" && !transient(err) &&
		a.status >= 400 && a.status < 500 && a.status != http.StatusForbidden
}

// Failed returns the error for a reply of status 200 that reports a failed call, from its code and
// the request's id.
func (c *Client) Failed(code, request string) error {
	return c.answered(http.StatusOK, code, request)
}

// transient reports whether the same call may succeed shortly.
func transient(err error) bool {
	var a *answer
	if errors.As(err, &a) {
		return a.status == http.StatusTooManyRequests || a.status >= 500 ||
			strings.Contains(a.code, "Throttling")
	}
	var connection *connection
	return errors.As(err, &connection)
}

// connection is the error of a call that got no reply.
type connection struct {
	service string
	cause   error
}

func (c *connection) Error() string { return "asking " + c.service + ": " + c.cause.Error() }
func (c *connection) Unwrap() error { return c.cause }

// disconnected returns the error for a call that got no reply, without its address.
func (c *Client) disconnected(err error) error {
	return &connection{c.service.Title, secret.WithoutAddress(err)}
}

// describe returns the error for a reply with an error status. The reply may be a proxy's page.
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

// plain returns a code or an id if it has the form that the services use, and "" otherwise: the
// text may come from a proxy.
func plain(text string) string {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if len(text) > 80 || strings.Trim(text, signs) != "" {
		return ""
	}
	return text
}

// explain tells an operator what a code of any service means.
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
