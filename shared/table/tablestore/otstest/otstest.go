// Package otstest is a fake Tablestore for tests: its protocol (protobuf with rows in PlainBuffer,
// over HTTP), the operations that Bindery uses, with their documented errors and limits, and faults
// that a test can switch on.
//
// It takes the definitions of the messages from the vendor's client and nothing else: its own code
// writes, reads and checks rows and signatures. It shares no code with the table that it tests. It
// refuses what it does not know: other operations, other parameters, filters, transactions. It does
// not check what a role may do. A change is in the index at once, or when [Service.Lag] says so.
package otstest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"bindery/shared/faulttest"
)

// Options configure a service.
type Options struct {
	// Instance is the one instance, and ID and Key the credentials that sign requests. Token is the
	// security token that requests must carry.
	Instance, ID, Key, Token string
	// OnCall, if set, is called with the operation's name, such as "PutRow", before each call is
	// handled. It may block, which delays only this call.
	OnCall func(operation string)
}

// Service is the service of one instance, as an [http.Handler]. Its methods may be called at once
// from many goroutines, also while it handles requests.
type Service struct {
	faulttest.Plan[Fault]
	options Options

	mu      sync.Mutex // guards what follows
	tables  map[string]*stored
	lags    bool
	longest int // a page's, in rows
	// turnsAway says that the first row of the current batch is refused.
	turnsAway bool
	made      int
	known     func(id string) (key, token string, ok bool)
}

// New returns a service without tables.
func New(o Options) *Service {
	return &Service{
		options: o, tables: map[string]*stored{}, longest: mostRows,
	}
}

// SetCredentials replaces the credentials.
func (s *Service) SetCredentials(id, key, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.ID, s.options.Key, s.options.Token = id, key, token
}

// Know also accepts other callers, each with its own credentials: known returns the key and the
// token that belong to an access key's id.
func (s *Service) Know(known func(id string) (key, token string, ok bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known
}

// Lag says whether indexes stay as they are. After Lag(false) they are up to date.
func (s *Service) Lag(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lags = on
	if !on {
		for _, t := range s.tables {
			t.catchUp()
		}
	}
}

// LongestPage lets pages end after this many rows, as they do where rows are long.
func (s *Service) LongestPage(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest = rows
}

// Rows counts the rows of a table, or the entries of an index.
func (s *Service) Rows(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[name]; t != nil {
		return len(t.rows)
	}
	return 0
}

// mostBody is more bytes than any request has.
const mostBody = 16 << 20

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if s.options.OnCall != nil {
		s.options.OnCall(name)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	reply, fault, err := s.run(name, r, body)
	switch fault {
	case Lost:
		panic(http.ErrAbortHandler)
	case Garbled:
		_, _ = w.Write(append([]byte{0x0a, 0x7f}, body...))
		return
	case Empty:
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
func (s *Service) run(
	name string, r *http.Request, body []byte,
) (reply message, fault Fault, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Called(name)
	if err := s.signed(r, body); err != nil {
		return nil, 0, err
	}
	fault = s.Next(name)
	s.turnsAway = fault == OneRefused
	if err := fault.refusal(); err != nil || fault == Page || fault == Redirected {
		return nil, fault, err
	}
	reply, err = s.do(name, body)
	return reply, fault, err
}

// failure is an answer of the service that says that it failed.
type failure struct {
	status        int
	code, message string
}

func (f failure) Error() string { return f.code + ": " + f.message }

func (f failure) asMessage() *otsprotocol.Error {
	return &otsprotocol.Error{Code: &f.code, Message: &f.message}
}

func (s *Service) answer(w http.ResponseWriter, reply message, err error) {
	s.mu.Lock()
	s.made++
	w.Header().Set("x-ots-requestid", fmt.Sprintf("00000000-0000-4000-8000-%012d", s.made))
	s.mu.Unlock()
	status := http.StatusOK
	var f failure
	if errors.As(err, &f) {
		reply, status = f.asMessage(), f.status
	}
	encoded, err := marshal(reply)
	if err != nil {
		panic(err)
	}
	w.WriteHeader(status)
	_, _ = w.Write(encoded)
}

// Fault is a failure that a test asks for.
type Fault int

// The faults. With Lost, Garbled and Empty the work is done nevertheless.
const (
	// Busy is the answer of an overloaded service. Nothing is done.
	Busy Fault = iota + 1
	// Broken is an internal error of the service, with status 500. Nothing is done.
	Broken
	// TimedOut is a time-out inside the service. Here nothing is done.
	TimedOut
	// Met is the answer to a writer who met another writer of the row. Nothing is done.
	Met
	// Denied says that the role lacks a permission.
	Denied
	// Refused says that a parameter isn't valid.
	Refused
	// OneRefused refuses the first row of a batch as Busy; the others are written.
	OneRefused
	// Lost closes the connection instead of a reply.
	Lost
	// Garbled is a reply of status 200 that can't be read, with all of the request in it.
	Garbled
	// Empty is a reply of status 200 with nothing in it.
	Empty
	// Page is a web page of a proxy, with status 502 and all of the request in it.
	Page
	// Redirected is a redirect to another address.
	Redirected
)

// refusal returns the error of a fault with which nothing is done.
func (f Fault) refusal() error {
	switch f {
	case Busy:
		return failure{http.StatusServiceUnavailable, "OTSServerBusy", "Server is busy."}
	case Broken:
		return failure{http.StatusInternalServerError, "OTSInternalServerError", "Internal error."}
	case TimedOut:
		return failure{http.StatusServiceUnavailable, "OTSTimeout", "Operation timeout."}
	case Met:
		return failure{http.StatusConflict, "OTSRowOperationConflict", "Data is being modified."}
	case Denied:
		return failure{
			http.StatusForbidden, "OTSNoPermissionAccess", "You have no permission to access it.",
		}
	case Refused:
		return invalid("The name of the column isn't valid.")
	}
	return nil
}
