package contract_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// The modules whose tests have recorded replies. They are read in the module cache.
const (
	goSCM    = "github.com/drone/go-scm"
	clientGo = "gitlab.com/gitlab-org/api/client-go"
)

// read returns a file of a module that go.mod requires.
func read(t *testing.T, module, path string) []byte {
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
	return body
}

// answer is a reply of a [site].
type answer struct {
	status int // 0 is 200
	header http.Header
	body   []byte
}

// site serves recorded replies by path and notes what was asked.
type site struct {
	*httptest.Server
	answers map[string]answer
	mu      sync.Mutex
	asked   []string
}

func newSite(t *testing.T, answers map[string]answer) *site {
	t.Helper()
	s := &site{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		a, ok := s.answers[r.URL.Path]
		if !ok {
			t.Errorf("%s %s was asked, and nothing was recorded for it", r.Method, r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/json")
		for name, values := range a.header {
			w.Header()[name] = values
		}
		if a.status != 0 {
			w.WriteHeader(a.status)
		}
		_, _ = w.Write(a.body)
	}))
	t.Cleanup(s.Close)
	return s
}

// platform returns a platform whose every origin is the site.
func (s *site) platform(name string) provider.Platform {
	endpoints := provider.Endpoints{}
	for _, r := range provider.Platforms() {
		for _, origin := range r.Origins {
			endpoints[origin.Variable] = s.URL
		}
	}
	set := provider.New(provider.Options{
		Guard: netguard.New(netguard.Options{
			PrivateHosts: []string{strings.TrimPrefix(s.URL, "http://")},
		}),
		Now:       func() time.Time { return time.Date(2020, 3, 1, 12, 0, 0, 0, time.UTC) },
		Sleep:     noSleep,
		Endpoints: endpoints,
	})
	p, _ := set.Get(name)
	return p
}

// check checks a token at the site with every scope that the platform needs.
func (s *site) check(t *testing.T, name string) (provider.CheckResult, error) {
	t.Helper()
	p := s.platform(name)
	return p.Check(t.Context(), provider.Credential{
		Access: secret.New("a-token"), Address: s.URL, Scopes: p.Describe().Scopes,
	})
}

// recordedUsers are the rows of the table that are recorded.
var recordedUsers = []struct{ platform, call, path, file, id string }{
	{
		provider.Gitee, "GET gitee.com/api/v5/user", "/api/v5/user",
		"scm/driver/gitee/testdata/user.json", "1535738",
	},
	{
		provider.Bitbucket, "GET api.bitbucket.org/2.0/user", "/2.0/user",
		"scm/driver/bitbucket/testdata/user.json", "{87bb15eb-47c1-49b3-9f16-ca824a2979a4}",
	},
}

func TestWhatIsCalledRecordedIsRecorded(t *testing.T) {
	var want []string
	for _, r := range readTable(t) {
		if r.sure == recorded {
			want = append(want, r.call)
		}
	}
	var got []string
	for _, u := range recordedUsers {
		got = append(got, u.call)
		s := newSite(t, map[string]answer{u.path: {body: read(t, goSCM, u.file)}})
		result, err := s.check(t, u.platform)
		if err != nil || result.Identity.ID != u.id {
			t.Errorf("%s: got %+v, %v; want %s", u.call, result.Identity, err, u.id)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the recorded calls of docs/platforms.md are %q, want %q", want, got)
	}
}

// A recorded 404 comes from a moved API or a proxy: it says nothing about the token.
func TestARecordedErrorEndsNoBinding(t *testing.T) {
	for name, path := range map[string]string{
		provider.Gitee: "/api/v5/user", provider.GitHub: "/user", provider.Bitbucket: "/2.0/user",
	} {
		body := read(t, goSCM, "scm/driver/"+name+"/testdata/error.json")
		s := newSite(t, map[string]answer{path: {status: http.StatusNotFound, body: body}})
		if _, err := s.check(t, name); !endsNoBinding(err) {
			t.Errorf("%s: the recorded error gives %v, want platform_error", name, err)
		}
	}
}

// endsNoBinding reports whether a failure says nothing about the token.
func endsNoBinding(err error) bool { return problem.Is(err, problem.PlatformError) }

// The replies about tokens of every kind have one form: a user's, a project's, a group's.
func TestGitLabsPublishedTokens(t *testing.T) {
	for _, file := range []string{
		"list_personal_access_tokens_single.json",
		"list_personal_access_tokens_with_user_filter.json",
		"list_personal_access_tokens_without_user_filter.json",
		"rotate_personal_access_token.json",
		"post_user_personal_access_tokens.json",
		"list_project_access_tokens.json", "get_project_access_token.json",
		"rotate_project_access_token.json",
		"list_group_access_tokens.json", "get_group_access_token.json",
		"rotate_group_access_token.json",
	} {
		text := read(t, clientGo, "testdata/"+file)
		var list []json.RawMessage
		if json.Unmarshal(text, &list) != nil {
			list = []json.RawMessage{text}
		}
		for _, token := range list {
			checkGitLabToken(t, file, token, read(t, clientGo, "testdata/get_user_bot.json"))
		}
	}
}

func checkGitLabToken(t *testing.T, file string, token, user []byte) {
	t.Helper()
	var want struct {
		Active    bool     `json:"active"`
		Revoked   bool     `json:"revoked"`
		Scopes    []string `json:"scopes"`
		ExpiresAt string   `json:"expires_at"`
	}
	if err := json.Unmarshal(token, &want); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	s := newSite(t, map[string]answer{
		"/api/v4/personal_access_tokens/self": {body: token}, "/api/v4/user": {body: user},
	})
	result, err := s.check(t, provider.GitLab)
	switch {
	case want.Revoked || !want.Active:
		if !problem.Is(err, problem.TokenRejected) && !problem.Is(err, problem.TokenExpired) {
			t.Errorf("%s: a token that has ended gives %v", file, err)
		}
	case !slices.Contains(want.Scopes, "api"):
		if !problem.Is(err, problem.PermissionMissing) {
			t.Errorf("%s: the scopes %q give %v", file, want.Scopes, err)
		}
	case err != nil:
		t.Errorf("%s: %v", file, err)
	default:
		expires := ""
		if !result.ExpiresAt.IsZero() {
			expires = result.ExpiresAt.Format(time.DateOnly)
		}
		if !slices.Equal(result.Scopes, want.Scopes) || !strings.HasPrefix(want.ExpiresAt, expires) ||
			(expires == "") != (want.ExpiresAt == "") || result.Identity.ID != "2" {
			t.Errorf("%s: got %+v, want %+v", file, result, want)
		}
	}
}
