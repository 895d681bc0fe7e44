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

// writeRaw replies with what isn't JSON: a user's file or a credential. Whatever it holds, no
// browser shows it as a page of this origin, and no cache stores it.
func writeRaw(w http.ResponseWriter, out answer) {
	h := w.Header()
	h.Set("Content-Type", out.contentType)
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(out.raw) // fails only if the client is gone
}
