package tablestore

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// The codes that are distinguished; see the service's page "Error codes".
const (
	codeCondition   = "OTSConditionCheckFail"
	codeTableExists = "OTSObjectAlreadyExist"
)

const unreadable = "the reply of Tablestore can't be read"

var errRedirect = errors.New("the service answered with a redirect")

// answer is an answer of the service that says that it failed.
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

// noAnswer is the error of a call that got no answer.
type noAnswer struct{ cause error }

func (n *noAnswer) Error() string { return "asking the service: " + n.cause.Error() }
func (n *noAnswer) Unwrap() error { return n.cause }

// describe makes an error of the library's fit for a log: without a body that can't be read, which
// the library would quote.
func describe(err error) error {
	if err == nil {
		return nil
	}
	var ots *sdk.OtsError
	if errors.As(err, &ots) {
		a := &answer{status: ots.HttpStatusCode, request: plain(ots.RequestId)}
		// The library makes up OTS_CLIENT_UNKNOWN for an answer that isn't the service's. For a status
		// from 500 on it makes up one of the service's own codes.
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
		return &noAnswer{request.Err}
	}
	return errors.New(unreadable)
}

// quotable reports whether an answer's text helps an operator and names only
// rights, names and states.
func quotable(code string) bool {
	switch code {
	case "OTSObjectNotExist", "OTSNoPermissionAccess", "OTSParameterInvalid", "OTSTableNotReady":
		return true
	}
	return false
}

// plain returns a code or an id as the service writes them, and "" for anything else.
func plain(text string) string {
	const signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
	if len(text) > 80 || strings.Trim(text, signs) != "" {
		return ""
	}
	return text
}

// conditionFailed reports whether the row's condition failed, and not the call.
func conditionFailed(err error) bool { return hasCode(err, codeCondition) }

func hasCode(err error, code string) bool {
	var a *answer
	return errors.As(err, &a) && a.code == code
}

// notDone reports whether the service has certainly not done the work: two writers met at one row,
// and it refused this one.
func notDone(err error) bool { return hasCode(err, sdk.ROW_OPERATION_CONFLICT) }

// transient reports whether the same call may succeed in a moment.
func transient(err error) bool {
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
	var none *noAnswer
	return errors.As(err, &none)
}
