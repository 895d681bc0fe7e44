package provider

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

const (
	giteeRepo      = "/api/v5/repos/acme/web"
	giteeHookReply = `{"id":11,"url":"` + hookURL + `","password":"` + hookSecret + `",
		"project_id":7,"result":"<html>","result_code":403,"push_events":true,
		"tag_push_events":true,"issues_events":false,"merge_requests_events":true}`
)

// giteeReplies are those of a Gitee with the repository, and one more.
func giteeReplies(key string, reply canned) map[string]canned {
	return map[string]canned{
		giteeRepo: {body: `{"id":7,"full_name":"acme/web"}`}, key: reply,
	}
}

func TestGiteeIsAskedForASigningKey(t *testing.T) {
	s := newTokenSite(t, giteeReplies(
		"POST "+giteeRepo+"/hooks", canned{status: 201, body: giteeHookReply}))
	s.replies["PATCH "+giteeRepo+"/hooks/11"] = canned{body: giteeHookReply}
	bodies := s.recordBodies()
	hooks, cred := s.hooks(Gitee)
	want := wantedHook()
	want.Tag = false
	made, err := hooks.CreateWebhook(t.Context(), cred, "7/acme/web", want)
	testkit.Want(t, "creating it", err, nil)
	testkit.WantEqual(t, "the webhook", made, Webhook{
		ID: "11", URL: hookURL, Push: true, Tag: true, Merge: true, Active: true,
	})
	_, err = hooks.RepairWebhook(t.Context(), cred, "7/acme/web", "11", want)
	testkit.Want(t, "repairing it", err, nil)
	var sent map[string]any
	if err := json.Unmarshal([]byte(bodies["PATCH "+giteeRepo+"/hooks/11"]), &sent); err != nil {
		t.Fatal(err)
	}
	testkit.WantEqual(t, "what is sent", sent, map[string]any{
		"url": hookURL, "encryption_type": float64(1), "password": hookSecret,
		"push_events": true, "tag_push_events": false, "merge_requests_events": true,
		"issues_events": false, "note_events": false,
	})
}

func TestGiteesRefusalsOfAWebhook(t *testing.T) {
	for _, tt := range []struct {
		key    string
		reply  canned
		code   problem.Code
		reason string
	}{
		{
			"POST ",
			canned{status: 404, body: `{"message":"Not Found"}`},
			problem.WebhooksForbidden, "role",
		},
		{
			"POST ",
			canned{status: 403, body: `{"message":"Forbidden"}`},
			problem.WebhooksForbidden, "role",
		},
		{
			"POST ",
			canned{status: 403, body: `{"message":"403 Forbidden: insufficient scope"}`},
			problem.WebhooksForbidden, "scope",
		},
		{
			"POST ",
			canned{status: 403, body: `{"error":"x","by":"proxy"}`},
			problem.PlatformError, "",
		},
		{"PATCH ", canned{status: 404, body: `{"message":"Not Found"}`}, problem.WebhookLost, ""},
		{"DELETE ", canned{status: 404, body: `{"message":"Not Found"}`}, "", ""},
		{"DELETE ", canned{status: 204}, "", ""},
		{"DELETE ", canned{status: 502, kind: "text/html", body: `<html>`}, problem.PlatformError, ""},
	} {
		path := giteeRepo + "/hooks"
		if tt.key != "POST " {
			path += "/11"
		}
		s := newTokenSite(t, giteeReplies(tt.key+path, tt.reply))
		hooks, cred := s.hooks(Gitee)
		var err error
		switch tt.key {
		case "POST ":
			_, err = hooks.CreateWebhook(t.Context(), cred, "7/acme/web", wantedHook())
		case "PATCH ":
			_, err = hooks.RepairWebhook(t.Context(), cred, "7/acme/web", "11", wantedHook())
		default:
			err = hooks.DeleteWebhook(t.Context(), cred, "7/acme/web", "11")
		}
		if tt.code == "" {
			testkit.Want(t, tt.key+tt.reply.body, err, nil)
			continue
		}
		testkit.WantProblem(t, tt.key+tt.reply.body, err, tt.code, tt.reason)
		if tt.reason == "scope" {
			testkit.Want(t, "what is missing", problem.Of(err).Params["missing"], "hook")
		}
	}
}

func TestAGiteesWebhookIsFoundUnderTheRepositorysNewName(t *testing.T) {
	s := newTokenSite(t, map[string]canned{
		giteeRepo:                      {body: `{"id":8,"full_name":"acme/web"}`},
		"/api/v5/user/repos":           {body: `[{"id":7,"full_name":"acme/new"}]`},
		"/api/v5/repos/acme/new/hooks": {body: "[" + giteeHookReply + "]"},
		"POST /api/v5/repos/acme/new/hooks/11/tests": {status: 204},
	})
	hooks, cred := s.hooks(Gitee)
	got, found, err := hooks.FindWebhook(t.Context(), cred, "7/acme/web", "", hookURL)
	if err != nil || !found || got.ID != "11" {
		t.Fatalf("got %+v, %v, %v", got, found, err)
	}
	testkit.Want(t, "a test", hooks.TestWebhook(t.Context(), cred, "7/acme/web", "11"), nil)
	_, err = hooks.CreateWebhook(t.Context(), cred, "9/acme/web", wantedHook())
	testkit.WantCode(t, "a repository that is gone", err, problem.RepositoryUnknown)
	if slices.Contains(s.paths(), "POST "+giteeRepo+"/hooks") {
		t.Error("a stranger's repository gets a webhook")
	}
}

func TestGiteesPullRequests(t *testing.T) {
	const path = giteeRepo + "/pulls/3"
	reply := func(state, merge string) canned {
		return canned{body: `{"number":3,"title":"Fix","state":"` + state + `",
			"html_url":"https://evil.example/acme/web/pulls/3","merge_commit_sha":` + merge + `,
			"head":{"ref":"fix","sha":"` + oldHash + `"},"base":{"ref":"main","sha":"x"}}`}
	}
	for _, tt := range []struct {
		reply          canned
		action, commit string
	}{
		{reply("open", `"`+newHash+`"`), "updated", oldHash},
		{reply("closed", "null"), "closed", oldHash},
		{reply("merged", `"`+newHash+`"`), "merged", newHash},
		{reply("merged", "null"), "merged", ""},
	} {
		s := newTokenSite(t, giteeReplies(path, tt.reply))
		hooks, cred := s.hooks(Gitee)
		got, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7/acme/web", "3")
		testkit.Want(t, "an error", err, nil)
		testkit.WantEqual(t, "the request", got, Change{
			Ref: "refs/heads/main", Commit: tt.commit, Merge: &MergeRequest{
				Number: "3", Title: "Fix", Source: "fix", Action: tt.action,
				URL: s.URL + "/acme/web/pulls/3",
			},
		})
	}
	for body, want := range map[string]problem.Code{
		`{"message":"Not Found"}`:     problem.RefUnknown,
		`{"message":"scope missing"}`: problem.WebhooksForbidden,
	} {
		status := 403
		if strings.Contains(body, "Found") {
			status = 404
		}
		s := newTokenSite(t, giteeReplies(path, canned{status: status, body: body}))
		hooks, cred := s.hooks(Gitee)
		_, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7/acme/web", "3")
		testkit.WantCode(t, body, err, want)
	}
}
