package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"bindery/shared/secret"
)

// revokedAll is the result of the task.
type revokedAll struct {
	Acted                                bool
	Matching, Revoked, Withdrawn, Failed int
	Cursor                               string
}

// revoke runs the task that revokes a platform's tokens.
func (p *process) revoke(task map[string]string) (revokedAll, int) {
	p.t.Helper()
	task["name"] = "revoke"
	got := p.call(http.MethodPost, "/dev/task", secret.Text{}, task)
	var out revokedAll
	if got.status == http.StatusOK {
		if err := json.Unmarshal(got.body, &out); err != nil {
			p.t.Fatal(err)
		}
	}
	return out, got.status
}

func TestD11_AnOperatorEndsAPlatformsTokensOnALaptop(t *testing.T) {
	p := start(t, t.TempDir())
	p.bind("codeup", "gitlab")
	for _, wrong := range []map[string]string{
		{"platform": "gitlab", "confirm": "yes"},
		{"platform": "gitlab", "confirm": "codeup"},
		{"platform": ""},
		{"platform": "sourceforge", "confirm": "sourceforge"},
		{"platform": "gitlab", "confirm": "gitlab", "acount": "acme"},
	} {
		if _, status := p.revoke(wrong); status != http.StatusBadRequest {
			t.Errorf("%v: got %d, want 400", wrong, status)
		}
	}
	looked, _ := p.revoke(map[string]string{"platform": "gitlab"})
	if looked != (revokedAll{Matching: 1}) {
		t.Errorf("a look: got %+v", looked)
	}
	p.wantBound("after what was refused and a look", "codeup", "gitlab")

	out, _ := p.revoke(map[string]string{"platform": "gitlab", "confirm": "gitlab"})
	if out != (revokedAll{Acted: true, Matching: 1, Revoked: 1}) {
		t.Errorf("GitLab: got %+v", out)
	}
	p.wantBound("after the task", "codeup")
	out, _ = p.revoke(map[string]string{"platform": "codeup", "confirm": "codeup"})
	if out != (revokedAll{Acted: true, Matching: 1, Withdrawn: 1}) {
		t.Errorf("Codeup: got %+v", out)
	}
	p.wantBound("after both")
}

func TestATaskMustBeJSON(t *testing.T) {
	p := start(t, t.TempDir())
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/dev/task",
			strings.NewReader(`{"name":"revoke","platform":"gitlab","confirm":"gitlab"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind) // what another origin can send without a preflight
		got, err := send(r)
		if err != nil || got.status != http.StatusUnsupportedMediaType {
			t.Errorf("%q: got %d, %v; want 415", kind, got.status, err)
		}
	}
	for _, name := range []string{"", "expiry-check"} {
		got := p.call(http.MethodPost, "/dev/task", secret.Text{}, map[string]string{"name": name})
		if got.status != http.StatusOK {
			t.Errorf("the task %q: got %d, want 200", name, got.status)
		}
	}
	got := p.call(http.MethodPost, "/dev/task", secret.Text{}, map[string]string{"name": "other"})
	if got.status != http.StatusBadRequest {
		t.Errorf("an unknown task: got %d, want 400", got.status)
	}
}
