package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"bindery/shared/problem"
)

// problemJSON is a problem as RFC 9457 has it, with Bindery's code, reason and remedy.
type problemJSON struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status,omitempty"` // of a reply; a binding's own problem has none
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Reason    string `json:"reason,omitempty"`
	Remedy    string `json:"remedy"`
	RequestID string `json:"requestId,omitempty"`
}

// words is a problem in the reader's language, without what belongs to a reply alone.
func words(p *problem.Problem, lang problem.Language) problemJSON {
	text := p.In(lang)
	return problemJSON{
		Type:   p.Type(),
		Title:  text.Title,
		Detail: text.Detail,
		Code:   string(p.Code),
		Reason: p.Reason,
		Remedy: text.Remedy,
	}
}

// fail is where errors become HTTP. The cause goes to the log, the problem to the caller.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.Of(err)
	lang := language(r)
	body := words(p, lang)
	body.Status = p.Status()
	body.RequestID = r.Header.Get(RequestIDHeader)
	a.logRefused(r, p, err)
	if p.RetryAfter > 0 {
		seconds := int(math.Ceil(p.RetryAfter.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	if body.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer`)
	}
	w.Header().Set("Content-Language", string(lang))
	write(w, body.Status, "application/problem+json", body)
}

// logRefused writes the line of a request that ended with a problem. It holds the route, not the
// address: a callback's has a code in it. An error is Bindery's own: alarms are on those, and a
// platform that is down, or an address that a user typed wrong, is to wake nobody.
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

// write sends a reply. Nothing of ours may be kept by a cache.
func write(w http.ResponseWriter, status int, contentType string, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		// Only a programming mistake gets here: every body is a struct of ours.
		http.Error(w, "encoding the reply failed", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}

// language is the one that Accept-Language asks for: Chinese if it ranks any Chinese above
// English, else English.
func language(r *http.Request) problem.Language {
	best := map[string]float64{}
	for part := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, params, _ := strings.Cut(part, ";")
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		weight := 1.0
		if q, found := strings.CutPrefix(strings.TrimSpace(params), "q="); found {
			var err error
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		best[primary] = max(best[primary], weight)
	}
	if best["zh"] > best["en"] {
		return problem.Chinese
	}
	return problem.English
}

// tooLarge reports whether reading a body ended at its limit.
func tooLarge(err error) bool {
	var e *http.MaxBytesError
	return errors.As(err, &e)
}
