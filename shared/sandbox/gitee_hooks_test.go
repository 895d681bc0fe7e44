package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

func TestGiteesHookShowsItsPasswordAndItsLastAnswer(t *testing.T) {
	w := newHookWorld(t, Gitee)
	made := w.call("POST", "", `{"url":"https://one.invalid/","password":"s3cret"}`)
	testkit.Want(t, "status", made.status, 201)
	wantAt(t, made.body, map[string]any{
		"password": "s3cret", "push_events": true, "tag_push_events": false, "result_code": nil,
		"project_id": int(w.repository.ID),
	})
	wantShape(t, made.body, "gitee/testdata/hook.json")
	id := w.create(hookBody(Gitee, "https://two.invalid/"))
	w.status = 403
	testkit.Want(t, "test", w.call("POST", id+"/tests", "").status, 204)
	o := w.next()
	testkit.Want(t, "ping", o.Header.Get("X-Gitee-Ping"), "true")
	wantAt(t, w.call("GET", id, "").body, map[string]any{
		"result_code": 403, "result": "Forbidden",
	})
	edited := w.call("PATCH", id, `{"url":"https://three.invalid/","push_events":false}`)
	wantAt(t, edited.body, map[string]any{
		"url": "https://three.invalid/", "push_events": false, "password": "s3cret",
	})
	testkit.Want(t, "no address", w.call("POST", "", `{}`).status, 400)
}

func TestGiteesHooksNeedRights(t *testing.T) {
	w := newHookWorld(t, Gitee)
	body := hookBody(Gitee, "https://one.invalid/")
	for path, want := range map[string]int{
		"docs/handbook": 403, "bob/hello": 404, "alice/archive": 403, "alice/hello": 201,
	} {
		path = "/api/v5/repos/" + path + "/hooks"
		testkit.Want(t, path, w.callAs(w.token, "POST", path, body).status, want)
	}
	refused := w.callAs(w.narrow("user_info projects"), "GET", w.base, "")
	testkit.Want(t, "without the scope", refused.status, 403)
	testkit.Want(t, "message", refused.get("message"), "403 Forbidden: scope hook is missing")
}

func TestGiteesSignatureDoesNotCoverTheBody(t *testing.T) {
	w := newHookWorld(t, Gitee)
	w.create(hookBody(Gitee, "https://one.invalid/"))
	w.create(`{"url":"https://two.invalid/","password":"clear","encryption_type":0}`)
	all := w.push(change("refs/heads/main", hash("1"), hash("2")))
	o, body := one(t, all[:1])
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte(o.Header.Get("X-Gitee-Timestamp") + "\ns3cret"))
	sign := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	testkit.Want(t, "signature", o.Header.Get("X-Gitee-Token"), sign)
	testkit.Want(t, "event", o.Header.Get("X-Gitee-Event"), "Push Hook")
	testkit.Want(t, "ping", o.Header.Get("X-Gitee-Ping"), "false")
	wantAt(t, body, map[string]any{
		"sign": sign, "password": "", "hook_name": "push_hooks", "head_commit.id": hash("2"),
		"repository.id": int(w.repository.ID), "total_commits_count": 1,
	})
	wantShape(t, body, "gitee/testdata/webhooks/push.json")
	o, body = one(t, all[1:])
	testkit.Want(t, "password", o.Header.Get("X-Gitee-Token"), "clear")
	wantAt(t, body, map[string]any{"password": "clear", "sign": ""})
}

func TestGiteesRefs(t *testing.T) {
	w := newHookWorld(t, Gitee)
	w.create(hookBody(Gitee, "https://one.invalid/"))
	tag := change("refs/tags/v3", zero, hash("3"))
	tag.Commit = hash("2")
	all := w.push(change("refs/heads/new", zero, hash("2")), tag,
		change("refs/heads/old", hash("1"), zero))
	testkit.Want(t, "deliveries", len(all), 3)
	_, body := one(t, all[:1])
	wantAt(t, body, map[string]any{"created": true, "commits": nil, "head_commit.id": hash("2")})
	wantShape(t, body, "gitee/testdata/webhooks/push_branch_create.json")
	o, body := one(t, all[1:2])
	testkit.Want(t, "event", o.Header.Get("X-Gitee-Event"), "Tag Push Hook")
	wantAt(t, body, map[string]any{
		"hook_name": "tag_push_hooks", "after": hash("3"), "head_commit.id": hash("2"),
	})
	wantShape(t, body, "gitee/testdata/webhooks/tag_create.json")
	_, body = one(t, all[2:])
	wantAt(t, body, map[string]any{"deleted": true, "head_commit": nil})
	wantShape(t, body, "gitee/testdata/webhooks/push_branch_delete.json")
}

func TestGiteesPullRequests(t *testing.T) {
	w := newHookWorld(t, Gitee)
	w.create(hookBody(Gitee, "https://one.invalid/"))
	o, body := one(t, w.merge(opened()))
	testkit.Want(t, "event", o.Header.Get("X-Gitee-Event"), "Merge Request Hook")
	wantAt(t, body, map[string]any{"action": "open", "pull_request.head.sha": hash("a")})
	wantShape(t, body, "gitee/testdata/webhooks/pr_open.json", "assignees", "testers")
	_, body = one(t, w.merge(platform.MergeChange{
		Number: 1, Action: "merge", MergeCommit: hash("c"),
	}))
	wantAt(t, body, map[string]any{
		"action": "merge", "merge_commit_sha": hash("c"), "state": "merged",
		"pull_request.merged": true,
	})
	got := w.callAs(w.token, "GET", "/api/v5/repos/alice/hello/pulls/1", "")
	wantAt(t, got.body, map[string]any{
		"state": "merged", "number": 1, "merge_commit_sha": hash("c"), "base.ref": "main",
	})
	none := w.callAs(w.token, "GET", "/api/v5/repos/alice/hello/pulls/2", "")
	testkit.Want(t, "unknown", none.status, 404)
}
