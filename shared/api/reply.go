package api

import (
	"log/slog"
	"net/http"

	"bindery/shared/problem"
)

// fail replies with the problem that err holds, and logs the cause.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.Of(err)
	a.logRefused(r, p, err)
	p.Write(w, r)
}

// logRefused logs a request that ended with a problem. The line holds the route and not the
// address, since the address of a callback holds a code. Alarms are raised on level error, so only
// Bindery's own failures have that level: a platform that is down and an address that a user
// mistyped don't.
func (a *API) logRefused(r *http.Request, p *problem.Problem, err error) {
	level := slog.LevelInfo
	switch {
	case p.Status() == http.StatusBadGateway || p.Code == problem.PlatformRateLimited:
		level = slog.LevelWarn
	case p.Status() >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	a.log.Log(r.Context(), level, "refused", "method", r.Method, "route", r.Pattern,
		"status", p.Status(), "code", p.Code, "reason", p.Reason, "error", err)
}
