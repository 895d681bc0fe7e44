// Package dispatch passes a request to the function that handles it, through Function Compute's own
// API.
//
// A custom domain of Function Compute distinguishes paths only by their beginning: not by the
// method, nor by what follows a variable part. So paths that begin like those of several functions
// are routed to one function, whose handler is this package's. It invokes the right function with
// the same event and returns its reply. It may invoke those functions and do nothing else, and they
// have no address of their own.
//
// Requests that the domain can distinguish never reach this package. Who is calling, and whether
// the request is valid, is left to the function that handles it.
//
// Sources: the cloud's pages "Configure a custom domain name" (routing rules) and "InvokeFunction"
// (version 2023-03-30).
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/problem"
	"bindery/shared/trigger"
)

// Options says how a dispatcher is created.
type Options struct {
	alibabacloud.Environment
	// Account is the number of the account that the functions are in.
	Account string
	// Own is the name of the function that runs this dispatcher. It ends with "router", and the
	// other functions' names have the same beginning.
	Own string
	// Endpoint is an origin that is used instead of the region's own.
	Endpoint string
	// Console is the origin of the page, which may read the dispatcher's own replies.
	Console string
	// Now is the clock for signing requests.
	Now func() time.Time
	Log *slog.Logger
}

// self is the end of the dispatching function's name.
const self = "router"

// fallback is the function for requests that no other function handles: it answers that there is no
// such route, and answers CORS preflight requests as every function does.
const fallback = "status"

// routes returns the routes that a custom domain can't distinguish, and the function of each.
func routes() map[string]string {
	const binding = " /v1/instances/{region}/{instance}/bindings/{platform}"
	const subscription = binding + "/repositories/{repository}/subscription"
	return map[string]string{
		"PUT" + binding:                        "tokenbind",
		"DELETE" + binding:                     "unbind",
		"POST" + binding + "/credential":       "credential",
		"GET" + binding + "/repositories":      "repository",
		"GET" + binding + "/repositories/":     "repository",
		"GET" + binding + "/subscriptions":     "subscription",
		"GET" + subscription:                   "subscription",
		"GET" + subscription + "/deliveries":   "subscription",
		"PUT" + subscription:                   "subscription",
		"DELETE" + subscription:                "subscription",
		"POST" + subscription + "/":            "subscription",
		"POST" + binding + "/check":            "expirycheck",
		"GET /v1/authorizations/{id}/start":    "oauthstart",
		"GET /v1/authorizations/{id}":          "oauthconfirm",
		"POST /v1/authorizations/{id}/confirm": "oauthconfirm",
		"/":                                    fallback,
	}
}

// Dispatcher is an [http.Handler]. Create one with [New].
type Dispatcher struct {
	mux     *http.ServeMux
	client  *client
	console string
	log     *slog.Logger
}

// New returns a dispatcher, and makes no call.
func New(o Options) (*Dispatcher, error) {
	prefix, found := strings.CutSuffix(o.Own, self)
	if !found || o.Account == "" {
		return nil, errors.New("FC_ACCOUNT_ID is not set, or FC_FUNCTION_NAME doesn't end with " +
			self + ": this function runs on Function Compute alone")
	}
	if o.Endpoint == "" {
		o.Endpoint = fmt.Sprintf("https://%s.%s.fc.aliyuncs.com", o.Account, o.Region)
	}
	scheme, host, err := alibabacloud.Origin(o.Endpoint)
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{
		mux:     http.NewServeMux(),
		client:  newClient(scheme+"://"+host, o.Credentials, o.Now),
		console: o.Console,
		log:     o.Log,
	}
	for route, function := range routes() {
		d.mux.Handle(route, d.to(prefix+function))
	}
	return d, nil
}

// ServeHTTP implements [http.Handler]. If a function can't be invoked or fails, the client gets
// [problem.Internal] and the log gets a line; if there is no capacity for it, the client gets
// [problem.Overloaded]. A body of more than [trigger.MaxBody] bytes is [problem.BodyTooLarge], and
// no function is invoked. Nothing is tried twice, because the first try may have done its work.
func (d *Dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.mux.ServeHTTP(w, r) }

func (d *Dispatcher) to(function string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		event, err := eventOf(r)
		var out *reply
		if err == nil {
			out, err = d.client.invoke(ctx, function, event)
		}
		if err != nil {
			d.refuse(w, r, function, err)
			return
		}
		out.write(w)
	}
}

// refuse replies in place of the function that was to be invoked.
func (d *Dispatcher) refuse(w http.ResponseWriter, r *http.Request, function string, err error) {
	level, p := slog.LevelError, problem.New(problem.Internal)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large): // the client's mistake raises no alarm
		level = slog.LevelInfo
		p = problem.New(problem.BodyTooLarge).With("limit", strconv.FormatInt(large.Limit, 10))
	case errors.Is(err, errFull):
		p = problem.New(problem.Overloaded).After(time.Second)
	}
	d.log.Log(r.Context(), level, "a function could not be invoked",
		"invoked", function, "error", err)
	w.Header().Set("Vary", "Origin")
	// The functions' own replies set these headers themselves.
	if r.Header.Get("Origin") == d.console {
		w.Header().Set("Access-Control-Allow-Origin", d.console)
	}
	trigger.Instead(w, r, p)
}
