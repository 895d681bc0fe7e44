package problem

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// RequestIDHeader is the header in which a handler finds the request's id. The server sets it and
// overwrites what the client sent.
const RequestIDHeader = "Bindery-Request-Id"

// Details is a problem as JSON (RFC 9457), with Bindery's code, reason and remedy.
type Details struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status,omitempty"` // of a reply; the problem of a binding has none
	Detail string `json:"detail"`
	Code   Code   `json:"code"`
	Reason string `json:"reason,omitempty"`
	Remedy string `json:"remedy"`
	// Field is the field of the request that is wrong.
	Field string `json:"field,omitempty"`
	// Scope is the scope that the caller's token lacks.
	Scope string `json:"scope,omitempty"`
	// Permissions are those that a platform's token lacks, or that can't be proved, as the platform
	// names them.
	Permissions []string `json:"permissions,omitempty"`
	Choices     []Choice `json:"choices,omitempty"`
	RequestID   string   `json:"requestId,omitempty"` // of a reply
}

// DetailsIn returns the problem in the language, without the members that only a reply has.
func (p *Problem) DetailsIn(lang Language) Details {
	text := p.In(lang)
	return Details{
		Type:        p.Type(),
		Title:       text.Title,
		Detail:      text.Detail,
		Code:        p.Code,
		Reason:      p.Reason,
		Remedy:      text.Remedy,
		Field:       p.Params["field"],
		Scope:       p.Params["scope"],
		Permissions: p.Permissions(),
		Choices:     p.Choices,
	}
}

// Write replies to r with the problem, in the language that r accepts.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	lang := LanguageOf(r)
	body := p.DetailsIn(lang)
	body.Status = p.Status()
	body.RequestID = r.Header.Get(RequestIDHeader)
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	if body.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	h.Set("Content-Language", string(lang))
	WriteJSON(w, body.Status, "application/problem+json", body)
}

// WriteJSON replies with the body as JSON and with the headers of every reply of the API, which
// no cache may store.
func WriteJSON(w http.ResponseWriter, status int, contentType string, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		// Only a programming mistake gets here: every body is a struct of Bindery's own.
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
	_, _ = w.Write(buf.Bytes()) // fails only if the client is gone
}

// LanguageOf returns the language that the request's Accept-Language asks for (RFC 9110, 12.5.4):
// Chinese if it ranks any Chinese above English, else English.
func LanguageOf(r *http.Request) Language {
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
		return Chinese
	}
	return English
}
