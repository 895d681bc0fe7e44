package trigger

import (
	"fmt"
	"log/slog"
	"net/http"
	goruntime "runtime"
	"runtime/debug"
	"strings"

	"bindery/shared/problem"
)

// Recover turns a panic in h into a reply, [problem.Internal], and one line in the log. The line
// has the panic's type and stack and the request's id, and nothing of the request itself. It has
// the panic's value only if that is a Go runtime error, because other values may hold secrets.
//
// If the reply has already begun, Recover breaks it off by a panic with [http.ErrAbortHandler], so
// that the client doesn't take half a reply for a complete one.
//
// The writer that h gets works with [http.ResponseController].
func Recover(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply := &reply{ResponseWriter: w}
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value == http.ErrAbortHandler { // on purpose
				panic(value)
			}
			attributes := []any{"type", fmt.Sprintf("%T", value), "stack", string(debug.Stack())}
			if own, ok := value.(goruntime.Error); ok {
				attributes = append(attributes, "error", own.Error())
			}
			log.ErrorContext(r.Context(), "panic", attributes...)
			if reply.begun {
				panic(http.ErrAbortHandler)
			}
			Instead(w, r, problem.New(problem.Internal))
		}()
		h.ServeHTTP(reply, r)
	})
}

// Instead replies with the problem in place of the reply that was being prepared. No part of that
// reply may have been written.
func Instead(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	for name := range w.Header() {
		// The console could not read the reply without these.
		if name != "Vary" && !strings.HasPrefix(name, "Access-Control-") {
			w.Header().Del(name)
		}
	}
	p.Write(w, r)
}

// reply records whether the reply has begun.
type reply struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader implements [http.ResponseWriter]. A 1xx reply doesn't begin the reply.
func (r *reply) WriteHeader(status int) {
	r.begun = r.begun || status >= http.StatusOK
	r.ResponseWriter.WriteHeader(status)
}

func (r *reply) Write(body []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(body)
}

// Unwrap is for [http.ResponseController].
func (r *reply) Unwrap() http.ResponseWriter { return r.ResponseWriter }
