package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"bindery/shared/api"
	"bindery/shared/problem"
)

// contract is openapi.yaml.
type contract struct {
	mu        sync.Mutex
	model     *v3.Document
	validator validator.Validator
}

// theContract is read once, since reading it is slow.
var theContract = sync.OnceValues(func() (*contract, error) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	built, err := document.BuildV3Model()
	if err != nil {
		return nil, err
	}
	// Other tests cover authentication.
	v, errs := validator.NewValidator(document, config.WithFormatAssertions(),
		config.WithoutSecurityValidation())
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return &contract{model: &built.Model, validator: v}, nil
})

func readContract(t *testing.T) *contract {
	t.Helper()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// request returns the violations of the contract by a request.
func (c *contract) request(req *http.Request) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, errs := c.validator.ValidateHttpRequestSync(req)
	return messages(errs)
}

// reply returns the violations of the contract by a reply: by its status, headers and body, and by
// a problem's code, which must be listed with the status.
func (c *contract) reply(req *http.Request, resp *http.Response, body []byte) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	_, errs := c.validator.ValidateHttpResponse(req, resp)
	wrong := messages(errs)
	if resp.StatusCode < 400 {
		return wrong
	}
	var fields struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		return append(wrong, "the problem isn't JSON")
	}
	item, _, path := paths.FindPath(req, c.model, nil)
	if item == nil {
		return append(wrong, "no such path in the contract")
	}
	operation := item.GetOperations().GetOrZero(strings.ToLower(req.Method))
	if operation == nil {
		return append(wrong, "no such operation in the contract")
	}
	status := strconv.Itoa(resp.StatusCode)
	listed := operation.Responses.Codes.GetOrZero(status)
	if listed == nil || !strings.Contains(listed.Description, "`"+fields.Code+"`") {
		wrong = append(wrong, fmt.Sprintf("%s is not listed at %s %s, %s",
			fields.Code, req.Method, path, status))
	}
	return wrong
}

// messages returns the validator's errors without the values of the request.
func messages(errs []*errors.ValidationError) []string {
	var lines []string
	for _, e := range errs {
		line := e.Message + ": " + e.Reason
		for _, s := range e.SchemaValidationErrors {
			line += fmt.Sprintf("; %s at %s", s.Reason, s.FieldPath)
		}
		lines = append(lines, line)
	}
	return lines
}

// contractTransport checks every request and reply against the contract, and looks for secrets in
// the replies.
type contractTransport struct {
	world *world
	next  http.RoundTripper
}

func (h *contractTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	t := h.world.t
	asked, _ := req.Context().Value(requestKey{}).(request)
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	again := func() *http.Request {
		r := req.Clone(req.Context())
		r.Body = http.NoBody
		if req.Body != nil {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(sent)), int64(len(sent))
		}
		return r
	}
	resp, err := h.next.RoundTrip(again())
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	var wrong []string
	switch {
	case asked.unlisted:
	case asked.odd && resp.StatusCode < 400:
		wrong = []string{"a request that doesn't fit the contract was taken"}
	case !asked.odd:
		wrong = h.world.contract.request(again())
	}
	if !asked.unlisted {
		wrong = append(wrong, h.world.contract.reply(again(), resp, body)...)
	}
	for _, line := range wrong {
		t.Errorf("%s %s, %d: %s", req.Method, asked.path, resp.StatusCode, line)
	}
	h.world.scan("the reply to "+req.Method+" "+asked.path, body)
	for name, values := range resp.Header {
		h.world.scan("the header "+name, []byte(strings.Join(values, "\n")))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// quiet discards the errors that a server logs for a client that doesn't trust it.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestTheContractIsValidOpenAPI(t *testing.T) {
	c := readContract(t)
	ok, errs := c.validator.ValidateDocument()
	if !ok {
		t.Error(strings.Join(messages(errs), "\n"))
	}
	if c.model.Version != "3.1.0" {
		t.Errorf("it is OpenAPI %s, want 3.1.0", c.model.Version)
	}
}

// A program that was generated from the contract can't read a code that is missing in it.
func TestTheContractListsEveryCodeOfTheCatalogue(t *testing.T) {
	c := readContract(t)
	var listed []string
	for _, node := range c.model.Components.Schemas.GetOrZero("ProblemCode").Schema().Enum {
		listed = append(listed, node.Value)
	}
	for _, code := range problem.Codes() {
		if !slices.Contains(listed, string(code)) {
			t.Errorf("%s is missing", code)
		}
	}
	if len(listed) != len(problem.Codes()) {
		t.Errorf("%d are listed, and the catalogue has %d", len(listed), len(problem.Codes()))
	}
}

// The contract lists each code only with the status that the catalogue gives it.
func TestTheContractListsEachCodeWithItsOwnStatus(t *testing.T) {
	c := readContract(t)
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			for status, resp := range operation.Responses.Codes.FromOldest() {
				found := false
				for _, code := range problem.Codes() {
					if !strings.Contains(resp.Description, "`"+string(code)+"`") {
						continue
					}
					found = true
					want := strconv.Itoa(problem.New(code).Status())
					if status >= "400" && status != want {
						t.Errorf("%s %s: %s is listed at %s, want %s", method, path, code, status, want)
					}
				}
				if status >= "400" && !found {
					t.Errorf("%s %s: %s lists no code", method, path, status)
				}
			}
		}
	}
}

// The patterns of the mux and the paths of the contract must be the same.
func TestEveryRouteIsInTheContract(t *testing.T) {
	w := newWorld(t)
	for path, item := range w.contract.model.Paths.PathItems.FromOldest() {
		if path == "/" || strings.Contains(path, "{id}") {
			continue
		}
		for method, operation := range item.GetOperations().FromOldest() {
			filled := strings.NewReplacer("{region}", "cn-hangzhou", "{instance}", "cri-1",
				"{platform}", "gitlab").Replace(path)
			resp := w.do(request{method: strings.ToUpper(method), path: filled, unlisted: true})
			scope := scopes(operation)
			if resp.status == http.StatusNotFound && len(resp.body) > 0 &&
				resp.text("code") == string(problem.RouteUnknown) {
				t.Logf("%s %s is not served by these functions", method, path)
				continue
			}
			if len(scope) == 0 {
				continue
			}
			// With every scope but this one.
			as := w.issuer.token(t, map[string]any{"scope": strings.Join(without(scope[0]), " ")})
			w.do(request{
				method: strings.ToUpper(method), path: filled, as: as, odd: true,
			}).refused(problem.ScopeMissing, "")
		}
	}
}

func scopes(o *v3.Operation) []string {
	var all []string
	for _, requirement := range o.Security {
		for _, names := range requirement.Requirements.FromOldest() {
			all = append(all, names...)
		}
	}
	return all
}

func without(scope string) []string {
	return slices.DeleteFunc(
		[]string{api.ScopeRead, api.ScopeWrite, api.ScopeCredential, api.ScopeRepositories, "other"},
		func(s string) bool { return s == scope })
}
