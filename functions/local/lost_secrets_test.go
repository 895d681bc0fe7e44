package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/binding/maintenance"
	"bindery/shared/secret"
)

// lostSecrets runs the task and returns its result and status.
func (p *process) lostSecrets(
	task map[string]string,
) (out maintenance.LostSecretsResult, status int) {
	p.t.Helper()
	task["name"] = "lost-secrets"
	got := p.call(http.MethodPost, "/dev/task", secret.Text{}, task)
	if got.status == http.StatusOK {
		if err := json.Unmarshal(got.body, &out); err != nil {
			p.t.Fatal(err)
		}
	}
	return out, got.status
}

// secretFolders returns the folders of the secrets in a laptop's vault.
func secretFolders(t *testing.T, data string) []string {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(data, "vault", "*", "1"))
	if err != nil {
		t.Fatal(err)
	}
	for i, first := range folders {
		folders[i] = filepath.Dir(first)
	}
	return folders
}

func TestAnOperatorFindsLostSecretsOnALaptop(t *testing.T) {
	data := t.TempDir()
	p := start(t, data)
	p.bind("gitlab")
	gitlab := secretFolders(t, data)
	p.bind("codeup")
	look := func() map[string]string { return map[string]string{} }
	confirm := func() map[string]string { return map[string]string{"confirm": "lost-secrets"} }
	out, _ := p.lostSecrets(look())
	if out.Read != 2 || out.Listed != 2 || out.Missing+out.Orphans > 0 {
		t.Errorf("nothing is lost: got %+v", out)
	}

	// A secret of no record: a copy under another name, an hour old.
	stray := filepath.Join(data, "vault", "0123456789abcdef0123456789abcdef")
	text, err := os.ReadFile(filepath.Join(gitlab[0], "1"))
	if err == nil {
		err = os.Mkdir(stray, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(stray, "1"), text, 0o600)
	}
	hour := time.Now().Add(-time.Hour)
	if err == nil {
		err = os.Chtimes(filepath.Join(stray, "1"), hour, hour)
	}
	if err == nil {
		err = os.RemoveAll(gitlab[0]) // and a record without its secret
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []map[string]string{
		{"confirm": "yes"},
		{"confirm": "lost-secrets", "platform": "gitlab"},
		{"confirm": "lost-secrets", "cursor": "x"},
		{"confirm": "lost-secrets", "cursor": "vault:x"},
		{"confirm": "lost-secrets", "confrim": "lost-secrets"},
	} {
		if _, status := p.lostSecrets(wrong); status != http.StatusBadRequest {
			t.Errorf("%v: got %d, want 400", wrong, status)
		}
	}
	for range 2 {
		out, _ := p.lostSecrets(look())
		if out.Missing != 1 || len(out.Names) != 1 || out.Orphans != 1 || out.Deleted+out.Failed > 0 {
			t.Errorf("a look: got %+v", out)
		}
	}
	// The copy doesn't open under another name, so it stays.
	for range 2 {
		out, _ := p.lostSecrets(confirm())
		if !out.Acted || out.Missing != 1 || out.Orphans != 1 || out.Deleted != 0 || out.Failed != 1 {
			t.Errorf("told to: got %+v", out)
		}
	}
	p.wantBound("after the task", "codeup", "gitlab")
}
