package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"bindery/shared/sandbox/platform"
	"bindery/shared/testkit"
)

func TestBitbucketsHookKeepsItsSecretUntilItIsCleared(t *testing.T) {
	w := newHookWorld(t, Bitbucket)
	made := w.call("POST", "", hookBody(Bitbucket, "https://one.invalid/"))
	testkit.Want(t, "status", made.status, 201)
	wantAt(t, made.body, map[string]any{
		"active": true, "secret_set": true, "secret": nil, "subject.full_name": "alice/hello",
	})
	wantShape(t, made.body, "bitbucket/testdata/hook.json", "links")
	id := w.create(hookBody(Bitbucket, "https://two.invalid/"))
	for _, c := range []struct {
		fields string
		set    bool
	}{
		{`"active":false`, true},
		{`"secret":null`, false},
		{`"secret":"new"`, true},
		{`"secret":""`, false},
	} {
		edited := w.call("PUT", id, `{"url":"https://two.invalid/","description":"d",`+
			`"events":["repo:push"],`+c.fields+`}`)
		testkit.Want(t, c.fields, edited.status, 200)
		wantAt(t, edited.body, map[string]any{"secret_set": c.set, "active": false})
	}
	for _, body := range []string{
		`{"events":["repo:push"]}`, `{"url":"https://x.invalid/","events":[]}`, `nonsense`,
		`{"url":"https://x.invalid/","events":["repo:nothing"]}`,
	} {
		testkit.Want(t, body, w.call("POST", "", body).status, 400)
	}
}

func TestBitbucketsHooksNeedRights(t *testing.T) {
	w := newHookWorld(t, Bitbucket)
	body := hookBody(Bitbucket, "https://one.invalid/")
	for path, want := range map[string]int{
		"docs/handbook": 403, "bob/hello": 404, "alice/hello": 201,
		fmt.Sprintf("alice/{%08x-0000-4000-8000-5a4d0b0c0001}", w.repository.ID): 201,
	} {
		path = "/2.0/repositories/" + path + "/hooks"
		testkit.Want(t, path, w.callAs(w.token, "POST", path, body).status, want)
	}
	merges := strings.Replace(body, "repo:push", "pullrequest:created", 1)
	testkit.Want(t, "pull requests", w.call("POST", "", merges).status, 201)
	app := w.Apps()[Bitbucket]
	app.Scopes = []string{"account", "repository", "webhook"}
	w.AddApp(Bitbucket, app)
	refused := w.callAs(w.bind(Bitbucket).get("access_token"), "POST", w.base, merges)
	testkit.Want(t, "pull requests without the scope", refused.status, 403)
	wantAt(t, refused.body, map[string]any{"error.detail.required.0": "pullrequest"})
	app.Scopes = []string{"account", "repository"}
	w.AddApp(Bitbucket, app)
	refused = w.callAs(w.bind(Bitbucket).get("access_token"), "GET", w.base, "")
	testkit.Want(t, "without webhook", refused.status, 403)
	wantAt(t, refused.body, map[string]any{"error.detail.required.0": "webhook"})
}

func TestARepositoryOfBitbucketHas50Hooks(t *testing.T) {
	w := newHookWorld(t, Bitbucket)
	for range 50 {
		w.create(hookBody(Bitbucket, "https://one.invalid/"))
	}
	testkit.Want(t, "the 51st",
		w.call("POST", "", hookBody(Bitbucket, "https://one.invalid/")).status, 400)
}

func TestBitbucketPutsAllRefsIntoOneDelivery(t *testing.T) {
	w := newHookWorld(t, Bitbucket)
	id := w.create(hookBody(Bitbucket, "https://one.invalid/"))
	main := change("refs/heads/main", hash("1"), hash("2"))
	for range 5 {
		main.Commits = append(main.Commits, main.Commits[0])
	}
	tag := change("refs/tags/v3", zero, hash("3"))
	tag.Commit = hash("2")
	moved := change("refs/tags/v2", hash("4"), hash("5"))
	moved.Commit, moved.BeforeCommit = hash("2"), hash("1")
	gone := change("refs/heads/old", hash("1"), zero)
	o, body := one(t, w.push(main, tag, gone, moved))
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(o.Body)
	testkit.Want(t, "signature", o.Header.Get("X-Hub-Signature"),
		fmt.Sprintf("sha256=%x", mac.Sum(nil)))
	testkit.Want(t, "event", o.Header.Get("X-Event-Key"), "repo:push")
	testkit.Want(t, "attempt", o.Header.Get("X-Attempt-Number"), "1")
	testkit.Want(t, "retries", o.Retries, 2)
	testkit.Want(t, "webhook", strings.Contains(id, o.Header.Get("X-Hook-Uuid")), true)
	wantAt(t, body, map[string]any{
		"push.changes.0.new.target.hash": hash("2"), "push.changes.0.old.target.hash": hash("1"),
		"push.changes.0.truncated": true, "push.changes.0.commits.5": nil,
		"push.changes.1.new.type": "tag", "push.changes.1.new.target.hash": hash("2"),
		"push.changes.1.old": nil, "push.changes.1.created": true,
		"push.changes.2.new": nil, "push.changes.2.closed": true,
		"push.changes.3.old.target.hash": hash("1"), "actor.nickname": "alice",
	})
	left := []string{
		"username", "user", "account_id", "avatar", "diff", "commits", "self", "approve",
		"comments", "patch", "statuses", "parents",
	}
	wantShape(t, body, "bitbucket/testdata/webhooks/push.json", left...)
	main.Commits[0].Message = strings.Repeat("x", 256<<10)
	main.Commits = main.Commits[:1]
	testkit.Want(t, "more than 256 KB", len(w.push(main)), 0)
	w.call("PUT", id, `{"url":"https://one.invalid/","active":false,"events":["repo:push"]}`)
	testkit.Want(t, "inactive", len(w.push(gone)), 0)
}

func TestBitbucketsPullRequestsHaveShortHashes(t *testing.T) {
	w := newHookWorld(t, Bitbucket)
	w.create(`{"url":"https://one.invalid/","active":true,"events":["pullrequest:created",` +
		`"pullrequest:fulfilled"]}`)
	o, body := one(t, w.merge(opened()))
	testkit.Want(t, "event", o.Header.Get("X-Event-Key"), "pullrequest:created")
	testkit.Want(t, "signature", o.Header.Get("X-Hub-Signature"), "")
	wantAt(t, body, map[string]any{
		"pullrequest.source.commit.hash": "aaaaaaaaaaaa", "pullrequest.state": "OPEN",
		"pullrequest.id": 1, "pullrequest.destination.branch.name": "main",
	})
	update := platform.MergeChange{Number: 1, Action: "update", Head: hash("b")}
	testkit.Want(t, "not subscribed", len(w.merge(update)), 0)
	_, body = one(t, w.merge(platform.MergeChange{
		Number: 1, Action: "merge", MergeCommit: hash("c"),
	}))
	wantAt(t, body, map[string]any{
		"pullrequest.merge_commit.hash": "cccccccccccc", "pullrequest.state": "MERGED",
	})
	wantShape(t, body, "bitbucket/testdata/webhooks/pr_fulfilled.json",
		"username", "links")
}
