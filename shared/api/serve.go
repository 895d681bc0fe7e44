package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"bindery/shared/auth"
	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// call is a request by a signed-in caller.
type call struct {
	*http.Request
	by auth.Caller
	w  http.ResponseWriter // only for the limit of the body
}

// handler serves a call.
type handler func(ctx context.Context, c call) (answer, error)

// user returns the caller as records keep it.
func (c call) user() binding.User {
	return binding.User{Issuer: c.by.Issuer, Subject: c.by.Subject, Account: c.by.Account}
}

// language returns the language of the reply.
func (c call) language() problem.Language { return problem.LanguageOf(c.Request) }

// answer is the reply to a call that succeeded.
type answer struct {
	status int // 0 is 200
	body   any // as JSON
	etag   string

	// contentType, if it is set, is the type of raw, which is the reply instead of body.
	contentType string
	raw         []byte
}

const plainText = "text/plain; charset=utf-8"

// signedIn serves a route to callers that have the scope.
func (a *API) signedIn(scope string, serve handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		by, err := a.callers.Caller(ctx, r)
		if err == nil && !by.Has(scope) {
			err = problem.New(problem.ScopeMissing).With("scope", scope)
		}
		c := call{Request: r, by: by, w: w}
		var out answer
		if err == nil {
			out, err = serve(ctx, c)
		}
		if err != nil {
			a.audit(c, err)
			a.fail(w, r, err)
			return
		}
		if out.etag != "" {
			w.Header().Set("ETag", `"`+out.etag+`"`)
		}
		if out.contentType != "" {
			writeRaw(w, out)
			return
		}
		status := cmp.Or(out.status, http.StatusOK)
		problem.WriteJSON(w, status, "application/json", out.body)
	}
}

// limited serves the calls that the limiter allows to the caller.
func limited(limiter *auth.RateLimiter, serve handler) handler {
	return func(ctx context.Context, c call) (answer, error) {
		caller := c.by.Issuer + "\x00" + c.by.Subject + "\x00" + c.by.Account
		if wait, ok := limiter.Allow(caller); !ok {
			return answer{}, problem.New(problem.TooManyCalls).After(wait)
		}
		return serve(ctx, c)
	}
}

// audit writes an audit entry for a failed call that would have changed something or handed out a
// credential.
func (a *API) audit(c call, err error) {
	if c.Method == http.MethodGet || c.Method == http.MethodHead || c.by.Subject == "" {
		return
	}
	event.Audit(c.Context(), a.log, event.Entry{
		Action: c.Pattern,
		User:   c.user(),
		Target: binding.Key{
			Account:  c.by.Account,
			Region:   loggable(c.PathValue("region")),
			Instance: loggable(c.PathValue("instance")),
			Platform: loggable(c.PathValue("platform")),
		},
		Outcome: string(problem.Of(err).Code),
	})
}

// loggable returns a part of a path if it has the form of a region, an instance's id or a platform,
// such as cri-0123456789abcdef. Anything else may be a token in the wrong place: the tokens of the
// platforms are longer.
func loggable(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	if len(name) > maxLoggable || strings.Trim(name, letters) != "" {
		return "(not shown)"
	}
	return name
}

// maxLoggable is longer than every region and every id that the registry gives.
const maxLoggable = 24

// bindingTarget returns the instance and the platform that the path of a binding names.
func (a *API) bindingTarget(ctx context.Context, c call) (instance.Instance, string, error) {
	i, err := a.instance(ctx, c)
	if err != nil {
		return instance.Instance{}, "", err
	}
	name := c.PathValue("platform")
	if _, ok := a.known.Get(name); !ok {
		return instance.Instance{}, "", problem.New(problem.PlatformUnknown)
	}
	return i, name, nil
}

// instance finds the instance that the path names.
func (a *API) instance(ctx context.Context, c call) (instance.Instance, error) {
	return a.find(ctx, c, c.PathValue("region"), c.PathValue("instance"))
}

// find finds an instance that the caller names. An instance of another account and an instance that
// the caller's token doesn't list are [problem.InstanceUnknown], as one that doesn't exist.
func (a *API) find(ctx context.Context, c call, region, id string) (instance.Instance, error) {
	if !c.by.Sees(region, id) {
		return instance.Instance{}, problem.New(problem.InstanceUnknown)
	}
	return a.instances.Find(ctx, c.by.Account, region, id)
}

// routed serves the routes of the mux, and replies with a problem where the mux has no route. A
// body that is too large is refused before anything else, also before the caller is known.
func (a *API) routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if limit := bodyLimit(r); r.ContentLength > limit {
			a.fail(w, r, bodyTooLarge(limit))
			return
		}
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		own := muxReply{header: http.Header{}}
		h.ServeHTTP(&own, r)
		if own.status != http.StatusMethodNotAllowed {
			a.fail(w, r, problem.New(problem.RouteUnknown))
			return
		}
		w.Header().Set("Allow", own.header.Get("Allow"))
		a.fail(w, r, problem.New(problem.MethodNotAllowed).With("method", r.Method))
	})
}

// bodyLimit returns how long the body of a request may be, in bytes.
func bodyLimit(r *http.Request) int64 {
	if toWebhook(r) {
		return provider.MaxDelivery
	}
	return maxBody
}

// muxReply takes the plain text reply that the mux gives where it has no route.
type muxReply struct {
	header http.Header
	status int
}

func (m *muxReply) Header() http.Header         { return m.header }
func (m *muxReply) WriteHeader(status int)      { m.status = status }
func (m *muxReply) Write(b []byte) (int, error) { return len(b), nil }

// cors allows only the console's origin to call from a browser. No browser calls a webhook.
func (a *API) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if r.Header.Get("Origin") != a.console || toWebhook(r) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", a.console)
		h.Set("Access-Control-Expose-Headers", "ETag, Retry-After")
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
		h.Set("Access-Control-Allow-Headers",
			"Authorization, Content-Type, If-Match, If-None-Match, Accept-Language, "+
				"Bindery-Confirmation-Code")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
