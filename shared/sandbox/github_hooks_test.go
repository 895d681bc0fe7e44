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

// hookBody returns a request for a webhook at a platform.
func hookBody(p Platform, address string) string { return fmt.Sprintf(hookBodies()[p], address) }

func TestGitHubsHookIsPingedAndMasksItsSecret(t *testing.T) {
	w := newHookWorld(t, GitHub)
	made := w.call("POST", "", hookBody(GitHub, "https://one.invalid/"))
	wantAt(t, made.body, map[string]any{
		"active": true, "config.secret": "********", "config.insecure_ssl": "0",
		"events.1": "pull_request", "last_response.status": "unused",
	})
	o := w.next()
	testkit.Want(t, "event", o.Header.Get("X-GitHub-Event"), "ping")
	testkit.Want(t, "address", o.URL, "https://one.invalid/")
	testkit.Want(t, "secret", strings.Contains(string(o.Body), "s3cret"), false)
	id := "/" + o.Hook
	testkit.Want(t, "ping", w.call("POST", id+"/pings", "").status, 204)
	testkit.Want(t, "pinged", w.next().Header.Get("X-GitHub-Event"), "ping")
	testkit.Want(t, "test", w.call("POST", id+"/tests", "").status, 204)
	testkit.Want(t, "tested", w.next().Header.Get("X-GitHub-Event"), "push")
	wantAt(t, w.call("GET", id, "").body, map[string]any{"last_response.code": 200})
}

func TestAPatchOfGitHubsConfigDropsTheSecret(t *testing.T) {
	w := newHookWorld(t, GitHub)
	id := w.create(hookBody(GitHub, "https://one.invalid/"))
	partly := w.call("PATCH", id+"/config", `{"url":"https://two.invalid/"}`)
	wantAt(t, partly.body, map[string]any{"url": "https://two.invalid/", "secret": "********"})
	wantAt(t, w.call("PATCH", id, `{"active":false,"add_events":["create"]}`).body, map[string]any{
		"active": false, "config.secret": "********", "events.2": "create",
	})
	wantAt(t, w.call("PATCH", id, `{"config":{"url":"https://three.invalid/"}}`).body,
		map[string]any{"config.secret": nil, "config.content_type": "form"})
	testkit.Want(t, "config", w.call("GET", id+"/config", "").get("url"), "https://three.invalid/")
}

func TestGitHubsLimitsOfHooks(t *testing.T) {
	w := newHookWorld(t, GitHub)
	first := w.create(hookBody(GitHub, "https://0.invalid/"))
	again := w.call("POST", "", hookBody(GitHub, "https://0.invalid/"))
	testkit.Want(t, "the same", again.status, 422)
	wantAt(t, again.body, map[string]any{
		"errors.0.message": "Hook already exists on this repository",
	})
	other := `{"config":{"url":"https://0.invalid/","content_type":"json"},"events":["create"]}`
	testkit.Want(t, "other events", w.call("POST", "", other).status, 201)
	for i := 1; i < 20; i++ {
		w.create(hookBody(GitHub, fmt.Sprintf("https://%d.invalid/", i)))
	}
	full := w.call("POST", "", hookBody(GitHub, "https://20.invalid/"))
	testkit.Want(t, "the 21st", full.status, 422)
	wantAt(t, full.body, map[string]any{
		"errors.0.message": `The "push" event cannot have more than 20 hooks`,
	})
	w.call("DELETE", first, "")
	testkit.Want(t, "after one was deleted",
		w.call("POST", "", hookBody(GitHub, "https://20.invalid/")).status, 201)
	testkit.Want(t, "no address", w.call("POST", "", `{"config":{}}`).status, 422)
}

func TestGitHubsHooksNeedRights(t *testing.T) {
	w := newHookWorld(t, GitHub)
	body := hookBody(GitHub, "https://one.invalid/")
	for path, want := range map[string]int{
		"/repos/docs/handbook/hooks": 404, "/repos/bob/hello/hooks": 404,
		"/repos/alice/archive/hooks":                           403,
		fmt.Sprintf("/repositories/%d/hooks", w.repository.ID): 201,
	} {
		testkit.Want(t, path, w.callAs(w.token, "POST", path, body).status, want)
	}
	for scope, want := range map[string][2]int{
		"admin:repo_hook": {201, 200}, "write:repo_hook": {201, 200}, "read:repo_hook": {404, 200},
		"public_repo": {404, 404}, "user": {404, 404},
	} {
		token := w.narrow(scope)
		body := hookBody(GitHub, "https://"+strings.ReplaceAll(scope, ":", ".")+".invalid/")
		refused := w.callAs(token, "POST", w.base, body)
		testkit.Want(t, scope+": writing", refused.status, want[0])
		testkit.Want(t, scope+": reading", w.callAs(token, "GET", w.base, "").status, want[1])
		testkit.Want(t, scope+": accepted", refused.header.Get("X-Accepted-OAuth-Scopes"),
			"admin:repo_hook, repo, write:repo_hook")
		w.RevokeTokens(GitHub, "alice")
	}
}

func TestGitHubSignsAPushOfEachRef(t *testing.T) {
	w := newHookWorld(t, GitHub)
	w.create(hookBody(GitHub, "https://one.invalid/"))
	all := w.push(change("refs/heads/main", hash("1"), hash("2")),
		change("refs/tags/v3", zero, hash("2")))
	testkit.Want(t, "deliveries", len(all), 2)
	o, body := one(t, all[:1])
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write(o.Body)
	testkit.Want(t, "signature", o.Header.Get("X-Hub-Signature-256"),
		fmt.Sprintf("sha256=%x", mac.Sum(nil)))
	testkit.Want(t, "event", o.Header.Get("X-GitHub-Event"), "push")
	testkit.Want(t, "other ids",
		o.Header.Get("X-GitHub-Delivery") != all[1].Header.Get("X-GitHub-Delivery"), true)
	wantAt(t, body, map[string]any{
		"ref": "refs/heads/main", "before": hash("1"), "after": hash("2"), "created": false,
		"head_commit.id": hash("2"), "repository.full_name": "alice/hello", "pusher.name": "alice",
	})
	wantShape(t, body, "github/testdata/webhooks/push.json",
		"repository.stargazers", "repository.master_branch", "repository.owner")
	_, gone := one(t, w.push(change("refs/heads/main", hash("1"), zero)))
	wantAt(t, gone, map[string]any{"deleted": true, "after": zero, "head_commit": nil})
}

func TestGitHubIsSilentAboutManyTags(t *testing.T) {
	w := newHookWorld(t, GitHub)
	w.create(hookBody(GitHub, "https://one.invalid/"))
	var tags []platform.RefChange
	for i := range 4 {
		tags = append(tags, change(fmt.Sprintf("refs/tags/t%d", i), zero, hash("2")))
	}
	testkit.Want(t, "three tags", len(w.push(tags[:3]...)), 3)
	main := change("refs/heads/main", hash("1"), hash("2"))
	testkit.Want(t, "four tags and a branch", len(w.push(append(tags, main)...)), 1)
	main.Commits = make([]platform.PushedCommit, 3000)
	_, body := one(t, w.push(main))
	commits, _ := body["commits"].([]any)
	testkit.Want(t, "commits", len(commits), 2048)
}

func TestGitHubsPullRequests(t *testing.T) {
	w := newHookWorld(t, GitHub)
	w.create(hookBody(GitHub, "https://one.invalid/"))
	_, body := one(t, w.merge(opened()))
	wantAt(t, body, map[string]any{
		"action": "opened", "number": 1, "pull_request.head.ref": "feature/a",
		"pull_request.base.ref": "main", "pull_request.head.sha": hash("a"),
	})
	_, body = one(t, w.merge(platform.MergeChange{Number: 1, Action: "update", Head: hash("b")}))
	wantAt(t, body, map[string]any{
		"action": "synchronize", "before": hash("a"), "after": hash("b"),
	})
	_, body = one(t, w.merge(platform.MergeChange{
		Number: 1, Action: "merge", MergeCommit: hash("c"),
	}))
	wantAt(t, body, map[string]any{
		"action": "closed", "pull_request.merged": true,
		"pull_request.merge_commit_sha": hash("c"), "pull_request.title": "A feature",
	})
	if _, ok := w.ChangeMerge("alice/hello", platform.MergeChange{
		Number: 1, Action: "close",
	}); ok {
		t.Error("a merged request was closed")
	}
}
