package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
)

// Request is a request to a platform, without any secret.
type Request struct {
	Platform Platform
	Method   string
	Path     string // escaped as it came, without the query
	// Status is the status of the reply: 0 before there is one, and if the connection was dropped.
	Status int
	// HasCredential reports whether the request has a token, a password, a code or a client
	// secret, in a header, the query or the body.
	HasCredential bool
}

// maxRequests is how many requests are kept. Older ones are only counted.
const maxRequests = 10_000

// Requests lists the requests to the platforms, oldest first.
func (s *Sandbox) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// Count counts the requests to a platform since the start or the last [Sandbox.ResetLog].
func (s *Sandbox) Count(p Platform) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[p]
}

// ResetLog deletes all requests and counts.
func (s *Sandbox) ResetLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
	clear(s.counts)
}

// logged records a request, lets serve answer it, and records the status.
func (s *Sandbox) logged(
	w http.ResponseWriter, r *http.Request, p Platform, serve func(http.ResponseWriter),
) {
	entry := &Request{
		Platform:      p,
		Method:        r.Method,
		Path:          r.URL.EscapedPath(),
		HasCredential: hasCredential(r),
	}
	s.mu.Lock()
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, maxRequests/10)
	}
	s.requests = append(s.requests, entry)
	s.counts[p]++
	s.mu.Unlock()
	if s.options.OnRequest != nil {
		s.options.OnRequest(*entry)
	}
	sw := &statusWriter{ResponseWriter: w}
	defer func() { // deferred, because a fault may panic with http.ErrAbortHandler
		s.mu.Lock()
		defer s.mu.Unlock()
		entry.Status = sw.status
	}()
	serve(sw)
	if sw.status == 0 {
		sw.status = http.StatusOK
	}
}

// statusWriter records the status of a reply.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader records the first status that isn't informational.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write records a 200 if no status was written.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hasCredential reports whether a request has a credential. It reads the body and puts it back,
// except that of git, which has none and may be large.
func hasCredential(r *http.Request) bool {
	for _, h := range []string{"Authorization", "Private-Token", "X-Yunxiao-Token"} {
		if r.Header.Get(h) != "" {
			return true
		}
	}
	if git.IsPath(r.URL.Path) {
		return false
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, platform.MaxBody))
	r.Body = io.NopCloser(bytes.NewReader(body))
	for _, text := range []string{r.URL.RawQuery, string(body)} {
		for _, name := range []string{
			"client_secret", "refresh_token", "access_token", "private_token", "code=",
			"code_verifier",
		} {
			if strings.Contains(text, name) {
				return true
			}
		}
	}
	return false
}
