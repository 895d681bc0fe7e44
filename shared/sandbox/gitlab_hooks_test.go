package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox/gitlab"
	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

// signingKey is the key of a webhook of GitLab's.
var signingKey = []byte(strings.Repeat("k", 32))

func signingToken() string { return "whsec_" + base64.StdEncoding.EncodeToString(signingKey) }

func TestGitLabsHookSendsPushesUnlessToldNotTo(t *testing.T) {
	w := newHookWorld(t, GitLab)
	made := w.call("POST", "", `{"url":"https://one.invalid/","token":"s3cret"}`)
	testkit.Want(t, "status", made.status, http.StatusCreated)
	wantAt(t, made.body, map[string]any{
		"push_events": true, "tag_push_events": false, "token_present": true, "token": nil,
		"signing_token_present": false, "alert_status": "executable", "disabled_until": nil,
		"project_id": int(w.repository.ID),
	})
	form := w.request("POST", w.base, "url=https://two.invalid/&push_events=false")
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	form.Header.Set("Private-Token", w.token)
	wantAt(t, w.send(form).body, map[string]any{"push_events": false, "token_present": false})
}

func TestGitLabsHookLosesItsTokensWithItsAddress(t *testing.T) {
	w := newHookWorld(t, GitLab)
	id := w.create(`{"url":"https://one.invalid/","token":"t","signing_token":"` +
		signingToken() + `"}`)
	kept := w.call("PUT", id, `{"url":"https://one.invalid/","push_events":false}`)
	wantAt(t, kept.body, map[string]any{
		"push_events": false, "token_present": true, "signing_token_present": true,
	})
	moved := w.call("PUT", id, `{"url":"https://two.invalid/"}`)
	wantAt(t, moved.body, map[string]any{"token_present": false, "signing_token_present": false})
	again := w.call("PUT", id, `{"url":"https://one.invalid/","token":"t"}`)
	wantAt(t, again.body, map[string]any{"token_present": true})
	testkit.Want(t, "unknown", w.call("GET", "/99", "").get("message"), "404 Not found")
	for body, want := range map[string]int{
		`{}`: 400, `{"url":"ftp://one.invalid"}`: 422, `[]`: 400,
		`{"url":"https://one.invalid/","signing_token":"whsec_short"}`: 422,
	} {
		testkit.Want(t, body, w.call("PUT", id, body).status, want)
	}
}

func TestGitLabsHooksNeedAMaintainerAndTheScope(t *testing.T) {
	w := newHookWorld(t, GitLab)
	body := hookBody(GitLab, "https://one.invalid/")
	for path, want := range map[string]int{
		"alice%2Fhello": 201, "docs%2Fhandbook": 403, "bob%2Fhello": 404, "alice%2Farchive": 403,
	} {
		path = "/api/v4/projects/" + path + "/hooks"
		testkit.Want(t, path, w.callAs(w.token, "POST", path, body).status, want)
	}
	refused := w.callAs("glpat-sandbox-alice-readonly", "POST", w.base, body)
	testkit.Want(t, "read_api", refused.status, 403)
	testkit.Want(t, "error", refused.get("error"), "insufficient_scope")
	testkit.Want(t, "reading",
		w.callAs("glpat-sandbox-alice-readonly", "GET", w.base, "").status, 200)
}

func TestAProjectOfGitLabHas100Hooks(t *testing.T) {
	w := newHookWorld(t, GitLab)
	for i := range 100 {
		w.create(hookBody(GitLab, fmt.Sprintf("https://%d.invalid/", i)))
	}
	full := w.call("POST", "", hookBody(GitLab, "https://100.invalid/"))
	testkit.Want(t, "the 101st", full.status, 422)
	wantAt(t, full.body, map[string]any{
		"message.base.0": "Maximum number of project hooks (100) exceeded",
	})
}

func TestGitLabSignsSinceVersion19(t *testing.T) {
	w := newHookWorld(t, GitLab)
	body := `{"url":"https://one.invalid/","token":"t","signing_token":"` + signingToken() + `"}`
	w.create(body)
	o, _ := one(t, w.push(change("refs/heads/main", hash("1"), hash("2"))))
	id, at := o.Header.Get("Webhook-Id"), o.Header.Get("Webhook-Timestamp")
	mac := hmac.New(sha256.New, signingKey)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, o.Body)
	testkit.Want(t, "signature", o.Header.Get("Webhook-Signature"),
		"v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	testkit.Want(t, "id", o.Header.Get("Idempotency-Key"), id)
	testkit.Want(t, "token", o.Header.Get("X-Gitlab-Token"), "t")

	w = newHookWorld(t, GitLab)
	w.SetSwitch(GitLab, gitlab.BeforeSigning, true)
	made := w.call("POST", "", body)
	_, told := made.body["signing_token_present"]
	testkit.Want(t, "18.11: status", made.status, 201)
	testkit.Want(t, "18.11: told", told, false)
	w.SetSwitch(GitLab, gitlab.BeforeSigning, false)
	o, _ = one(t, w.push(change("refs/heads/main", hash("1"), hash("2"))))
	testkit.Want(t, "unsigned", o.Header.Get("Webhook-Signature"), "")
}

func TestGitLabsPushes(t *testing.T) {
	w := newHookWorld(t, GitLab)
	w.create(hookBody(GitLab, "https://one.invalid/"))
	main := change("refs/heads/main", hash("1"), hash("2"))
	for range 30 {
		main.Commits = append(main.Commits, main.Commits[0])
	}
	tag := change("refs/tags/v3", zero, hash("3"))
	tag.Commit = hash("2")
	all := w.push(main, tag)
	o, body := one(t, all[:1])
	testkit.Want(t, "event", o.Header.Get("X-Gitlab-Event"), "Push Hook")
	wantAt(t, body, map[string]any{
		"object_kind": "push", "checkout_sha": hash("2"), "total_commits_count": 31,
		"project.path_with_namespace": "alice/hello", "commits.20": nil, "ref_protected": true,
	})
	wantShape(t, body, "gitlab/testdata/webhooks/push.json")
	o, body = one(t, all[1:])
	testkit.Want(t, "event", o.Header.Get("X-Gitlab-Event"), "Tag Push Hook")
	wantAt(t, body, map[string]any{"after": hash("3"), "checkout_sha": hash("2")})
	wantShape(t, body, "gitlab/testdata/webhooks/tag_create.json")
	_, body = one(t, w.push(change("refs/heads/main", hash("1"), zero)))
	wantAt(t, body, map[string]any{"after": zero, "checkout_sha": nil})

	var branches []platform.RefChange
	for i := range 4 {
		branches = append(branches, change(fmt.Sprintf("refs/heads/%d", i), zero, hash("2")))
	}
	testkit.Want(t, "three branches", len(w.push(branches[:3]...)), 3)
	testkit.Want(t, "four branches and a tag", len(w.push(append(branches, tag)...)), 1)
}

func TestGitLabDisablesAFailingHookUntilATestIsAnswered(t *testing.T) {
	w := newHookWorld(t, GitLab)
	id := w.create(hookBody(GitLab, "https://one.invalid/"))
	main := change("refs/heads/main", hash("1"), hash("2"))
	fail := func(times int) {
		for range times {
			w.Delivered("alice/hello", id[1:], 500)
		}
	}
	status := func() string { return w.call("GET", id, "").get("alert_status") }
	fail(3)
	testkit.Want(t, "after three", status(), "executable")
	fail(1)
	testkit.Want(t, "after four", status(), "temporarily_disabled")
	testkit.Want(t, "deliveries", len(w.push(main)), 0)
	w.call("PUT", id, hookBody(GitLab, "https://one.invalid/"))
	testkit.Want(t, "after an edit", status(), "temporarily_disabled")
	w.clock.Advance(time.Minute)
	testkit.Want(t, "a minute later", status(), "executable")
	testkit.Want(t, "deliveries", len(w.push(main)), 1)
	fail(1)
	w.clock.Advance(time.Minute)
	testkit.Want(t, "the pause grows", status(), "temporarily_disabled")
	fail(35)
	w.clock.Advance(1000 * time.Hour)
	testkit.Want(t, "after forty", status(), "disabled")
	testkit.Want(t, "deliveries", len(w.push(main)), 0)

	w.status = 500
	testkit.Want(t, "a failed test", w.call("POST", id+"/test/push_events", "").status, 422)
	testkit.Want(t, "still", status(), "disabled")
	w.status = 200
	tested := w.call("POST", id+"/test/push_events", "")
	testkit.Want(t, "a test", tested.status, 201)
	testkit.Want(t, "message", tested.get("message"), "201 Created")
	testkit.Want(t, "revived", status(), "executable")
}

func TestGitLabTakesFiveTestsAMinute(t *testing.T) {
	w := newHookWorld(t, GitLab)
	id := w.create(hookBody(GitLab, "https://one.invalid/"))
	for trigger, want := range map[string]int{
		"/test/push_events": 201, "/test/tag_push_events": 201, "/test/merge_requests_events": 422,
		"/test/nothing": 400,
	} {
		testkit.Want(t, trigger, w.call("POST", id+trigger, "").status, want)
	}
	for _, want := range []int{201, 201, 429} {
		testkit.Want(t, "more", w.call("POST", id+"/test/push_events", "").status, want)
	}
	w.clock.Advance(time.Minute)
	w.merge(opened())
	testkit.Want(t, "a minute later",
		w.call("POST", id+"/test/merge_requests_events", "").status, 201)
}

func TestGitLabsMergeRequests(t *testing.T) {
	w := newHookWorld(t, GitLab)
	w.create(hookBody(GitLab, "https://one.invalid/"))
	o, body := one(t, w.merge(opened()))
	testkit.Want(t, "event", o.Header.Get("X-Gitlab-Event"), "Merge Request Hook")
	wantAt(t, body, map[string]any{
		"object_attributes.action": "open", "object_attributes.iid": 1,
		"object_attributes.last_commit.id": hash("a"), "object_attributes.oldrev": nil,
	})
	_, body = one(t, w.merge(platform.MergeChange{Number: 1, Action: "update", Head: hash("b")}))
	wantAt(t, body, map[string]any{"object_attributes.oldrev": hash("a")})
	_, body = one(t, w.merge(platform.MergeChange{
		Number: 1, Action: "merge", MergeCommit: hash("c"),
	}))
	wantAt(t, body, map[string]any{
		"object_attributes.state": "merged", "object_attributes.merge_commit_sha": hash("c"),
	})
	got := w.callAs(w.token, "GET", "/api/v4/projects/alice%2Fhello/merge_requests/1", "")
	wantAt(t, got.body, map[string]any{
		"state": "merged", "iid": 1, "merge_commit_sha": hash("c"), "sha": hash("b"),
		"source_branch": "feature/a", "target_branch": "main",
	})
	none := w.callAs(w.token, "GET", "/api/v4/projects/alice%2Fhello/merge_requests/2", "")
	testkit.Want(t, "unknown", none.status, 404)
}
