// Package acrtest is a fake API of Alibaba Cloud's Container Registry for tests: the one operation
// that Bindery uses, ListInstance, over HTTP with the cloud's signatures of version 3, and faults
// that tests switch on.
//
// It shares no code with the catalogue that it tests. It refuses what it doesn't know: other
// operations, other parameters, and parameters in the body. It checks signatures, but no
// permissions, unless a test plans a refusal.
package acrtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"bindery/shared/alibabacloud/acs3test"
)

// Instance is one instance as the service lists it.
type Instance struct {
	ID     string `json:"InstanceId"`
	Name   string `json:"InstanceName"`
	Region string `json:"RegionId"`
	Status string `json:"InstanceStatus"`
}

// Service is the service of one account in one region, as an [http.Handler]. Its methods may be
// called at once from many goroutines, also while it serves.
type Service struct {
	gate *acs3test.Gate

	mu        sync.Mutex // guards the fields below
	instances []Instance
	faults    []Fault
	tamper    func(page int, reply map[string]any)
	calls     int
}

// New returns a service without instances. id and key are the credentials that sign requests, and
// token must come with them.
func New(id, key, token string) *Service {
	return &Service{gate: acs3test.New("2018-12-01", id, key, token)}
}

// SetCredentials changes the credentials from now on.
func (s *Service) SetCredentials(id, key, token string) { s.gate.SetCredentials(id, key, token) }

// Know also accepts other callers from now on, each with its own credentials.
func (s *Service) Know(known acs3test.Known) { s.gate.Know(known) }

// Set changes the instances from now on.
func (s *Service) Set(instances ...Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances = slices.Clone(instances)
}

// Calls returns how often the service was called, including failed calls.
func (s *Service) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Fault is a failure that a test plans.
type Fault struct {
	// Status and Code are the reply's. The message quotes the whole request, including its headers.
	Status int
	Code   string
	// Lost ends the connection in place of the reply.
	Lost bool
	// Page is a proxy's web page with the status, with the whole request in it.
	Page bool
	// Cut is a reply of status 200 that is cut off.
	Cut bool
}

// Fail makes the next calls fail, one fault each.
func (s *Service) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Tamper changes the successful replies by their page's number from now on; nil leaves them
// unchanged.
func (s *Service) Tamper(with func(page int, reply map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tamper = with
}

// maxBody is larger than any request.
const maxBody = 1 << 20

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", s.calls)
	if refusal := s.gate.Check(r, body); refusal != nil {
		answer(w, refusal.Status, refusal.Code, refusal.Message, id)
		return
	}
	if len(s.faults) > 0 {
		fault := s.faults[0]
		s.faults = s.faults[1:]
		fault.show(w, fmt.Sprintf("%s %v", r.RequestURI, r.Header), id)
		return
	}
	reply, wrong := s.list(r, body)
	if wrong != "" {
		answer(w, http.StatusBadRequest, "InvalidParameter", wrong, id)
		return
	}
	reply["RequestId"] = id
	if s.tamper != nil {
		s.tamper(reply["PageNo"].(int), reply)
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_ = json.NewEncoder(w).Encode(reply)
}

func (f Fault) show(w http.ResponseWriter, request, id string) {
	switch {
	case f.Lost:
		panic(http.ErrAbortHandler)
	case f.Cut:
		_, _ = fmt.Fprintf(w, `{"RequestId":%q,"IsSuccess":true,"Code":%q`, id, request)
	case f.Page:
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintf(w, "<html>%s</html>", request)
	default:
		answer(w, f.Status, f.Code, "It is refused: "+request, id)
	}
}

func answer(w http.ResponseWriter, status int, code, message, id string) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"RequestId": id, "HostId": "cr.cn-test.aliyuncs.com", "Code": code, "Message": message,
	})
}

// list returns a page of the instances.
func (s *Service) list(r *http.Request, body []byte) (reply map[string]any, wrong string) {
	query := r.URL.Query()
	for name, values := range query {
		known := []string{"PageNo", "PageSize", "InstanceStatus"}
		if !slices.Contains(known, name) || len(values) != 1 {
			return nil, "the fake knows no parameter " + name
		}
	}
	number, size := integer(query, "PageNo", 1), integer(query, "PageSize", 30)
	switch {
	case r.Header.Get("X-Acs-Action") != "ListInstance" || len(body) > 0:
		return nil, "the fake knows only ListInstance without a body"
	case number < 1 || size < 1 || size > 100:
		return nil, "a page that can't be"
	}
	found := []Instance{}
	for _, one := range s.instances {
		if status := query.Get("InstanceStatus"); status == "" || status == one.Status {
			found = append(found, one)
		}
	}
	total := len(found)
	found = found[min((number-1)*size, total):min(number*size, total)]
	return map[string]any{
		"Code": "success", "IsSuccess": true, "PageNo": number, "PageSize": size,
		"TotalCount": total, "Instances": found,
	}, ""
}

func integer(query url.Values, name string, standard int) int {
	if !query.Has(name) {
		return standard
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil {
		return -1
	}
	return n
}
