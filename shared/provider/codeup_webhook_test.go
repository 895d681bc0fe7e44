package provider

import (
	"encoding/json"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

const codeupHooks = codeupPath + "/7/webhooks"

// codeupHookReply returns a webhook in two spellings of the vendor's examples.
func codeupHookReply(ssl, merge string) string {
	return `{"id":11,"url":"` + hookURL + `","token":"` + hookSecret + `","pushEvents":true,
		"tagPushEvents":"true","` + ssl + `":true,"` + merge + `":true,"createdAt":"x"}`
}

func TestCodeupsWebhooks(t *testing.T) {
	reply := codeupHookReply("enableSSLVerification", "mergeRequestEvents")
	other := codeupHookReply("enableSslVerification", "mergeRequestsEvents")
	missing := canned{status: 404, body: `{"errorCode":"NotFound","errorMessage":"x"}`}
	s := newTokenSite(t, map[string]canned{
		codeupHooks:                     {body: "[" + reply + "]"},
		"POST " + codeupHooks:           {body: reply},
		"PUT " + codeupHooks + "/11":    {body: other},
		"DELETE " + codeupHooks + "/11": {body: `{"result":true}`},
		"PUT " + codeupHooks + "/12":    missing,
		"DELETE " + codeupHooks + "/12": missing,
	})
	bodies := s.recordBodies()
	hooks, cred := s.hooks(Codeup)
	whole := Webhook{ID: "11", URL: hookURL, Push: true, Tag: true, Merge: true, Active: true}
	want := wantedHook()
	want.Merge = false
	made, err := hooks.CreateWebhook(t.Context(), cred, "7", want)
	testkit.Want(t, "creating it", err, nil)
	testkit.WantEqual(t, "the new webhook", made, whole)
	made, err = hooks.RepairWebhook(t.Context(), cred, "7", "11", want)
	testkit.Want(t, "repairing it", err, nil)
	testkit.WantEqual(t, "the repaired webhook", made, whole)
	var sent map[string]any
	if err := json.Unmarshal([]byte(bodies["PUT "+codeupHooks+"/11"]), &sent); err != nil {
		t.Fatal(err)
	}
	testkit.WantEqual(t, "what is sent", sent, map[string]any{
		"url": hookURL, "token": hookSecret, "description": "Bindery",
		"enableSslVerification": true, "pushEvents": true, "tagPushEvents": true,
		"mergeRequestsEvents": false, "noteEvents": false,
	})
	for id, url := range map[string]string{"11": "", "": hookURL, "99": hookURL} {
		got, found, err := hooks.FindWebhook(t.Context(), cred, "7", id, url)
		testkit.WantEqual(t, "found by "+id+" "+url,
			[]any{got, found, err}, []any{whole, true, error(nil)})
	}
	_, found, err := hooks.FindWebhook(t.Context(), cred, "7", "99", hookURL+"0")
	testkit.WantEqual(t, "another's", []any{found, err}, []any{false, error(nil)})
	for _, id := range []string{"11", "12", "../1", ""} {
		testkit.Want(t, "deleting "+id, hooks.DeleteWebhook(t.Context(), cred, "7", id), nil)
	}
	for _, id := range []string{"12", "../1", ""} {
		_, err := hooks.RepairWebhook(t.Context(), cred, "7", id, want)
		testkit.WantCode(t, "repairing "+id, err, problem.WebhookLost)
	}
	testkit.Want(t, "a test", hooks.TestWebhook(t.Context(), cred, "7", "11"), ErrNoTest)
}

func TestAWebhookOfCodeupThatAUserHasChanged(t *testing.T) {
	for change, want := range map[string]Webhook{
		`"token":""`:                    {SecretMissing: true},
		`"token":null`:                  {},
		`"enableSSLVerification":false`: {Altered: true},
		`"enableSslVerification":false`: {Altered: true},
	} {
		s := newTokenSite(t, map[string]canned{codeupHooks: {
			body: `[{"id":11,"url":"` + hookURL + `","pushEvents":true,` + change + `}]`,
		}})
		hooks, cred := s.hooks(Codeup)
		got, _, err := hooks.FindWebhook(t.Context(), cred, "7", "11", "")
		testkit.Want(t, "an error", err, nil)
		want.ID, want.URL, want.Push, want.Active = "11", hookURL, true, true
		testkit.WantEqual(t, change, got, want)
	}
}

func TestARefusalOfCodeupsWebhooksSaysWhatIsMissing(t *testing.T) {
	for access, want := range map[string]string{"40": "scope", "30": "role", `""`: "scope"} {
		s := newTokenSite(t, map[string]canned{
			"POST " + codeupHooks: forbidden, codeupHooks: forbidden,
			codeupPath + "/7": {body: `{"id":7,"accessLevel":` + access + `}`},
		})
		hooks, cred := s.hooks(Codeup)
		_, err := hooks.CreateWebhook(t.Context(), cred, "7", wantedHook())
		testkit.WantProblem(t, "creating with access "+access, err, problem.WebhooksForbidden, want)
		_, _, err = hooks.FindWebhook(t.Context(), cred, "7", "", hookURL)
		testkit.WantProblem(t, "finding with access "+access, err, problem.WebhooksForbidden, want)
		if want == "scope" {
			testkit.Want(t, "what is missing", problem.Of(err).Params["missing"], "Webhook：读写")
		}
	}
	s := newTokenSite(t, map[string]canned{
		"POST " + codeupHooks: {status: 404, body: `{"errorCode":"NotFound","errorMessage":"x"}`},
	})
	hooks, cred := s.hooks(Codeup)
	_, err := hooks.CreateWebhook(t.Context(), cred, "7", wantedHook())
	testkit.WantCode(t, "an unknown repository", err, problem.RepositoryUnknown)
}

func TestCodeupsMergeRequests(t *testing.T) {
	const path = codeupPath + "/7/changeRequests/3"
	for status, want := range map[string]struct{ action, commit string }{
		"UNDER_DEV": {"updated", oldHash}, "UNDER_REVIEW": {"updated", oldHash},
		"TO_BE_MERGED": {"updated", oldHash}, "CLOSED": {"closed", oldHash},
		"MERGED": {"merged", newHash},
	} {
		s := newTokenSite(t, map[string]canned{path: {body: `{"localId":3,"title":"修复",
			"status":"` + status + `","sourceBranch":"fix","targetBranch":"main",
			"sourceCommitId":"` + oldHash + `","mergedRevision":"` + newHash + `",
			"detailUrl":"https://evil.example/o1/web/change/3"}`}})
		hooks, cred := s.hooks(Codeup)
		got, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7", "3")
		testkit.Want(t, "an error", err, nil)
		testkit.WantEqual(t, status, got, Change{
			Ref: "refs/heads/main", Commit: want.commit, Merge: &MergeRequest{
				Number: "3", Title: "修复", Source: "fix", Action: want.action,
				URL: s.URL + "/o1/web/change/3",
			},
		})
	}
	s := newTokenSite(t, map[string]canned{path: forbidden})
	hooks, cred := s.hooks(Codeup)
	_, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7", "3")
	testkit.WantProblem(t, "without the permission", err, problem.WebhooksForbidden, "scope")
	testkit.Want(t, "what is missing", problem.Of(err).Params["missing"], "合并请求：只读")
	_, err = hooks.(MergePlatform).MergeRequest(t.Context(), cred, "7", "4")
	testkit.WantCode(t, "an unknown one", err, problem.RefUnknown)
}
