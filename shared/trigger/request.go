package trigger

import (
	"context"
	"net/http"

	"bindery/shared/problem"
)

type requestIDKey struct{}

// WithRequestID returns a context whose log lines carry the id: of a request, or of one run of a
// schedule.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id that the context carries, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// Identify returns the request with the id in its context and in its
// [problem.RequestIDHeader].
func Identify(r *http.Request, id string) *http.Request {
	r = r.WithContext(WithRequestID(r.Context(), id))
	r.Header = r.Header.Clone()
	r.Header.Set(problem.RequestIDHeader, id)
	return r
}
