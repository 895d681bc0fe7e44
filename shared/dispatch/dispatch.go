// Package dispatch brings a request to the function that it is for, by Function Compute's own API.
//
// A custom domain of Function Compute tells paths apart by what they begin with alone: not by the
// method, nor by what follows a part that varies. So what begins as several functions' paths do
// comes to one function, whose handler is this package's. It invokes the right one with the same
// event and gives back its reply; it may invoke those functions and do nothing else, and they have
// no address of their own.
//
// What the domain can tell apart never comes here. Who is calling, and whether the request makes
// sense, is for the function that it is for.
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
	"strings"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/problem"
	"bindery/shared/trigger"
)

// Options are what a dispatcher is made with.
type Options struct {
	alibabacloud.Environment
	// Account is the number of the account that the functions are in.
	Account string
	// Own is the name of the function that this runs in. It ends with "router", and the others'
	// names begin as it does.
	Own string
	// Endpoint is an origin to ask in place of the region's own.
	Endpoint string
	// Console is the origin of the page, which may read what this itself answers.
	Console string
	// Now is the clock that requests are signed by.
	Now func() time.Time
	Log *slog.Logger
}

// self is what the name of the function ends with that dispatches.
const self = "router"

// anything is the function for what no other is for: it knows that there is no such route, and
// answers a browser's question before a call in the same way as all.
const anything = "status"

// routes are those that a custom domain can't tell apart, and the function of each.
func routes() map[string]string {
	const binding = " /v1/instances/{region}/{instance}/bindings/{platform}"
	return map[string]string{
		"PUT" + binding:                        "tokenbind",
		"DELETE" + binding:                     "unbind",
		"POST" + binding + "/credential":       "credential",
		"POST" + binding + "/check":            "expirycheck",
		"GET /v1/authorizations/{id}/start":    "oauthstart",
		"GET /v1/authorizations/{id}":          "oauthconfirm",
		"POST /v1/authorizations/{id}/confirm": "oauthconfirm",
		"/":                                    anything,
	}
}

// Dispatcher is an [http.Handler]. Make one with [New].
type Dispatcher struct {
	mux     *http.ServeMux
	client  *client
	console string
	log     *slog.Logger
}

// New makes a dispatcher, and no call.
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

// ServeHTTP implements [http.Handler]. A function that can't be invoked, or that fails, is
// [problem.Internal] to the client and a line in the log, and [problem.Overloaded] where there is
// no capacity for it; nothing is tried twice, for the first try may have done its work.
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
			d.log.ErrorContext(ctx, "a function could not be invoked",
				"invoked", function, "error", err)
			w.Header().Set("Vary", "Origin")
			if r.Header.Get("Origin") == d.console { // the functions' own replies say so themselves
				w.Header().Set("Access-Control-Allow-Origin", d.console)
			}
			p := problem.New(problem.Internal)
			if errors.Is(err, errFull) {
				p = problem.New(problem.Overloaded).After(time.Second)
			}
			trigger.Instead(w, r, p)
			return
		}
		out.write(w)
	}
}
