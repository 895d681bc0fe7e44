package kms

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"bindery/shared/vault"
)

// The codes that tell something apart; see the error codes on the pages of the operations.
const (
	notFound = "Forbidden.ResourceNotFound"
	exists   = "Rejected.ResourceExist"
	going    = "Rejected.ResourceInDeleteWindow"
)

const unreadable = "the reply of KMS can't be read"

// answer is an answer of the service other than a good one. It holds nothing of what the service
// may quote of a request: a value that it didn't like, or, about a wrong signature, all headers
// with the session's token in them.
type answer struct {
	status              int
	code, text, request string
}

func (a *answer) Error() string {
	text := "KMS answered " + a.code
	if a.code == "" {
		text = fmt.Sprintf("KMS answered with status %d", a.status)
	}
	if a.text != "" {
		text += ": " + a.text
	}
	if a.request != "" {
		text += " (request " + a.request + ")"
	}
	return text
}

// is says whether the service answered with one of the codes.
func is(err error, codes ...string) bool {
	var a *answer
	if !errors.As(err, &a) {
		return false
	}
	for _, code := range codes {
		if a.code == code {
			return true
		}
	}
	return false
}

// refused says whether the service understood the request and won't do it, so that it wasn't done
// and won't be.
func refused(err error) bool {
	var a *answer
	return errors.As(err, &a) && a.code != "" && !passing(err) &&
		a.status >= 400 && a.status < 500 && a.status != http.StatusForbidden
}

// passing says whether the same call may succeed in a moment.
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
type connection struct{ cause error }

func (c *connection) Error() string { return "asking KMS: " + c.cause.Error() }
func (c *connection) Unwrap() error { return c.cause }

// disconnected is the error for a call that got no answer, without its address.
func disconnected(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return &connection{err}
}

// describe reads the answer of a status that isn't good. It may be a page of something in between.
func describe(status int, text []byte) error {
	var quoting struct {
		Code    string
		Request string `json:"RequestId"`
	}
	_ = json.Unmarshal(text, &quoting)
	code := plain(quoting.Code)
	return &answer{
		status: status, code: code, text: explain(code), request: plain(quoting.Request),
	}
}

// plain is a code or an id as the service writes them, and "" for anything else: it may be from
// something in between that isn't the service.
func plain(text string) string {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if len(text) > 80 || strings.Trim(text, signs) != "" {
		return ""
	}
	return text
}

// explain says to an operator what a code means where it is about what he has to set up.
func explain(code string) string {
	switch code {
	case "Forbidden.NoPermission":
		return "the function's role lacks a permission for the secret or its key"
	case "Rejected.LimitExceeded":
		return "the instance's quota of secrets is used up"
	case "Forbidden.KeyNotFound":
		return "the key isn't there"
	}
	return ""
}

// absent is [vault.ErrNotFound] for what says that, and else the error itself.
func absent(err error) error {
	if is(err, notFound, going) {
		return vault.ErrNotFound
	}
	return err
}
