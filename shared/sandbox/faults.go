package sandbox

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is a way in which a platform can fail.
type FaultKind string

// The kinds.
const (
	FaultNone      FaultKind = "none"
	FaultLatency   FaultKind = "latency"    // answers, but late
	Fault500       FaultKind = "500"        // an error of the platform's own
	Fault503       FaultKind = "503"        // down for maintenance, with Retry-After
	Fault429       FaultKind = "429"        // too many requests, with Retry-After
	FaultRateLimit FaultKind = "rate-limit" // 403 with rate-limit headers, as GitHub does
	FaultHTML      FaultKind = "html"       // 200 with a page, as a proxy in the way does
	FaultEmpty     FaultKind = "empty"      // 200 with nothing
	FaultCut       FaultKind = "cut"        // the connection ends in the middle of the body
	FaultHuge      FaultKind = "huge"       // a gigabyte of JSON
	FaultRedirect  FaultKind = "redirect"   // 307 to elsewhere
	FaultDrop      FaultKind = "drop"       // the connection ends without a reply
)

// FaultKinds lists all kinds, none first.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultNone, FaultLatency, Fault500, Fault503, Fault429, FaultRateLimit, FaultHTML,
		FaultEmpty, FaultCut, FaultHuge, FaultRedirect, FaultDrop,
	}
}

// Fault is something that goes wrong on purpose.
type Fault struct {
	Kind FaultKind
	// Times is how many requests it hits; then it is over. 0: until it is cleared.
	Times int
	// Path, if set, spares the requests whose path doesn't contain it.
	Path string
	// After lets the platform do its work before the fault: a refresh token is used up, a token
	// is revoked, and only the reply suffers. Without it nothing happened, but for cut, where the
	// work is always done, and latency, where it is done after the wait.
	After bool
	// Latency is how long [FaultLatency] waits; default 5 seconds. The wait ends early when the
	// caller hangs up or the sandbox is closed; then there is no reply.
	Latency time.Duration
	// RetryAfter is told by 503, 429 and rate-limit, in whole seconds; default 30 seconds.
	RetryAfter time.Duration
	// Location is where [FaultRedirect] points; default /sandbox/redirected/{platform} on the same
	// origin. What arrives there is in [Sandbox.Requests], with or without a credential.
	Location string
}

// SetFault makes a platform fail from the next request on, in place of an earlier fault. It
// panics at an unknown kind or platform.
func (s *Sandbox) SetFault(p Platform, f Fault) {
	if !s.has(p) || !slices.Contains(FaultKinds(), f.Kind) {
		panic(fmt.Sprintf("sandbox: no fault %q of platform %q", f.Kind, p))
	}
	if f.Kind == FaultNone {
		f = Fault{Kind: FaultNone}
	}
	if f.Latency == 0 {
		f.Latency = 5 * time.Second
	}
	if f.RetryAfter == 0 {
		f.RetryAfter = 30 * time.Second
	}
	if f.Location == "" {
		f.Location = "/sandbox/redirected/" + string(p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[p] = f
}

// Fault is the fault that a platform has now.
func (s *Sandbox) Fault(p Platform) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.faults[p]; ok {
		return f
	}
	return Fault{Kind: FaultNone}
}

// has reports whether the platform is served here.
func (s *Sandbox) has(name Platform) bool {
	return slices.ContainsFunc(s.platforms, func(p platform) bool { return p.name() == name })
}

// takeFault returns the fault that hits a request, and counts it.
func (s *Sandbox) takeFault(p Platform, path string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.faults[p]
	if !ok || !strings.Contains(path, f.Path) {
		return Fault{Kind: FaultNone}
	}
	if f.Times == 1 {
		delete(s.faults, p)
	} else if f.Times > 1 {
		left := f
		left.Times--
		s.faults[p] = left
	}
	return f
}

// misbehave answers a request as the platform does, but for the fault.
func (s *Sandbox) misbehave(w http.ResponseWriter, r *http.Request, p http.Handler, f Fault) {
	done := httptest.NewRecorder()
	if f.After || f.Kind == FaultCut {
		p.ServeHTTP(done, r)
	}
	switch f.Kind {
	case FaultLatency:
		s.wait(r, f.Latency)
		if f.After {
			replay(w, done)
			return
		}
		p.ServeHTTP(w, r)
	case Fault500:
		writeJSON(w, http.StatusInternalServerError, object{"message": "Internal Server Error"})
	case Fault503, Fault429, FaultRateLimit:
		s.refuse(w, f)
	case FaultHTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>")
	case FaultEmpty:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	case FaultCut:
		cut(w, done)
	case FaultHuge:
		s.endless(w, r)
	case FaultRedirect:
		http.Redirect(w, r, f.Location, http.StatusTemporaryRedirect)
	case FaultDrop:
		panic(http.ErrAbortHandler)
	default:
		p.ServeHTTP(w, r)
	}
}

// wait lets time pass. If the caller hangs up or the sandbox closes, the request ends there.
func (s *Sandbox) wait(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-s.closing:
		panic(http.ErrAbortHandler)
	}
}

// refuse answers that the platform is too busy, in one of three ways.
func (s *Sandbox) refuse(w http.ResponseWriter, f Fault) {
	seconds := strconv.Itoa(int(f.RetryAfter / time.Second))
	status, message := http.StatusServiceUnavailable, "Service Unavailable"
	switch f.Kind {
	case Fault429:
		status, message = http.StatusTooManyRequests, "Too Many Requests"
	case FaultRateLimit:
		status, message = http.StatusForbidden, "API rate limit exceeded"
		reset := s.options.Now().Add(f.RetryAfter).Unix()
		w.Header().Set("X-RateLimit-Limit", "5000")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
	w.Header().Set("Retry-After", seconds)
	writeJSON(w, status, object{"message": message})
}

// replay sends a reply that was recorded.
func replay(w http.ResponseWriter, done *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), done.Header())
	w.WriteHeader(done.Code)
	_, _ = w.Write(done.Body.Bytes())
}

// cut sends the first half of a reply and ends the connection.
func cut(w http.ResponseWriter, done *httptest.ResponseRecorder) {
	body := done.Body.Bytes()
	if len(body) == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	done.Body.Truncate(len(body) / 2)
	replay(w, done)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// endless sends JSON that doesn't end, up to a gigabyte.
func (s *Sandbox) endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := []byte(strings.Repeat(`{"filler":"0123456789abcdef"},`, 1000))
	_, _ = w.Write([]byte("["))
	for sent := 0; sent < 1<<30; sent += len(chunk) {
		select {
		case <-s.closing:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		default:
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}
