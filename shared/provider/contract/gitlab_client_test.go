//go:build contract

package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
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
}

// gitLabError has the forms in which GitLab reports errors; its client reads the first two.
type gitLabError struct {
	Message          string `json:"message"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	Scope            string `json:"scope"`
}

func TestTheCallsOfGitLabAreThoseOfItsClient(t *testing.T) {
	made := clientCalls(t)
	total, requests, replies := 0, 0, 0
	seen := map[string]bool{}
	for _, e := range recordAll(t) {
		if e.platform != provider.GitLab {
			continue
		}
		total++
		seen[e.call] = true
		if names := made[e.call]; !slices.Equal(names, []string{"Private-Token"}) ||
			e.sent.Header.Get("Private-Token") == "" || len(e.body) > 0 || e.sent.URL.RawQuery != "" {
			t.Errorf("%s isn't the client's call", e.call)
			continue
		}
		requests++
		var into any = new(gitLabError)
		if reply := gitLabReplies[e.call]; e.status < 300 && reply != nil {
			into = reply()
		}
		if e.status == http.StatusNoContent && len(e.reply) == 0 {
			replies++
			continue
		}
		d := json.NewDecoder(bytes.NewReader(e.reply))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			t.Errorf("%s, %d: the client can't read the reply: %v", e.call, e.status, err)
			continue
		}
		replies++
	}
	for call := range made {
		if !seen[call] {
			t.Errorf("%s is held against the client and never made", call)
		}
	}
	t.Logf("%s: %d requests and %d replies of %d calls held against %s",
		provider.GitLab, requests, replies, total, clientGo)
}

// clientCalls returns the calls of the vendor's client, each with the header of its credential.
func clientCalls(t *testing.T) map[string][]string {
	t.Helper()
	calls := map[string][]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Header)), func(name string) bool {
			return name != "Authorization" && name != "Private-Token"
		})
		calls[r.Method+" {address}"+r.URL.Path] = credentials
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = fmt.Fprintln(w, "{}")
	}))
	defer server.Close()
	client, err := gitlab.NewClient("a-token", gitlab.WithBaseURL(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	_, _, userErr := client.Users.CurrentUser()
	_, _, selfErr := client.PersonalAccessTokens.GetSinglePersonalAccessToken()
	_, revokeErr := client.PersonalAccessTokens.RevokePersonalAccessTokenSelf()
	for _, err := range []error{userErr, selfErr, revokeErr} {
		if err != nil {
			t.Fatal(strings.ReplaceAll(err.Error(), server.URL, "the server"))
		}
	}
	return calls
}
