package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

func TestGitLabReturnsTheTokensUser(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	for _, base := range []string{origin, origin + "/gitlab"} {
		for _, h := range []header{
			privateText("glpat-sandbox-alice-good"),
			{"Authorization", "Bearer glpat-sandbox-alice-good"},
		} {
			got := call(t, noBody("GET", base+"/api/v4/user"), h)
			if got.status != 200 || got.field(t, "username") != "alice" ||
				got.field(t, "state") != "active" || got.field(t, "is_admin") != nil ||
				got.field(t, "web_url") != base+"/alice" {
				t.Errorf("%s by %s: got %d, %s", base, h.name, got.status, got.body)
			}
		}
	}
}

func TestGitLabErrors(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	for _, c := range []struct {
		token, path string
		status      int
		field, want string
	}{
		{"glpat-unknown", "/user", 401, "message", "401 Unauthorized"},
		{"", "/user", 401, "message", "401 Unauthorized"},
		{"glpat-sandbox-alice-expired", "/user", 401, "error", "invalid_token"},
		{"glpat-sandbox-alice-revoked", "/user", 401, "error", "invalid_token"},
		{"glpat-sandbox-alice-userinfo", "/projects", 403, "error", "insufficient_scope"},
		{
			"glpat-sandbox-mallory-blocked", "/user", 403,
			"message", "403 Forbidden - Your account has been blocked.",
		},
		{"glpat-sandbox-alice-good", "/nothing", 404, "error", "404 Not Found"},
	} {
		got := call(t, noBody("GET", origin+"/api/v4"+c.path), privateText(c.token))
		if got.status != c.status || got.field(t, c.field) != c.want {
			t.Errorf("%s, %s: got %d, %v; want %d, %s", c.token, c.path, got.status,
				got.field(t, c.field), c.status, c.want)
		}
	}
}

func TestGitLabDescribesAToken(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	self := noBody("GET", origin+"/api/v4/personal_access_tokens/self")
	got := call(t, self, privateText("glpat-sandbox-alice-soon"))
	if got.field(t, "expires_at") != "2026-03-09" || got.field(t, "active") != true {
		t.Errorf("got %s", got.body)
	}
	got = call(t, self, privateText("glpat-sandbox-alice-forever"))
	if got.status != 200 || got.field(t, "expires_at") != nil {
		t.Errorf("got %s", got.body)
	}
}

func TestGitLabTokenExpiresAtMidnightUTC(t *testing.T) {
	now := testkit.NewClockAt(clock)
	s, origin := open(t, sandbox.Options{Now: now.Now})
	token := s.GitLab.AddToken(gitlab.Token{
		Username: "bob", Scopes: []string{"api"}, ExpiresAt: clock.AddDate(0, 0, 1),
	})
	midnight := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]int{midnight.Add(-time.Second): 200, midnight: 401} {
		now.Advance(at.Sub(now.Now()))
		got := call(t, noBody("GET", origin+"/api/v4/user"), privateToken(token))
		if got.status != want {
			t.Errorf("at %s: got %d, want %d", at, got.status, want)
		}
	}
}

func TestGitLabVersions(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	self := origin + "/api/v4/personal_access_tokens/self"
	for _, c := range []struct{ major, minor, get, remove int }{
		{14, 10, 404, 404},
		{15, 0, 404, 403},
		{15, 1, 401, 403},
		{15, 4, 401, 204},
		{15, 5, 200, 204},
	} {
		s.GitLab.SetVersion(c.major, c.minor)
		token := s.GitLab.AddToken(gitlab.Token{
			Username: "alice", Scopes: []string{"read_user"},
		})
		got := call(t, noBody("GET", self), privateToken(token)).status
		removed := call(t, noBody("DELETE", self), privateToken(token)).status
		version := call(t, noBody("GET", origin+"/api/v4/version"),
			privateText("glpat-sandbox-alice-good"))
		if got != c.get || removed != c.remove || version.status != 200 {
			t.Errorf("%d.%d: got %d and %d, want %d and %d",
				c.major, c.minor, got, removed, c.get, c.remove)
		}
	}
}

func TestGitLabRefusesRevokedTokensAndBlockedUsers(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	status := func(token secret.Text) int {
		return call(t, noBody("GET", origin+"/api/v4/user"), privateToken(token)).status
	}
	id := s.GitLab.AddUser(gitlab.User{Username: "dora"})
	token := s.GitLab.AddToken(gitlab.Token{Username: "dora", Scopes: []string{"api"}})
	s.GitLab.BlockUser("dora")
	if got := status(token); id == 0 || got != 403 {
		t.Errorf("blocked: got %d, want 403", got)
	}
	s.GitLab.UnblockUser("dora")
	s.GitLab.SetScopes(token, "read_repository")
	if got := status(token); got != 403 {
		t.Errorf("without scope: got %d, want 403", got)
	}
	s.GitLab.SetScopes(token, "api")
	if got := status(token); got != 200 {
		t.Errorf("mended: got %d, want 200", got)
	}
	s.GitLab.RevokeToken(token)
	s.GitLab.RevokeToken(token)
	if got := status(token); got != 401 {
		t.Errorf("revoked: got %d, want 401", got)
	}
}

func TestGitLabRotatingARevokedTokenRevokesTheFamily(t *testing.T) {
	_, origin := open(t, sandbox.Options{})
	rotate := noBody("POST", origin+"/api/v4/personal_access_tokens/self/rotate")
	user := noBody("GET", origin+"/api/v4/user")
	old := privateText("glpat-sandbox-alice-good")
	first := call(t, rotate, old)
	value, _ := first.field(t, "token").(string)
	if first.status != 200 || value == "" || first.field(t, "expires_at") != "2026-03-11" {
		t.Fatalf("got %d, want a new token for a week", first.status)
	}
	if got := call(t, user, old).status; got != 401 {
		t.Errorf("the old one: got %d, want 401", got)
	}
	if got := call(t, user, privateText(value)).status; got != 200 {
		t.Errorf("the new one: got %d, want 200", got)
	}
	if got := call(t, rotate, old).status; got != 401 {
		t.Errorf("rotated again: got %d, want 401", got)
	}
	if got := call(t, user, privateText(value)).status; got != 401 {
		t.Errorf("the new one: got %d, want 401", got)
	}
	if got := call(t, user, privateText("glpat-sandbox-alice-soon")).status; got != 200 {
		t.Errorf("another family: got %d, want 200", got)
	}
}

func TestGitLabListsProjectsInPages(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	const projects = "/gitlab/api/v4/projects?order_by=id&sort=desc&per_page=3"
	get := func(address string) answer {
		got := call(t, noBody("GET", address), privateText("glpat-sandbox-alice-readonly"))
		if got.status != 200 {
			t.Fatalf("%s: got %d", address, got.status)
		}
		return got
	}
	first, second := get(origin+projects), get(origin+projects+"&page=2")
	if first.header.Get("X-Next-Page") != "2" || first.header.Get("X-Total") != "8" ||
		first.field(t, "id").(float64) <= second.field(t, "id").(float64) {
		t.Errorf("by offset: got %v, %s", first.header, first.body)
	}
	// The next page by id is the second one, however many there are.
	s.SetSwitch(sandbox.GitLab, platform.ManyRepositories, true)
	first = get(origin + projects + "&pagination=keyset")
	link := first.header.Get("Link")
	next, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if first.header.Get("X-Total") != "" || !strings.Contains(next, "id_before=") {
		t.Fatalf("by id: got %v", first.header)
	}
	if got := get(next).field(t, "id").(float64); got >= first.field(t, "id").(float64) {
		t.Errorf("the next page begins with %v", got)
	}
}
