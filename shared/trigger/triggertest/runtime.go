package triggertest

import (
	"net/http"
	"strconv"
	"time"
)

// Runtime is one cloud's protocol between a process and the runtime API.
type Runtime struct {
	variable string // holds the API's address
	base     string // of the API's paths
	accepted int    // the status of a reply that was taken
	describe func(h http.Header, i *invocation, now time.Time, timeout time.Duration)
	event    func(r *http.Request, body []byte) object // as the gateway builds it, nil for a refusal
}

// kind is the purpose of an event. Lambda has only the first.
type kind int

// The values are those of Function Compute's header x-fc-function-type.
const (
	invoke      kind = 0
	initializer kind = 1
	preStop     kind = 2
)

// FunctionARN is the name that Lambda gives the function.
const FunctionARN = "arn:aws:lambda:eu-test-1:123456789012:function:bindery-test"

// Credentials are those of a function's role. Function Compute sends them with each event if the
// function has a role.
type Credentials struct{ ID, Key, Token string }

// Lambda is AWS Lambda's runtime API (version 2018-06-01).
func Lambda() Runtime {
	return Runtime{
		variable: "AWS_LAMBDA_RUNTIME_API",
		base:     "/2018-06-01/runtime/invocation/",
		accepted: http.StatusAccepted,
		event:    payload2,
		describe: func(h http.Header, i *invocation, now time.Time, timeout time.Duration) {
			h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
			h.Set("Lambda-Runtime-Deadline-Ms", millis(now.Add(timeout)))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", FunctionARN)
			h.Set("Lambda-Runtime-Trace-Id", "Root=1-0-0;Parent=0;Sampled=0")
			h.Set("Content-Type", "application/json")
		},
	}
}

// FunctionCompute is the API of Function Compute's built-in Go runtime (version 2020-11-11).
func FunctionCompute() Runtime {
	return Runtime{
		variable: "FC_RUNTIME_API",
		base:     "/2020-11-11/runtime/invocation/",
		accepted: http.StatusOK,
		event:    triggerV1,
		describe: func(h http.Header, i *invocation, now time.Time, timeout time.Duration) {
			h.Set("x-fc-request-id", i.id)
			h.Set("x-fc-function-deadline", millis(now.Add(timeout)))
			h.Set("x-fc-function-timeout", strconv.Itoa(int((timeout+time.Second-1)/time.Second)))
			h.Set("x-fc-function-type", strconv.Itoa(int(i.kind)))
			h.Set("x-fc-function-name", "bindery-test")
			h.Set("x-fc-region", "cn-test")
			h.Set("x-fc-account-id", "1234567890123456")
			if i.as != (Credentials{}) {
				h.Set("x-fc-access-key-id", i.as.ID)
				h.Set("x-fc-access-key-secret", i.as.Key)
				h.Set("x-fc-security-token", i.as.Token)
			}
		},
	}
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
