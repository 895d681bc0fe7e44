// Package kmstest is a fake Alibaba Cloud KMS for tests: the five operations on secrets and the two
// on data keys that Bindery uses, with their documented errors and limits, over HTTP with the
// cloud's signatures of version 3, and faults that tests switch on.
//
// It shares no code with the vault that it tests. It refuses what it doesn't know: other
// operations, other parameters, and parameters in the address, where logs would show a value. It
// checks signatures, but no permissions.
//
// The documentation names no code for a version that exists with another value; the fake answers as
// for a secret that exists.
package kmstest

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"bindery/shared/alibabacloud/acs3test"
	"bindery/shared/faulttest"
)

// Options says what a service accepts.
type Options struct {
	// ID and Key are the credentials that sign requests, and Token is the token that must come with
	// them.
	ID, Key, Token string
	// Instance is the only KMS instance, and EncryptionKey the only key in it.
	Instance, EncryptionKey string
	// Now is the clock by which secrets are created. Nil is [time.Now].
	Now func() time.Time
}

// Service is the service of one account in one region, as an [http.Handler]. Its methods may be
// called at once from many goroutines, also while it serves.
type Service struct {
	faulttest.Plan[Fault]
	options Options
	gate    *acs3test.Gate

	mu      sync.Mutex // guards the fields below
	secrets map[string]*stored
	keys    map[string]cipher.AEAD
	made    int
}

// New returns a service without secrets.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{
		options: o,
		gate:    acs3test.New("2016-01-20", o.ID, o.Key, o.Token),
		secrets: map[string]*stored{},
		keys:    map[string]cipher.AEAD{},
	}
}

// SetCredentials changes the credentials from now on.
func (s *Service) SetCredentials(id, key, token string) {
	s.gate.SetCredentials(id, key, token)
}

// Know also accepts other callers from now on, each with its own credentials.
func (s *Service) Know(known acs3test.Known) { s.gate.Know(known) }

// Names lists, in order, the secrets that could still be read or restored.
func (s *Service) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.secrets))
}

// maxBody is larger than any request.
const maxBody = 1 << 20

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	reply, fault, err := s.run(r, body)
	switch fault {
	case Lost:
		panic(http.ErrAbortHandler)
	case Garbled:
		_, _ = fmt.Fprintf(w, `{"RequestId":"1","SecretData":%q%s`, body, "\"")
		return
	case Page:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = fmt.Fprintf(w, "<html>%s</html>", body)
		return
	case Redirected:
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		return
	}
	s.answer(w, reply, err)
}

// run does the work of one call, or fails as planned.
func (s *Service) run(r *http.Request, body []byte) (reply any, fault Fault, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	action := r.Header.Get("X-Acs-Action")
	s.Called(action)
	if r := s.gate.Check(r, body); r != nil {
		return nil, 0, failure{r.Status, r.Code, r.Message}
	}
	if r.URL.RawQuery != "" {
		return nil, 0, badRequest("the fake takes no parameter in the address")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, 0, failure{http.StatusBadRequest, "InvalidParameter", "the body isn't a form"}
	}
	fault = s.Next(action)
	if err := fault.refusal(body); err != nil {
		return nil, fault, err
	}
	if fault == Page || fault == Redirected {
		return nil, fault, nil
	}
	reply, err = s.do(action, form)
	return reply, fault, err
}

// failure is an error reply of the service.
type failure struct {
	status        int
	code, message string
}

func (f failure) Error() string { return f.code + ": " + f.message }

func badRequest(message string) error {
	return failure{http.StatusBadRequest, "InvalidParameter", message}
}

func (s *Service) answer(w http.ResponseWriter, reply any, err error) {
	s.mu.Lock()
	s.made++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", s.made)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("X-Acs-Request-Id", id)
	var f failure
	if errors.As(err, &f) {
		w.WriteHeader(f.status)
		reply = map[string]any{
			"HttpStatus": f.status, "Code": f.code, "Message": f.message, "RequestId": id,
		}
	}
	_ = json.NewEncoder(w).Encode(reply)
}

// Fault is a failure that a test plans.
type Fault int

// The faults. With Lost and Garbled the work is done nevertheless.
const (
	// Throttled is the documented answer above the limit of calls, and nothing is done.
	Throttled Fault = iota + 1
	// Broken is an internal error of the service, status 500, and nothing is done.
	Broken
	// Denied says that the role lacks a permission.
	Denied
	// Expired says that the access key isn't known, as for a token that has expired.
	Expired
	// Quoting refuses the request as InvalidParameter, and quotes all of it.
	Quoting
	// Lost ends the connection in place of the reply.
	Lost
	// Garbled is a reply of status 200 that is cut off, with the whole request in it.
	Garbled
	// Page is a proxy's web page with status 502, with the whole request in it.
	Page
	// Redirected redirects the caller to another address, to do the same there.
	Redirected
)

// refusal returns the error of a fault that prevents the work.
func (f Fault) refusal(body []byte) error {
	switch f {
	case Throttled:
		return failure{http.StatusTooManyRequests, "Rejected.Throttling", "QPS Limit Exceeded"}
	case Broken:
		return failure{http.StatusInternalServerError, "InternalFailure", "Internal Failure."}
	case Denied:
		return failure{
			http.StatusForbidden, "Forbidden.NoPermission", "It is forbidden: " + string(body),
		}
	case Expired:
		return failure{
			http.StatusNotFound, "InvalidAccessKeyId.NotFound", "The AccessKey ID does not exist.",
		}
	case Quoting:
		return failure{
			http.StatusBadRequest, "InvalidParameter", "It is not valid: " + string(body),
		}
	}
	return nil
}
