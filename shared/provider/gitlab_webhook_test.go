package provider

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

const (
	gitLabHooks = "/api/v4/projects/7/hooks"

	gitLabHookReply = `{"id":11,"url":"` + hookURL + `","push_events":true,"tag_push_events":true,
		"merge_requests_events":true,"enable_ssl_verification":true,"alert_status":"executable",
		"disabled_until":null,"token_present":true,"signing_token_present":true}`
)

func TestGitLabIsSentBothFormsOfTheSecretAndEveryEvent(t *testing.T) {
	s := newTokenSite(t, map[string]canned{
		"POST " + gitLabHooks:        {status: 201, body: gitLabHookReply},
		"PUT " + gitLabHooks + "/11": {body: gitLabHookReply},
	})
	bodies := s.recordBodies()
	hooks, cred := s.hooks(GitLab)
	want := wantedHook()
	want.Tag = false
	_, err := hooks.CreateWebhook(t.Context(), cred, "7", want)
	testkit.Want(t, "creating it", err, nil)
	made, err := hooks.RepairWebhook(t.Context(), cred, "7", "11", want)
	testkit.Want(t, "repairing it", err, nil)
	testkit.WantEqual(t, "the webhook", made, Webhook{
		ID: "11", URL: hookURL, Push: true, Tag: true, Merge: true, Active: true, Signed: true,
	})
	testkit.Want(t, "both are the same", bodies["POST "+gitLabHooks],
		bodies["PUT "+gitLabHooks+"/11"])
	var sent map[string]any
	if err := json.Unmarshal([]byte(bodies["POST "+gitLabHooks]), &sent); err != nil {
		t.Fatal(err)
	}
	key, _ := base64.RawURLEncoding.DecodeString(hookSecret)
	for name, value := range map[string]any{
		"url": hookURL, "token": hookSecret, "enable_ssl_verification": true,
		"signing_token": "whsec_" + base64.StdEncoding.EncodeToString(key),
		"push_events":   true, "tag_push_events": false, "merge_requests_events": true,
		"issues_events": false, "confidential_issues_events": false, "note_events": false,
		"job_events": false, "pipeline_events": false, "wiki_page_events": false,
		"releases_events": false, "push_events_branch_filter": "",
	} {
		testkit.Want(t, name, sent[name], value)
	}
}

func TestAWebhookThatGitLabHasDisabledNeedsATest(t *testing.T) {
	for change, want := range map[string]Webhook{
		"":                                      {Active: true, Signed: true},
		`"alert_status":"disabled"`:             {NeedsTest: true, Signed: true},
		`"alert_status":"temporarily_disabled"`: {NeedsTest: true, Signed: true},
		`"alert_status":null`:                   {Active: true, Signed: true},
		`"signing_token_present":false`:         {Active: true},
		`"push_events_branch_filter":"x"`:       {Active: true, Signed: true, Altered: true},
		`"enable_ssl_verification":false`:       {Active: true, Signed: true, Altered: true},
		`"token_present":false`:                 {Active: true, Signed: true, SecretMissing: true},
	} {
		body := strings.TrimSuffix(gitLabHookReply, "}") + "," + change + "}"
		if change == "" {
			body = gitLabHookReply
		}
		s := newTokenSite(t, map[string]canned{gitLabHooks: {body: "[" + body + "]"}})
		hooks, cred := s.hooks(GitLab)
		got, found, err := hooks.FindWebhook(t.Context(), cred, "7", "11", "")
		if err != nil || !found {
			t.Fatalf("%s: got %v, %v", change, found, err)
		}
		want.ID, want.URL, want.Push, want.Tag, want.Merge = "11", hookURL, true, true, true
		testkit.WantEqual(t, change, got, want)
	}
}

func TestGitLabsRefusalsOfAWebhook(t *testing.T) {
	const full = "Maximum number of project hooks (100) exceeded"
	for _, tt := range []struct {
		reply  canned
		code   problem.Code
		reason string
	}{
		{canned{status: 403, body: `{"message":"403 Forbidden"}`}, problem.WebhooksForbidden, "role"},
		{
			canned{status: 403, body: `{"error":"insufficient_scope","scope":"api"}`},
			problem.WebhooksForbidden, "scope",
		},
		{
			canned{status: 403, body: `{"message":"403 Forbidden - Your account has been blocked."}`},
			problem.UserBlocked, "blocked",
		},
		{canned{status: 422, body: `{"error":"` + full + `"}`}, problem.WebhooksFull, ""},
		{canned{status: 422, body: `{"message":{"base":["` + full + `"]}}`}, problem.WebhooksFull, ""},
		{
			canned{status: 404, body: `{"message":"404 Project hook {:base=>[\"` + full +
				`\"]} Not Found"}`},
			problem.WebhooksFull, "",
		},
		{
			canned{status: 422, body: `{"error":"Invalid url given"}`},
			problem.WebhooksForbidden, "address",
		},
		{
			canned{status: 404, body: `{"message":"404 Project Not Found"}`},
			problem.RepositoryUnknown, "",
		},
		{canned{status: 404, body: `{"message":"404 Not found"}`}, problem.WebhookLost, ""},
		{
			canned{status: 404, kind: "text/html", body: `<html>`},
			problem.PlatformError, "not_the_platform",
		},
		{
			canned{status: 403, body: `{"error":"denied","by":"proxy"}`},
			problem.PlatformError, "not_the_api",
		},
		{canned{status: 429, body: `{"message":"too many"}`}, problem.PlatformRateLimited, ""},
		{canned{status: 401, body: `{"message":"401 Unauthorized"}`}, problem.TokenRejected, ""},
		{canned{body: `{"url":"x"}`}, problem.PlatformError, "not_the_platform"},
	} {
		s := newTokenSite(t, map[string]canned{"PUT " + gitLabHooks + "/11": tt.reply})
		hooks, cred := s.hooks(GitLab)
		_, err := hooks.RepairWebhook(t.Context(), cred, "7", "11", wantedHook())
		testkit.WantProblem(t, tt.reply.body, err, tt.code, tt.reason)
		if tt.reason == "scope" {
			testkit.Want(t, "what is missing", problem.Of(err).Params["missing"], "api")
		}
	}
}

func TestGitLabsTestAndDeletionOfAWebhook(t *testing.T) {
	const test = "POST " + gitLabHooks + "/11/test/push_events"
	for _, tt := range []struct {
		key   string
		reply canned
		want  problem.Code
		err   error
	}{
		{test, canned{status: 201, body: `{"message":"201 Created"}`}, "", nil},
		{test, canned{status: 404, body: `{"error":"404 Not Found"}`}, "", ErrNoTest},
		{test, canned{status: 404, body: `{"message":"404 Not found"}`}, problem.WebhookLost, nil},
		{test, canned{status: 422, body: `{"message":"refused"}`}, problem.PlatformError, nil},
		{test, canned{status: 429, body: `{"message":"x"}`}, problem.PlatformRateLimited, nil},
		{"DELETE " + gitLabHooks + "/11", canned{status: 204}, "", nil},
		{
			"DELETE " + gitLabHooks + "/11",
			canned{status: 404, body: `{"message":"404 Not found"}`},
			"", nil,
		},
		{
			"DELETE " + gitLabHooks + "/11",
			canned{status: 404, body: `{"message":"404 Project Not Found"}`},
			problem.RepositoryUnknown, nil,
		},
	} {
		s := newTokenSite(t, map[string]canned{tt.key: tt.reply})
		hooks, cred := s.hooks(GitLab)
		var err error
		if tt.key == test {
			err = hooks.TestWebhook(t.Context(), cred, "7", "11")
		} else {
			err = hooks.DeleteWebhook(t.Context(), cred, "7", "11")
		}
		if tt.want != "" {
			testkit.WantCode(t, tt.reply.body, err, tt.want)
			continue
		}
		testkit.Want(t, tt.key+tt.reply.body, err, tt.err)
	}
}

func TestGitLabsMergeRequests(t *testing.T) {
	const path = "/api/v4/projects/7/merge_requests/3"
	reply := func(state, merge, squash string) canned {
		return canned{body: `{"iid":3,"title":"Fix\nx","state":"` + state + `","source_branch":"fix",
			"target_branch":"main","sha":"` + oldHash + `","merge_commit_sha":` + merge + `,
			"squash_commit_sha":` + squash + `,"web_url":"https://evil.example/g/p/-/merge_requests/3"}`}
	}
	other := strings.Repeat("b", 40)
	for _, tt := range []struct {
		reply          canned
		action, commit string
	}{
		{reply("opened", "null", "null"), "updated", oldHash},
		{reply("locked", "null", "null"), "updated", oldHash},
		{reply("closed", "null", "null"), "closed", oldHash},
		{reply("merged", `"`+newHash+`"`, `"`+other+`"`), "merged", newHash},
		{reply("merged", "null", `"`+other+`"`), "merged", other},
		{reply("merged", "null", "null"), "merged", oldHash},
	} {
		s := newTokenSite(t, map[string]canned{path: tt.reply})
		hooks, cred := s.hooks(GitLab)
		got, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7", "3")
		testkit.Want(t, "an error", err, nil)
		testkit.WantEqual(t, "the request", got, Change{
			Ref: "refs/heads/main", Commit: tt.commit, Merge: &MergeRequest{
				Number: "3", Title: "Fix", Source: "fix", Action: tt.action,
				URL: s.URL + "/g/p/-/merge_requests/3",
			},
		})
	}
	s := newTokenSite(t, map[string]canned{
		path:                                {status: 404, body: `{"message":"404 Not found"}`},
		strings.TrimSuffix(path, "3") + "4": {body: reply("opened", "null", "null").body},
	})
	hooks, cred := s.hooks(GitLab)
	for number, want := range map[string]problem.Code{
		"3": problem.RefUnknown, "../3": problem.RefUnknown, "": problem.RefUnknown,
		"4": problem.PlatformError, // it answers about another one
	} {
		_, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7", number)
		testkit.WantCode(t, number, err, want)
	}
}
