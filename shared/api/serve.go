package api

import (
	"cmp"
	"context"
	"net/http"

	"bindery/shared/auth"
	"bindery/shared/event"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/table"
)

// call is one request by a signed-in caller.
type call struct {
	*http.Request
	by auth.Caller
	w  http.ResponseWriter // for the body's limit alone
}

// user is the caller as records keep it.
func (c call) user() table.User {
	return table.User{Issuer: c.by.Issuer, Subject: c.by.Subject, Account: c.by.Account}
}

// answer is a reply that worked.
type answer struct {
	status int // 0 is 200
	body   any
	etag   string
}

// signedIn serves a route to callers that have the scope.
func (a *API) signedIn(
	scope string, serve func(ctx context.Context, c call) (answer, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), whole)
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
		write(w, cmp.Or(out.status, http.StatusOK), "application/json", out.body)
	}
}

// audit writes the line of a call that was to change something, or to hand something out, and
// that the caller was denied.
func (a *API) audit(c call, err error) {
	if c.Method == http.MethodGet || c.Method == http.MethodHead || c.by.Subject == "" {
		return
	}
	event.Audit(c.Context(), a.log, event.Entry{
		Action: c.Pattern,
		User:   c.user(),
		Target: table.Key{
			Account:  c.by.Account,
			Region:   c.PathValue("region"),
			Instance: c.PathValue("instance"),
			Platform: c.PathValue("platform"),
		},
		Outcome: string(problem.Of(err).Code),
	})
}

// instance finds the instance that the path names.
func (a *API) instance(ctx context.Context, c call) (instance.Instance, error) {
	return a.find(ctx, c, c.PathValue("region"), c.PathValue("instance"))
}

// find finds an instance that the caller names. One that is another account's, or that the
// caller's token doesn't list, is answered exactly as one that doesn't exist.
func (a *API) find(
	ctx context.Context, c call, region, id string,
) (instance.Instance, error) {
	if !c.by.Sees(region, id) {
		return instance.Instance{}, problem.New(problem.InstanceUnknown)
	}
	return a.instances.Find(ctx, c.by.Account, region, id)
}

// platform returns the name of the path's platform, if there is one of this name.
func (a *API) platform(c call) (string, error) {
	name := c.PathValue("platform")
	if _, ok := a.known.Get(name); !ok {
		return "", problem.New(problem.PlatformUnknown)
	}
	return name, nil
}

// routed answers what the mux has no route for with a problem, as everything else.
func (a *API) routed(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		miss := missed{header: http.Header{}}
		h.ServeHTTP(&miss, r)
		if miss.status != http.StatusMethodNotAllowed {
			a.fail(w, r, problem.New(problem.RouteUnknown))
			return
		}
		w.Header().Set("Allow", miss.header.Get("Allow"))
		a.fail(w, r, problem.New(problem.MethodNotAllowed).With("method", r.Method))
	})
}

// missed takes the mux's own reply in plain text for what it has no route for.
type missed struct {
	header http.Header
	status int
}

func (m *missed) Header() http.Header         { return m.header }
func (m *missed) WriteHeader(status int)      { m.status = status }
func (m *missed) Write(b []byte) (int, error) { return len(b), nil }

// cors lets the console's origin, and no other, call from a browser.
func (a *API) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if r.Header.Get("Origin") != a.console {
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
			"Authorization, Content-Type, If-Match, Accept-Language, Bindery-Confirmation-Code")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
