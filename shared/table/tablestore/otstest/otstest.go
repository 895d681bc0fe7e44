// Package otstest is a pretend Tablestore for tests: its protocol (protobuf with rows in
// PlainBuffer, over HTTP), the operations that Bindery uses, with their documented errors and
// limits, and what can go wrong on the way, to switch on.
//
// It takes the messages' definitions from the vendor's client and nothing else: rows are written,
// read and checked by its own code, and signatures are checked. It shares no code with the table
// that it tests. What it doesn't know it refuses: other operations, other parameters, filters,
// transactions. Nobody's right to do a thing is checked. A change is in the index at once, or when
// [Service.Lag] says so.
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

// Options are what a service is made with.
type Options struct {
	// Instance is the one instance, and ID and Key the credentials that sign requests. Token is what
	// must come with them.
	Instance, ID, Key, Token string
	// OnCall, if set, is called with the operation's name, such as "PutRow", before each call is
	// looked at. It may block, which holds up this call and no other.
	OnCall func(operation string)
}

// Service is the service of one instance, as an [http.Handler]. Its methods may be called at once
// from many goroutines, also while it serves.
type Service struct {
	faulttest.Plan[Fault]
	options Options

	mu      sync.Mutex // guards what follows
	tables  map[string]*stored
	lags    bool
	longest int // a page's, in rows
	// turnsAway says that the first row of the batch at hand is to be turned away.
	turnsAway bool
	made      int
	known     func(id string) (key, token string, ok bool)
}

// New makes a service without tables.
func New(o Options) *Service {
	return &Service{
		options: o, tables: map[string]*stored{}, longest: mostRows,
	}
}

// SetCredentials changes the credentials from now on.
func (s *Service) SetCredentials(id, key, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.ID, s.options.Key, s.options.Token = id, key, token
}

// Know lets others call too from now on, each with credentials of their own: known finds the key
// and the token that belong to an access key's id.
func (s *Service) Know(known func(id string) (key, token string, ok bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known
}

// Lag reports whether indexes stay as they are, until the call of Lag(false).
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

// LongestPage lets pages end after so many rows, as they do where rows are long.
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

// mostBody is more than any request has.
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

// failure is an answer of the service other than a good one.
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

// Fault is something that goes wrong on purpose.
type Fault int

// The faults. After Lost, Garbled and Empty the work is done all the same.
const (
	// Busy is an answer of a service with too much to do, and nothing is done.
	Busy Fault = iota + 1
	// Broken is an error of the service's own, status 500, and nothing is done.
	Broken
	// TimedOut is the service's own time-out, and nothing is done, as it happens.
	TimedOut
	// Met is the answer to one of two writers of a row, and nothing is done.
	Met
	// Denied says that the role lacks a permission.
	Denied
	// Refused says that a parameter isn't valid.
	Refused
	// OneRefused lets the first row of a batch be turned away as Busy; the others are written.
	OneRefused
	// Lost ends the connection in place of the reply.
	Lost
	// Garbled is a reply of status 200 that can't be read, with all of the request in it.
	Garbled
	// Empty is a reply of status 200 with nothing in it.
	Empty
	// Page is a web page with status 502, of something in between, with all of the request in it.
	Page
	// Redirected sends the caller elsewhere, to do the same there.
	Redirected
)

// refusal is the error of a fault that keeps the work from being done.
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
