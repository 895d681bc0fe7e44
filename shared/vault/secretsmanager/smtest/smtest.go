// Package smtest is a fake AWS Secrets Manager for tests: its protocol (JSON 1.1 over HTTP), the
// operations that Bindery and an operator with AWS's command line use, the documented errors and
// limits, and faults that tests switch on.
//
// It shares no code with the vault that it tests, and its replies are compared with AWS's own
// description of the service. It refuses what it doesn't know: other operations, other parameters,
// the encryption keys, rotation and replication. Signatures must be present and well-formed; it
// doesn't verify them, and it checks no permissions.
//
// smtest.go has the server, operations.go and listing.go the operations, stored.go the secrets,
// signature.go the form of requests, and faults.go the faults.
package smtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/faulttest"
)

// Options says how a service behaves.
type Options struct {
	// Now is the clock by which versions age. Nil is [time.Now].
	Now func() time.Time
	// OnCall, if set, is called with the operation's name, such as "GetSecretValue", before each
	// call is processed. It may block, which delays only this call.
	OnCall func(operation string)
}

// Service is the service of one account in one region, as an [http.Handler]. Its methods may be
// called at once from many goroutines, also while it serves.
type Service struct {
	faulttest.Plan[Fault]
	options Options

	mu      sync.Mutex // guards the fields below
	secrets map[string]*stored
	made    int
	lingers bool
}

// New returns a service without secrets.
func New(o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{options: o, secrets: map[string]*stored{}}
}

// Names lists, in order, the secrets that could still be read or restored.
func (s *Service) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, secret := range s.secrets {
		if !secret.going {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// call does one operation on a request's body. The lock must be held.
type call func(s *Service, body []byte) (reply any, err error)

func operations() map[string]call {
	return map[string]call{
		"CreateSecret":             operation((*Service).createSecret),
		"PutSecretValue":           operation((*Service).putSecretValue),
		"GetSecretValue":           operation((*Service).getSecretValue),
		"DeleteSecret":             operation((*Service).deleteSecret),
		"DescribeSecret":           operation((*Service).describeSecret),
		"ListSecrets":              operation((*Service).listSecrets),
		"ListSecretVersionIds":     operation((*Service).listSecretVersionIDs),
		"TagResource":              operation((*Service).tagResource),
		"UpdateSecretVersionStage": operation((*Service).updateSecretVersionStage),
	}
}

// operation decodes the request. It refuses a parameter that the fake service doesn't know, so that
// no test relies on a feature that it doesn't have.
func operation[In any](do func(*Service, In) (any, error)) call {
	return func(s *Service, body []byte) (any, error) {
		var in In
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
				return nil, invalidParameter("the fake knows no parameter " + field)
			}
			return nil, failure{"SerializationException", "the body isn't the JSON of a request"}
		}
		return do(s, in)
	}
}

// maxBody is larger than any request.
const maxBody = 1 << 20

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "secretsmanager.")
	do, known := operations()[name]
	if known && s.options.OnCall != nil {
		s.options.OnCall(name)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := wellFormed(r, known); err != nil {
		s.answer(w, nil, err)
		return
	}
	reply, fault, err := s.run(name, do, body)
	switch fault {
	case Lost:
		panic(http.ErrAbortHandler)
	case Garbled:
		reply = json.RawMessage(garbled(reply, body))
	}
	s.answer(w, reply, err)
}

// run does the work of one call, or fails as planned.
func (s *Service) run(name string, do call, body []byte) (reply any, fault Fault, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Called(name)
	fault = s.Next(name)
	if err := fault.refusal(body); err != nil {
		return nil, fault, err
	}
	reply, err = do(s, body)
	return reply, fault, err
}

// failure is an error reply of the service: its code, and a text.
type failure struct{ code, message string }

func (f failure) Error() string { return f.code + ": " + f.message }

func (f failure) status() int {
	if f.code == "InternalServiceError" {
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

func invalidParameter(message string) error {
	return failure{"InvalidParameterException", message}
}

func invalidRequest(message string) error { return failure{"InvalidRequestException", message} }

func isNotFound(err error) bool {
	var f failure
	return errors.As(err, &f) && f.code == "ResourceNotFoundException"
}

func notFound(message string) error { return failure{"ResourceNotFoundException", message} }

func (s *Service) answer(w http.ResponseWriter, reply any, err error) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-RequestId", s.requestID())
	var (
		text []byte
		f    failure
	)
	switch {
	case errors.As(err, &f):
		text, _ = json.Marshal(map[string]string{"__type": f.code, "Message": f.message})
		w.WriteHeader(f.status())
	case reply == nil: // an operation without a reply
	default:
		if raw, cut := reply.(json.RawMessage); cut {
			text = raw
		} else {
			text, _ = json.Marshal(reply)
		}
	}
	_, _ = w.Write(text)
}

func (s *Service) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", s.made)
}
