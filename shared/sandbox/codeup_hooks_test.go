package sandbox

import (
	"encoding/json"
	"testing"

	"bindery/shared/sandbox/codeup"
	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

const codeupRepositories = "/oapi/v1/codeup/organizations/sandbox-org-main/repositories"

func TestCodeupsRepliesSpellHooksInTwoWays(t *testing.T) {
	w := newHookWorld(t, Codeup)
	id := w.create(hookBody(Codeup, "https://one.invalid/"))
	wantAt(t, w.call("GET", id, "").body, map[string]any{
		"token": "s3cret", "mergeRequestsEvents": true, "mergeRequestEvents": nil,
		"enableSSLVerification": true, "enableSslVerification": nil,
	})
	var list []any
	if err := json.Unmarshal([]byte(w.call("GET", "", "").text), &list); err != nil {
		t.Fatal(err)
	}
	wantAt(t, list, map[string]any{"0.mergeRequestEvents": true, "0.mergeRequestsEvents": nil})
}

func TestCodeupsHooksNeedRights(t *testing.T) {
	w := newHookWorld(t, Codeup)
	body := hookBody(Codeup, "https://one.invalid/")
	for id, want := range map[string]int{"1001": 200, "1003": 403, "1007": 403, "9999": 404} {
		path := codeupRepositories + "/" + id + "/webhooks"
		testkit.Want(t, id, w.callAs(w.token, "POST", path, body).status, want)
	}
	for token, want := range map[string][2]int{
		"pt-sandbox-bob": {403, 403}, "pt-sandbox-webhooks-read": {403, 200},
	} {
		refused := w.callAs(token, "POST", w.base, body)
		testkit.Want(t, token+": writing", refused.status, want[0])
		testkit.Want(t, token+": code", refused.get("errorCode"), "Forbidden")
		testkit.Want(t, token+": reading", w.callAs(token, "GET", w.base, "").status, want[1])
	}
}

func TestCodeupsDeliveriesHaveATokenThatDoesNotCoverTheBody(t *testing.T) {
	w := newHookWorld(t, Codeup)
	w.create(hookBody(Codeup, "https://one.invalid/"))
	v1, _ := w.repository.Commit("tags/v1.0.0")
	tag := change("refs/tags/v1.0.0", zero, hash("3"))
	tag.Commit, tag.Commits = v1.Hash, nil
	all := w.push(change("refs/heads/main", hash("1"), hash("2")), tag,
		change("refs/heads/old", hash("1"), zero))
	testkit.Want(t, "deliveries", len(all), 3)
	o, body := one(t, all[:1])
	testkit.Want(t, "token", o.Header.Get("X-Codeup-Token"), "s3cret")
	testkit.Want(t, "event", o.Header.Get("X-Codeup-Event"), "Push Hook")
	testkit.Want(t, "id", len(o.Header.Get("X-Codeup-Delivery")), 36)
	wantAt(t, body, map[string]any{
		"object_kind": "push", "project_id": 1001, "checkout_sha": hash("2"),
		"repository.id": nil, "repository.name": "hello", "created": nil, "commits.0.id": hash("2"),
	})
	o, body = one(t, all[1:2])
	testkit.Want(t, "event", o.Header.Get("X-Codeup-Event"), "Tag Push Hook")
	wantAt(t, body, map[string]any{
		"after": hash("3"), "checkout_sha": v1.Hash, "total_commits_count": 2,
		"commits.1.id": v1.Parent,
	})
	_, body = one(t, all[2:])
	wantAt(t, body, map[string]any{"after": zero, "checkout_sha": nil})
	_, body = one(t, w.Deliveries(platform.Push{Repository: w.repository, Test: true}))
	testkit.Want(t, "fields of a test", len(body), 2)
}

func TestCodeupsMergeRequests(t *testing.T) {
	w := newHookWorld(t, Codeup)
	w.create(hookBody(Codeup, "https://one.invalid/"))
	o, body := one(t, w.merge(opened()))
	testkit.Want(t, "event", o.Header.Get("X-Codeup-Event"), "Merge Request Hook")
	wantAt(t, body, map[string]any{
		"object_attributes.action": "open", "object_attributes.iid": 1,
		"object_attributes.last_commit": nil, "object_attributes.target_project_id": 1001,
	})
	_, body = one(t, w.merge(platform.MergeChange{Number: 1, Action: "update", Head: hash("b")}))
	wantAt(t, body, map[string]any{
		"object_attributes.is_update_by_push": true, "object_attributes.last_commit.id": hash("b"),
	})
	_, body = one(t, w.merge(platform.MergeChange{
		Number: 1, Action: "merge", MergeCommit: hash("c"),
	}))
	wantAt(t, body, map[string]any{
		"object_attributes.state": "merged", "object_attributes.merge_commit_sha": nil,
	})
	path := codeupRepositories + "/1001/changeRequests/"
	wantAt(t, w.callAs(w.token, "GET", path+"1", "").body, map[string]any{
		"status": "MERGED", "localId": 1, "mergedRevision": hash("c"), "sourceCommitId": hash("b"),
		"sourceBranch": "feature/a", "targetBranch": "main",
	})
	testkit.Want(t, "unknown", w.callAs(w.token, "GET", path+"2", "").status, 404)
	lacking := w.callAs("pt-sandbox-minimal", "GET", path+"1", "")
	testkit.Want(t, "without the permission", lacking.status, 403)
	testkit.Want(t, "message", lacking.get("errorMessage"),
		"No permission: "+string(codeup.MergeRequests))
}
