package tablestore

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// The codes that tell something apart; see the service's page "Error codes".
const (
	conditionFailed = "OTSConditionCheckFail"
	tableThere      = "OTSObjectAlreadyExist"
)

const unreadable = "the reply of Tablestore can't be read"

var errRedirect = errors.New("the service answered with a redirect")

// answer is an answer of the service other than a good one.
type answer struct {
	status              int
	code, text, request string
}

func (a *answer) Error() string {
	text := "the service answered " + a.code
	if a.code == "" {
		text = fmt.Sprintf("the service answered with status %d", a.status)
	}
	if a.text != "" {
		text += ": " + a.text
	}
	if a.request != "" {
		text += " (request " + a.request + ")"
	}
	return text
}

// connection is a call that got no answer.
type connection struct{ cause error }

func (c *connection) Error() string { return "asking the service: " + c.cause.Error() }
func (c *connection) Unwrap() error { return c.cause }

// describe makes an error of the library's fit to be seen: without a body that can't be read, which
// the library would quote.
func describe(err error) error {
	if err == nil {
		return nil
	}
	var ots *sdk.OtsError
	if errors.As(err, &ots) {
		a := &answer{status: ots.HttpStatusCode, request: plain(ots.RequestId)}
		// The library makes this code up for what isn't the service's; of a status from 500 on it
		// makes one of the service's own.
		if ots.Code != sdk.OTS_CLIENT_UNKNOWN && strings.HasPrefix(ots.Code, "OTS") {
			a.code = plain(ots.Code)
		}
		if quotable(a.code) && len(ots.Message) < 300 {
			a.text = ots.Message
		}
		return a
	}
	var request *url.Error
	switch {
	case errors.Is(err, errRedirect):
		return errRedirect
	case errors.As(err, &request):
		return &connection{request.Err}
	}
	return errors.New(unreadable)
}

// quotable reports whether an answer's text helps an operator and is about rights, names and states
// only.
func quotable(code string) bool {
	switch code {
	case "OTSObjectNotExist", "OTSNoPermissionAccess", "OTSParameterInvalid", "OTSTableNotReady":
		return true
	}
	return false
}

// plain is a code or an id as the service writes them, and "" for anything else.
func plain(text string) string {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if len(text) > 80 || strings.Trim(text, signs) != "" {
		return ""
	}
	return text
}

// clashed reports whether it was a condition that failed: throttling and the rest are not.
func clashed(err error) bool { return is(err, conditionFailed) }

func is(err error, code string) bool {
	var a *answer
	return errors.As(err, &a) && a.code == code
}

// undone reports whether the service didn't do the work for certain: two writers of one row met, and
// this one was turned away.
func undone(err error) bool { return is(err, sdk.ROW_OPERATION_CONFLICT) }

// passing reports whether the same call may succeed in a moment.
func passing(err error) bool {
	var a *answer
	if errors.As(err, &a) {
		switch a.code {
		case sdk.ROW_OPERATION_CONFLICT, sdk.NOT_ENOUGH_CAPACITY_UNIT, sdk.TABLE_NOT_READY,
			sdk.PARTITION_UNAVAILABLE, sdk.SERVER_BUSY, sdk.STORAGE_SERVER_BUSY,
			sdk.STORAGE_TIMEOUT, sdk.SERVER_UNAVAILABLE, sdk.INTERNAL_SERVER_ERROR:
			return true
		}
		return a.status == http.StatusTooManyRequests || a.status >= 500
	}
	var connection *connection
	return errors.As(err, &connection)
}
