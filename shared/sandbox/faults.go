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

	"bindery/shared/sandbox/platform"
)

// FaultKind is a way in which a platform can fail.
type FaultKind string

// The kinds.
const (
	FaultNone      FaultKind = "none"
	FaultLatency   FaultKind = "latency"    // answers late
	Fault500       FaultKind = "500"        // an error of the platform
	Fault503       FaultKind = "503"        // down for maintenance, with Retry-After
	Fault429       FaultKind = "429"        // too many requests, with Retry-After
	FaultRateLimit FaultKind = "rate-limit" // 403 with rate-limit headers, as GitHub does
	FaultHTML      FaultKind = "html"       // 200 with a page, as an intermediate proxy does
	FaultEmpty     FaultKind = "empty"      // 200 with an empty body
	FaultCut       FaultKind = "cut"        // the connection ends in the middle of the body
	FaultHuge      FaultKind = "huge"       // a gigabyte of JSON
	FaultRedirect  FaultKind = "redirect"   // 307 to /sandbox/redirected/{platform}
	FaultDrop      FaultKind = "drop"       // the connection ends without a reply
	FaultGzip      FaultKind = "gzip"       // a compressed reply, which wasn't asked for

	// What stands in front of a platform answers in its place.
	FaultGate302 FaultKind = "gate-302" // single sign-on, with its page on another host
	FaultGate401 FaultKind = "gate-401" // an API gateway, in JSON
	FaultGate403 FaultKind = "gate-403" // a firewall, with a page
	FaultGate407 FaultKind = "gate-407" // a proxy that wants credentials
)

// FaultKinds lists all kinds, none first.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultNone, FaultLatency, Fault500, Fault503, Fault429, FaultRateLimit, FaultHTML,
		FaultEmpty, FaultCut, FaultHuge, FaultRedirect, FaultDrop, FaultGzip, FaultGate302,
		FaultGate401, FaultGate403, FaultGate407,
	}
}

// Fault is a failure that is set on purpose. The requests that arrive at the target of
// [FaultRedirect] are in [Sandbox.Requests], with or without a credential.
type Fault struct {
	Kind FaultKind
	// Times is the number of requests that it affects. 0: all until it is cleared.
	Times int
	// Path, if set, limits the fault to requests whose path contains it.
	Path string
	// After lets the platform do its work before the fault: a refresh token is used up, a token
	// is revoked, and only the reply is lost. Without it the platform does nothing, except for
	// cut and gzip, where the work is always done, and latency, where it is done after the wait.
	After bool
	// Latency is the wait of [FaultLatency]; default 5 seconds. It ends early, without a reply,
	// when the caller hangs up or the sandbox is closed.
	Latency time.Duration
	// RetryAfter is reported by 503, 429 and rate-limit in whole seconds; default 30 seconds.
	RetryAfter time.Duration
}

// SetFault makes a platform fail from the next request on. It replaces an earlier fault. It panics
// at an unknown kind or platform.
func (s *Sandbox) SetFault(p Platform, f Fault) {
	if s.find(p) == nil || !slices.Contains(FaultKinds(), f.Kind) {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[p] = f
}

// Fault returns the fault that a platform has now.
func (s *Sandbox) Fault(p Platform) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.faults[p]; ok {
		return f
	}
	return Fault{Kind: FaultNone}
}

// takeFault returns the fault that affects a request, and counts the request.
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

// serveFault answers a request as the platform does, with the fault.
func (s *Sandbox) serveFault(w http.ResponseWriter, r *http.Request, p server, f Fault) {
	done := httptest.NewRecorder()
	if f.After || f.Kind == FaultCut || f.Kind == FaultGzip {
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
		platform.WriteJSON(w, http.StatusInternalServerError,
			platform.Object{"message": "Internal Server Error"})
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
		s.writeHuge(w, r)
	case FaultRedirect:
		http.Redirect(w, r, "/sandbox/redirected/"+string(p.Name()), http.StatusTemporaryRedirect)
	case FaultDrop:
		panic(http.ErrAbortHandler)
	case FaultGzip:
		compress(w, done)
	case FaultGate302, FaultGate401, FaultGate403, FaultGate407:
		serveGate(w, r, f.Kind)
	default:
		p.ServeHTTP(w, r)
	}
}

// wait waits. It aborts the request if the caller hangs up or the sandbox is closed.
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
	status, message := http.StatusServiceUnavailable, "Service Unavailable"
	switch f.Kind {
	case Fault429:
		status, message = http.StatusTooManyRequests, "Too Many Requests"
	case FaultRateLimit:
		status, message = http.StatusForbidden, "API rate limit exceeded"
		reset := s.env.Now().Add(f.RetryAfter).Unix()
		w.Header().Set("X-RateLimit-Limit", "5000")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	platform.WriteJSON(w, status, platform.Object{"message": message})
}

// replay sends a recorded reply.
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

// writeHuge sends JSON without an end, up to a gigabyte.
func (s *Sandbox) writeHuge(w http.ResponseWriter, r *http.Request) {
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
