//go:build contract

package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"bindery/shared/provider"
)

// gitLabReplies are the types into which the vendor's client decodes the replies, by the call.
var gitLabReplies = map[string]func() any{
	"GET {address}/api/v4/user": func() any { return new(gitlab.User) },
	"GET {address}/api/v4/personal_access_tokens/self": func() any {
		return new(gitlab.PersonalAccessToken)
	},
	"GET {address}/api/v4/projects":           func() any { return new([]*gitlab.Project) },
	"GET {address}/api/v4/projects/{project}": func() any { return new(gitlab.Project) },
	gitLabRepository + "/branches":            func() any { return new([]*gitlab.Branch) },
	gitLabRepository + "/branches/{branch}":   func() any { return new(gitlab.Branch) },
	gitLabRepository + "/tags":                func() any { return new([]*gitlab.Tag) },
	gitLabRepository + "/tags/{tag}":          func() any { return new(gitlab.Tag) },
	gitLabRepository + "/commits/{sha}":       func() any { return new(gitlab.Commit) },
}

// gitLabRepository is the call for what is in one of GitLab's projects.
const gitLabRepository = "GET {address}/api/v4/projects/{project}/repository"

// gitLabError has the forms in which GitLab reports errors; its client reads the first two.
type gitLabError struct {
	Message          string `json:"message"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	Scope            string `json:"scope"`
}

func TestTheCallsOfGitLabAreThoseOfItsClient(t *testing.T) {
	made := clientCalls(t)
	rows := readTable(t)
	find := func(e exchange) int {
		return slices.IndexFunc(rows, func(r row) bool { return r.matches(e) })
	}
	theirs, total, requests, replies := map[int]exchange{}, 0, 0, 0
	for _, e := range made {
		theirs[find(e)] = e
	}
	seen := map[int]bool{}
	for _, e := range recordAll(t) {
		if e.platform != provider.GitLab {
			continue
		}
		total++
		i := find(e)
		seen[i] = true
		if i >= 0 && rows[i].sure != described {
			continue // see the facts
		}
		client, ok := theirs[i]
		if !ok || e.sent.Header.Get("Private-Token") == "" || len(e.body) > 0 {
			t.Errorf("%s isn't the client's call", e.call)
			continue
		}
		for name := range e.sent.URL.Query() {
			if !client.sent.URL.Query().Has(name) {
				t.Errorf("%s has the parameter %s, which the client doesn't send", e.call, name)
			}
		}
		requests++
		if wrong := clientReads(e, rows[i].call); wrong != nil {
			t.Errorf("%s, %d: the client can't read the reply: %v", e.call, e.status, wrong)
			continue
		}
		replies++
	}
	for i, e := range theirs {
		if !seen[i] {
			t.Errorf("%s is held against the client and never made", e.call)
		}
	}
	t.Logf("%s: %d requests and %d replies of %d calls held against %s",
		provider.GitLab, requests, replies, total, clientGo)
}

// clientReads decodes a reply as the client does, which must know every field. It returns what is
// wrong.
func clientReads(e exchange, call string) error {
	var into any = new(gitLabError)
	if reply := gitLabReplies[call]; e.status < 300 && reply != nil {
		into = reply()
	}
	isFile := strings.HasSuffix(call, "/raw") && e.status < 300
	if e.status == http.StatusNoContent && len(e.reply) == 0 || isFile {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(e.reply))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// clientCalls returns the calls of the vendor's client.
func clientCalls(t *testing.T) []exchange {
	t.Helper()
	var calls []exchange
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Private-Token") == "" || r.Header.Get("Authorization") != "" {
			t.Error("the client sends its token elsewhere")
		}
		calls = append(calls, exchange{
			platform: provider.GitLab, call: r.Method + " {address}" + r.URL.EscapedPath(), sent: r,
		})
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case slices.Contains([]string{"projects", "branches", "tags"}, path.Base(r.URL.Path)):
			_, _ = fmt.Fprintln(w, "[]")
		default:
			_, _ = fmt.Fprintln(w, "{}")
		}
	}))
	defer server.Close()
	client, err := gitlab.NewClient("a-token", gitlab.WithBaseURL(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	errs := append(clientReadsRepositories(client), func() []error {
		_, _, userErr := client.Users.CurrentUser()
		_, _, selfErr := client.PersonalAccessTokens.GetSinglePersonalAccessToken()
		_, revokeErr := client.PersonalAccessTokens.RevokePersonalAccessTokenSelf()
		return []error{userErr, selfErr, revokeErr}
	}()...)
	for _, err := range errs {
		if err != nil {
			t.Fatal(strings.ReplaceAll(err.Error(), server.URL, "the server"))
		}
	}
	return calls
}

// clientReadsRepositories makes the client's calls about projects. It escapes a name with slashes
// itself.
func clientReadsRepositories(client *gitlab.Client) []error {
	const project, name, file = 1, "feature/a", "目录/文件.txt"
	page := gitlab.ListOptions{Page: 1, PerPage: 100}
	_, _, list := client.Projects.ListProjects(&gitlab.ListProjectsOptions{
		ListOptions: gitlab.ListOptions{
			PerPage: 100, Pagination: "keyset", OrderBy: "id", Sort: "desc",
		},
		Membership: gitlab.Ptr(true), IDBefore: gitlab.Ptr(int64(2)), Search: gitlab.Ptr("hello"),
		SearchNamespaces: gitlab.Ptr(true),
	})
	_, _, one := client.Projects.GetProject(project, nil)
	_, _, branches := client.Branches.ListBranches(project,
		&gitlab.ListBranchesOptions{ListOptions: page, Search: gitlab.Ptr("a")})
	_, _, branch := client.Branches.GetBranch(project, name)
	_, _, tags := client.Tags.ListTags(project,
		&gitlab.ListTagsOptions{ListOptions: page, Search: gitlab.Ptr("a")})
	_, _, tag := client.Tags.GetTag(project, name)
	_, _, commit := client.Commits.GetCommit(project, "deadbeef", nil)
	_, _, raw := client.RepositoryFiles.GetRawFile(project, file,
		&gitlab.GetRawFileOptions{Ref: gitlab.Ptr("deadbeef")})
	return []error{list, one, branches, branch, tags, tag, commit, raw}
}
