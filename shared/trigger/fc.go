//go:build alibaba || !aws

package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aliyun/fc-runtime-go-sdk/fc"
	"github.com/aliyun/fc-runtime-go-sdk/fccontext"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
)

// onFunctionCompute serves HTTP and timer triggers of Function Compute's built-in Go runtime. The
// initializer and the preStop hook are always registered: a function for which one is configured
// panics without it.
func onFunctionCompute(ctx context.Context, p Params, f Function, log *slog.Logger) error {
	h := fcHandler{f: f, log: log, credentials: p.Credentials}
	if f.HTTP != nil {
		h.http = Recover(log, f.HTTP)
	}
	fc.RegisterInitializerFunction(func(context.Context) {})
	fc.RegisterPreStopFunction(func(context.Context) {})
	// A func that takes bytes gets the event unchanged, and json.RawMessage is sent unchanged.
	return until(ctx, func() { fc.Start(h.invoke) })
}

type fcHandler struct {
	f           Function
	http        http.Handler
	log         *slog.Logger
	credentials *alibabacloud.InvocationCredentials
}

// fcReply is the HTTP trigger's reply. A header has one value.
type fcReply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// timerEvent is a timer trigger's event. The payload is the text that was set with the trigger.
type timerEvent struct {
	TriggerName string `json:"triggerName"`
	Payload     string `json:"payload"`
}

func (h fcHandler) invoke(ctx context.Context, payload []byte) (json.RawMessage, error) {
	id := ""
	if about, ok := fccontext.FromContext(ctx); ok { // may be called only once
		id = about.RequestID
		h.credentials.Set(alibabacloud.Credentials{
			ID:    about.Credentials.AccessKeyId,
			Key:   secret.New(about.Credentials.AccessKeySecret),
			Token: secret.New(about.Credentials.SecurityToken),
		})
	}
	ctx = WithRequestID(ctx, id)
	e, isHTTP, err := readEvent(payload)
	if err != nil {
		return nil, err
	}
	if !isHTTP || h.http == nil {
		return scheduled(ctx, h.f, taskOf(payload), h.log)
	}
	out, err := answered(ctx, e, id, h.http)
	if err != nil {
		return nil, err
	}
	if len(out.header["Set-Cookie"]) > 1 { // joined, they would be one broken cookie
		h.log.ErrorContext(ctx, "a reply has more than one cookie, which can't be sent here")
		return nil, errReply
	}
	reply := fcReply{StatusCode: out.status, Headers: map[string]string{}}
	for name, values := range out.header {
		reply.Headers[name] = strings.Join(values, ", ")
	}
	reply.Body, reply.IsBase64Encoded = encoded(out.body.Bytes())
	return json.Marshal(reply)
}

var errReply = errors.New("the reply can't be sent: see the log")

// taskOf returns the input of a timer, or of an operator's own invocation.
func taskOf(payload []byte) json.RawMessage {
	var timer timerEvent
	if json.Unmarshal(payload, &timer) == nil && timer.TriggerName != "" {
		return json.RawMessage(timer.Payload)
	}
	return payload
}
