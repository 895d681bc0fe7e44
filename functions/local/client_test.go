package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// the instance of the account acme that the tests bind.
const bindings = "/v1/instances/cn-hangzhou/cri-acme-prod/bindings"

// reply is a reply of Bindery with its body.
type reply struct {
	status int
	body   []byte
	header http.Header
}

// call sends a request, with the token as its bearer token if there is one.
func (p *process) call(method, path string, token secret.Text, body any) reply {
	p.t.Helper()
	got, err := p.try(method, path, token, body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got
}

func (p *process) try(method, path string, token secret.Text, body any) (reply, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	if body == nil {
		text = nil
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path,
		strings.NewReader(string(text)))
	if err != nil {
		return reply{}, err
	}
	if !token.Empty() {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	r.Header.Set("Content-Type", "application/json")
	return send(r)
}

func send(r *http.Request) (reply, error) {
	client := http.Client{Timeout: longest}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, got, response.Header}, err
}

// signIn gets an access token with the parameters.
func (p *process) signIn(parameters url.Values) secret.Text {
	p.t.Helper()
	got := p.call(http.MethodGet, "/dev/token?"+parameters.Encode(), secret.Text{}, nil)
	token := secret.New(strings.TrimSpace(string(got.body)))
	if got.status != http.StatusOK || token.Empty() {
		p.t.Fatalf("signing in: status %d", got.status)
	}
	p.hide(token)
	return token
}

// sample returns the sample token with the title.
func (p *process) sample(platform, title string) sandbox.Sample {
	p.t.Helper()
	for _, s := range p.samples {
		if string(s.Platform) == platform && s.Title.English == title {
			return s
		}
	}
	p.t.Fatalf("the sandbox has no sample token %s: %s", platform, title)
	return sandbox.Sample{}
}

// form returns the fields that a user enters.
func form(s sandbox.Sample) map[string]string {
	form := map[string]string{"username": s.Username, "token": s.Token.Reveal()}
	if s.Address != "" {
		form["address"] = s.Address
	}
	if s.Organization != "" {
		form["organization"] = s.Organization
	}
	return form
}

// bind binds the platforms by their valid sample tokens.
func (p *process) bind(platforms ...string) {
	p.t.Helper()
	token := p.signIn(nil)
	for _, platform := range platforms {
		got := p.call(http.MethodPut, bindings+"/"+platform, token, form(p.sample(platform, "good")))
		if got.status != http.StatusOK {
			p.t.Fatalf("binding %s: status %d: %s", platform, got.status, got.code())
		}
	}
}

// code returns the code of the problem, or "".
func (r reply) code() string {
	var problem struct{ Code, Reason string }
	_ = json.Unmarshal(r.body, &problem)
	return strings.TrimSpace(problem.Code + " " + problem.Reason)
}

// bound returns the platforms that are bound.
func (p *process) bound() []string {
	p.t.Helper()
	got := p.call(http.MethodGet, bindings, p.signIn(nil), nil)
	var list struct {
		Bindings []struct{ Platform, Status string }
	}
	if err := json.Unmarshal(got.body, &list); err != nil || got.status != http.StatusOK {
		p.t.Fatalf("listing the bindings: status %d, %v", got.status, err)
	}
	if len(list.Bindings) != 5 {
		p.t.Errorf("the list has %d platforms, want 5", len(list.Bindings))
	}
	var bound []string
	for _, b := range list.Bindings {
		if b.Status == "bound" {
			bound = append(bound, b.Platform)
		}
	}
	return bound
}

// wantBound wants exactly these platforms to be bound.
func (p *process) wantBound(when string, want ...string) {
	p.t.Helper()
	if got := p.bound(); !slices.Equal(got, want) {
		p.t.Errorf("%s: bound are %v, want %v", when, got, want)
	}
}

// files returns the contents of every file in the folder.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantFiles wants the folder to be unchanged.
func wantFiles(t testing.TB, dir string, before map[string]string) {
	t.Helper()
	after := files(t, dir)
	for path, text := range before {
		if now, ok := after[path]; !ok || now != text {
			t.Errorf("%s was changed or removed", filepath.Base(path))
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s was left behind", filepath.Base(path))
		}
	}
}
