//go:build !alibaba

package trigger

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	awslambda "github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// onLambda serves API Gateway's payload 2.0 and schedules. Lambda's own adapters are not used:
// lambdaurl uses a streaming protocol that an HTTP API doesn't support, and loses the cookies.
func onLambda(ctx context.Context, _ Params, f Function, log *slog.Logger) error {
	h := lambdaHandler{f: f, log: log}
	if f.HTTP != nil {
		h.http = Recover(log, f.HTTP)
	}
	return until(ctx, func() { awslambda.StartWithOptions(h, awslambda.WithContext(ctx)) })
}

// lambdaHandler takes events as raw bytes.
type lambdaHandler struct {
	f    Function
	http http.Handler
	log  *slog.Logger
}

// lambdaReply is the reply in the format of payload 2.0.
type lambdaReply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Cookies         []string          `json:"cookies,omitempty"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

// Invoke implements the runtime's Handler.
func (h lambdaHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	id := ""
	if about, ok := lambdacontext.FromContext(ctx); ok {
		id = about.AwsRequestID
	}
	ctx = WithRequestID(ctx, id)
	e, isHTTP, err := readEvent(payload)
	if err != nil {
		return nil, err
	}
	if !isHTTP || h.http == nil {
		return scheduled(ctx, h.f, payload, h.log)
	}
	out, err := answered(ctx, e, id, h.http)
	if err != nil {
		return nil, err
	}
	reply := lambdaReply{
		StatusCode: out.status,
		Headers:    map[string]string{},
		Cookies:    out.header["Set-Cookie"],
	}
	for name, values := range out.header {
		if name != "Set-Cookie" {
			reply.Headers[name] = strings.Join(values, ", ")
		}
	}
	reply.Body, reply.IsBase64Encoded = encoded(out.body.Bytes())
	return json.Marshal(reply)
}
