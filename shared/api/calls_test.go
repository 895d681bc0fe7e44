package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
)

// Calls cost a user's time and an operator's money, so they are exact. Each step tells which
// calls it makes to the table, to the vault, and how many to the platforms.
func TestEveryRequestMakesExactlyTheCallsItNeeds(t *testing.T) {
	w := newWorld(t)
	drop := func(query string) request {
		return request{method: "DELETE", path: home + "/gitlab" + query}
	}
	put := func(platform, query string, body any) request {
		return request{method: "PUT", path: home + "/" + platform + query, body: body}
	}
	const (
		first   = "Binding SaveBinding SaveIdentityEntry SaveBinding"
		rebind  = "Binding SaveBinding SaveIdentityEntry SubscriptionEntries SaveBinding"
		unbind  = "Binding SubscriptionEntries SaveBinding"
		revoked = unbind + " ListIdentityEntries Binding DeleteIdentityEntry"
	)
	for i, step := range []struct {
		request
		table, vault string
		platform     int
	}{
		{get("/healthz"), "", "", 0},
		{get("/v1/platforms"), "", "", 0},
		{get("/v1/instances"), "", "", 0},
		{get(home), "InstanceBindings", "", 0},
		{get("/v1/bindings"), "AccountBindings", "", 0},
		{get(home + "/gitlab/history"), "Binding ListHistory", "", 0},
		{put("gitlab", "", gitlab()), first, "Put", 2},
		{put("codeup", "", codeup()), first, "Put", 12},
		{put("codeup", "", codeup("organization", "sandbox-org-main")), rebind, "Put", 11},
		{get(home), "InstanceBindings", "", 0},
		{get("/v1/bindings"), "AccountBindings", "", 0},
		{get(home + "/gitlab/history"), "Binding ListHistory", "", 0},
		{put("gitlab", "", bobs()), rebind, "Put", 2},
		{drop(""), unbind, "", 0},
		{drop(""), "Binding", "", 0},
		{put("gitlab", "", gitlab()), first, "Put", 2},
		{drop("?revoke=true"), revoked, "Get", 1},
		{put("gitlab", "", gitlab("token", "glpat-sandbox-alice-good")), "Binding", "", 1},
	} {
		w.clock.Advance(time.Hour)
		w.sweep()
		w.table.reset(nil)
		w.vault.reset(nil)
		w.box.ResetLog()
		r := w.do(step.request)
		what := fmt.Sprintf("step %d, %s %s (%d)", i, step.method, step.path, r.status)
		if got := strings.Join(w.table.made(), " "); got != step.table {
			t.Errorf("%s: the table was called %q, want %q", what, got, step.table)
		}
		if got := strings.Join(w.vault.made(), " "); got != step.vault {
			t.Errorf("%s: the vault was called %q, want %q", what, got, step.vault)
		}
		if n := w.box.Count(sandbox.GitLab) + w.box.Count(sandbox.Codeup); n != step.platform {
			t.Errorf("%s: the platforms were called %d times, want %d", what, n, step.platform)
		}
	}
}

func get(path string) request { return request{method: "GET", path: path} }

// A wrong token is sent to the platform once and no more: accounts get locked.
func TestAWrongTokenIsSentOnce(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab("token", "glpat-sandbox-nobody"))
	w.put(home+"/codeup", codeup("token", "pt-sandbox-nobody"))
	var paths []string
	for _, r := range w.box.Requests() {
		paths = append(paths, r.Path)
	}
	want := []string{"/api/v4/user", "/oapi/v1/platform/user"}
	if !slices.Equal(paths, want) {
		t.Errorf("got %q, want %q", paths, want)
	}
}
