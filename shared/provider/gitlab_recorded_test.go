package provider

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	// Both modules are needed for their recorded replies alone; the imports keep them in go.mod.
	_ "github.com/drone/go-scm/scm"
	_ "gitlab.com/gitlab-org/api/client-go/gitlaboauth2"
)

// recordedIn is a reply out of another project's tests, read where Go keeps that module.
func recordedIn(t *testing.T, module, path string) canned {
	t.Helper()
	out, err := exec.CommandContext(
		t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module,
	).Output()
	if err != nil {
		t.Fatalf("find the module %s: %v", module, err)
	}
	body, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), path))
	if err != nil {
		t.Fatal(err)
	}
	return canned{body: string(body)}
}

func TestGitLabsRecordedReplies(t *testing.T) {
	const clientGo, goSCM = "gitlab.com/gitlab-org/api/client-go", "github.com/drone/go-scm"
	self := recordedIn(t, clientGo, "testdata/list_personal_access_tokens_single.json")
	for name, user := range map[string]canned{
		"a user":           recordedIn(t, clientGo, "testdata/get_user.json"),
		"an administrator": recordedIn(t, clientGo, "testdata/get_user_admin.json"),
		"an older server":  recordedIn(t, goSCM, "scm/driver/gitlab/testdata/user.json"),
	} {
		s := newTokenSite(t, map[string]canned{selfPath: self, userPath: user})
		in := submit(s.URL)
		in.Username = "john_smith"
		f, err := s.gitLab().Verify(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		id := f.Identity
		if id.ID != "1" || id.Username != "john_smith" || id.Name != "John Smith" ||
			id.ProfileURL != "http://localhost:3000/john_smith" || id.AvatarURL == "" {
			t.Errorf("%s: the identity is %+v", name, id)
		}
		if !f.ExpiresAt.IsZero() {
			t.Errorf("%s: a token without an end ends %v", name, f.ExpiresAt)
		}
		same(t, name, f.Scopes, []string{"api"})
		same(t, name, warned(f), []string{"token_in_the_clear"})
	}
}
