package awskms

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"bindery/shared/secret"
)

// unanswered returns the failure of a request without an answer.
func unanswered(err error) error { return failure{cause: secret.WithoutAddress(err)} }

// failure is an answer of the service that reports an error, or no answer.
type failure struct {
	status              int
	kind, text, request string
	cause               error // of a call without an answer
}

// refusal reads an error of the service. Its message may quote the request, with the session token
// for a wrong signature, and is kept only for codes whose message is about keys and roles.
func refusal(response *http.Response, body []byte) error {
	var reply struct {
		Type    string `json:"__type"`
		Message string `json:"message"` // or Message
	}
	_ = json.Unmarshal(body, &reply) // a page of a proxy has no code
	f := failure{
		status: response.StatusCode, kind: reply.Type[strings.LastIndex(reply.Type, "#")+1:],
		request: response.Header.Get("X-Amzn-Requestid"),
	}
	switch f.kind {
	case "AccessDeniedException", "NotFoundException", "DisabledException",
		"KMSInvalidStateException", "KeyUnavailableException", "InvalidKeyUsageException":
		f.text = reply.Message
	}
	return f
}

func (f failure) Error() string {
	if f.cause != nil {
		return "asking KMS: " + f.cause.Error()
	}
	text := "KMS answered " + f.kind
	if f.kind == "" {
		text = fmt.Sprintf("KMS answered with status %d", f.status)
	}
	if f.text != "" {
		text += ": " + f.text
	}
	if f.request != "" {
		text += " (request " + f.request + ")"
	}
	return text
}

func (f failure) Unwrap() error { return f.cause }

// The vendor's retryer asks for these three.

// ErrorCode returns the service's code.
func (f failure) ErrorCode() string { return f.kind }

// HTTPStatusCode returns the answer's status, 0 for none.
func (f failure) HTTPStatusCode() int { return f.status }

// ConnectionError reports whether there was no answer.
func (f failure) ConnectionError() bool { return f.cause != nil }
