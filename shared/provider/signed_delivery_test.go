package provider

import (
	"fmt"
	"strings"
	"testing"

	"bindery/shared/testkit"
)

// The deliveries here are constructed, for what none of the recorded ones has.

// gitHubPushBody returns a push to GitHub with these fields more.
func gitHubPushBody(ref, before, after, more string) string {
	return `{"ref":"` + ref + `","before":"` + before + `","after":"` + after + `",
		"repository":{"id":7,"full_name":"acme/web","temp_clone_token":"canary-clone"},
		"pusher":{"name":"alice","email":"alice@example.com"},"sender":{"login":"alice"}` + more + `}`
}

func deliverOne(t *testing.T, platform, event, body string) Change {
	t.Helper()
	d, err := deliverSigned(t, platform, event, body)
	if err != nil || len(d.Changes) != 1 {
		t.Fatalf("%s: got %+v, %v", event, d, err)
	}
	testkit.Want(t, "it is confirmed", d.Confirmed, true)
	testkit.Want(t, "its id", d.ID, "0b989ba4-242f-11e5-81e1-c7b6966d2516")
	testkit.Want(t, "its repository", d.RepositoryID,
		map[string]string{GitHub: "7", Bitbucket: bitbucketID}[platform])
	return d.Changes[0]
}

func TestWhatGitHubTellsOfAPush(t *testing.T) {
	annotated := deliverOne(t, GitHub, "push", gitHubPushBody("refs/tags/v1", zeroHash, oldHash,
		`,"created":true,"head_commit":{"id":"`+newHash+`"},"commits":[]`))
	testkit.WantEqual(t, "an annotated tag", annotated, Change{
		Ref: "refs/tags/v1", Commit: newHash, Created: true, Pusher: "alice",
	})
	tree := deliverOne(t, GitHub, "push", gitHubPushBody("refs/tags/tree", zeroHash, oldHash,
		`,"created":true,"head_commit":null`))
	testkit.Want(t, "a tag of no commit", tree.Commit, "")
	deleted := deliverOne(t, GitHub, "push", gitHubPushBody("refs/heads/old", oldHash, zeroHash,
		`,"deleted":true,"head_commit":null,"commits":null`))
	testkit.WantEqual(t, "a deleted branch", deleted, Change{
		Ref: "refs/heads/old", Before: oldHash, Deleted: true, Pusher: "alice",
	})
	commit := `{"id":"` + newHash + `","message":"%d <b>\n\nbody"}`
	var commits []string
	for i := range 2048 {
		commits = append(commits, fmt.Sprintf(commit, i))
	}
	many := deliverOne(t, GitHub, "push", gitHubPushBody("refs/heads/main", oldHash, newHash,
		`,"forced":true,"head_commit":{"id":"`+newHash+`"},"compare":
		"https://x:canary@evil.example/acme/web/compare/1111...aaaa?canary#canary",
		"commits":[`+strings.Join(commits, ",")+`]`))
	testkit.Want(t, "how many commits", many.Commits, 2048)
	testkit.Want(t, "how many titles", len(many.Titles), MaxTitles)
	testkit.Want(t, "the newest title", many.Titles[0], "2047 <b>")
	testkit.Want(t, "it is forced", many.Forced, true)
	testkit.Want(t, "the comparison", many.CompareURL,
		"https://github.com/acme/web/compare/1111...aaaa")
}

func TestWhatGitHubTellsOfAPullRequest(t *testing.T) {
	pull := func(action, more string) string {
		return `{"action":"` + action + `","number":3,"repository":{"id":7},"sender":{"login":"bob"},
			"pull_request":{"number":3,"title":"Fix\nit","html_url":"https://github.com/acme/web/pull/3",
			"head":{"ref":"fix","sha":"` + newHash + `"},"base":{"ref":"main","sha":"` + oldHash + `"},
			"merge_commit_sha":"` + oldHash + `"` + more + `}}`
	}
	for action, want := range map[string]string{
		"opened": "opened", "reopened": "opened", "synchronize": "updated", "edited": "updated",
		"closed": "closed",
	} {
		testkit.WantEqual(t, action, deliverOne(t, GitHub, "pull_request", pull(action, "")), Change{
			Ref: "refs/heads/main", Commit: newHash, Pusher: "bob", Merge: &MergeRequest{
				Number: "3", Title: "Fix", Source: "fix", URL: "https://github.com/acme/web/pull/3",
				Action: want,
			},
		})
	}
	merged := deliverOne(t, GitHub, "pull_request", pull("closed", `,"merged":true`))
	testkit.Want(t, "merged", merged.Merge.Action+" "+merged.Commit, "merged "+oldHash)
	for _, action := range []string{"labeled", "locked", "", "auto_merge_enabled"} {
		d, err := deliverSigned(t, GitHub, "pull_request", pull(action, ""))
		if err != nil || len(d.Changes) != 0 {
			t.Errorf("%s: got %+v, %v", action, d, err)
		}
	}
}

// bitbucketBody returns a delivery with the repository and these fields.
func bitbucketBody(more string) string {
	return `{"repository":{"uuid":"` + repositoryID + `","workspace":{"uuid":"` + workspaceID + `"}},
		"actor":{"display_name":"Alice","nickname":"al"},` + more + `}`
}

// bitbucketHeadBody returns a ref in a change.
func bitbucketHeadBody(kind, name, hash string) string {
	return `{"type":"` + kind + `","name":"` + name + `","target":{"hash":"` + hash + `"}}`
}

func TestBitbucketTellsOfSeveralRefsInOneDelivery(t *testing.T) {
	d, err := deliverSigned(t, Bitbucket, "repo:push", bitbucketBody(`"push":{"changes":[
		{"old":`+bitbucketHeadBody("branch", "main", oldHash)+`,
			"new":`+bitbucketHeadBody("branch", "main", newHash)+`,"forced":true,"truncated":true,
			"commits":[{"message":"second"},{"message":"first"}],"links":{"html":{"href":
			"https://bitbucket.org/acme/web/branches/compare/aaaa%0D1111"}}},
		{"old":null,"new":`+bitbucketHeadBody("tag", "v1", newHash)+`,"created":true},
		{"old":`+bitbucketHeadBody("named_branch", "gone", oldHash)+`,"new":null,"closed":true},
		{"old":null,"new":`+bitbucketHeadBody("branch", "short", newHash[:12])+`},
		{"old":null,"new":`+bitbucketHeadBody("bookmark", "x", newHash)+`},
		{"old":null,"new":`+bitbucketHeadBody("branch", "../x", newHash)+`},
		{"old":null,"new":null}]}`))
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "the repository", d.RepositoryID, bitbucketID)
	testkit.WantEqual(t, "the changes", d.Changes, []Change{
		{
			Ref: "refs/heads/main", Before: oldHash, Commit: newHash, Forced: true, Pusher: "Alice",
			Titles:     []string{"second", "first"}, // how many there are is not known
			CompareURL: "https://bitbucket.org/acme/web/branches/compare/aaaa%0D1111",
		},
		{Ref: "refs/tags/v1", Commit: newHash, Created: true, Pusher: "Alice"},
		{Ref: "refs/heads/gone", Before: oldHash, Deleted: true, Pusher: "Alice"},
		{Ref: "refs/heads/short", Created: true, Pusher: "Alice"},
	})
	for _, changes := range []string{`[]`, `null`} {
		d, err = deliverSigned(t, Bitbucket, "repo:push", bitbucketBody(`"push":{"changes":`+changes+`}`))
		if err != nil || len(d.Changes) != 0 {
			t.Errorf("%s: got %+v, %v", changes, d, err)
		}
	}
}

func TestBitbucketsShortHashesAreLeftToItsAPI(t *testing.T) {
	for event, want := range map[string]string{
		"pullrequest:created": "opened ", "pullrequest:updated": "updated ",
		"pullrequest:rejected": "closed ", "pullrequest:fulfilled": "merged " + oldHash,
	} {
		change := deliverOne(t, Bitbucket, event, bitbucketBody(`"pullrequest":{"id":3,"title":"Fix",
			"source":{"branch":{"name":"fix"},"commit":{"hash":"aaaaaaaaaabb"}},
			"destination":{"branch":{"name":"main"}},"merge_commit":{"hash":"`+oldHash+`"}}`))
		testkit.Want(t, event, change.Merge.Action+" "+change.Commit, want)
		testkit.Want(t, event+"'s branch", change.Ref, "refs/heads/main")
	}
}

func TestE9_NoTokenInADeliveryIsTold(t *testing.T) {
	d, err := deliverSigned(t, GitHub, "push", gitHubPushBody("refs/heads/main", oldHash, newHash,
		`,"commits":[],"secret":"canary","config":{"secret":"canary"}`))
	if text := fmt.Sprintf("%+v %v", d, err); err != nil || strings.Contains(text, "canary") {
		t.Errorf("got %s", text)
	}
	_, err = deliverSigned(t, GitHub, "push", `{"ref":{"canary":1},"commits":"canary"}`)
	wantNotADelivery(t, "another type", err)
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the error is %v", err)
	}
}

func TestE10_HostileNamesInADeliveryAreDroppedOrCarriedAsData(t *testing.T) {
	for name, wanted := range map[string]bool{
		"<script>alert(1)</script>": true, "a'\\\"&b": true, "a\\nb": false, "a\\u0000b": false,
		"../../x": false, "a\\r\\nSet-Cookie:x": false, "a\\u001b[2J": false, "-x": true,
	} {
		for platform, body := range map[string]string{
			GitHub: gitHubPushBody("refs/heads/"+name, oldHash, newHash, ""),
			Bitbucket: bitbucketBody(`"push":{"changes":[{"old":null,"new":` +
				bitbucketHeadBody("branch", name, newHash) + `}]}`),
		} {
			event := map[string]string{GitHub: "push", Bitbucket: "repo:push"}[platform]
			d, err := deliverSigned(t, platform, event, body)
			if err != nil || len(d.Changes) > 0 != wanted {
				t.Errorf("%s, %s: got %+v, %v", platform, name, d, err)
			}
		}
	}
	hostile := deliverOne(t, GitHub, "push", gitHubPushBody("refs/heads/main", oldHash, newHash,
		`,"compare":"javascript:alert(1)","pusher":{"name":"a\u0000\r\nb\u202e"},
		"commits":[{"message":"<img src=x>\u0000\u001b[2J\r\nX-Header: 1"}]`))
	testkit.Want(t, "the pusher", hostile.Pusher, "ab")
	testkit.Want(t, "the title", strings.Join(hostile.Titles, "|"), "<img src=x>[2J")
	testkit.Want(t, "the comparison", hostile.CompareURL, "")
	for _, branches := range []string{`"fix\n"},"base":{"ref":"main"}`, `"fix"},"base":{"ref":".."}`} {
		d, err := deliverSigned(t, GitHub, "pull_request", `{"action":"opened","repository":{"id":7},
			"pull_request":{"number":3,"head":{"ref":`+branches+`}}`)
		if err != nil || len(d.Changes) != 0 {
			t.Errorf("%s: got %+v, %v", branches, d, err)
		}
	}
}

// What a delivery says of the past is passed on as it is: who receives it compares it with what it
// knows.
func TestE16_AForgedBeforeIsOnlyData(t *testing.T) {
	const forged = "ffffffffffffffffffffffffffffffffffffffff"
	change := deliverOne(t, GitHub, "push", gitHubPushBody("refs/heads/main", forged, newHash,
		`,"created":true,"deleted":true,"forced":false,"head_commit":{"id":"`+oldHash+`"}`))
	testkit.WantEqual(t, "the change", change, Change{
		Ref: "refs/heads/main", Before: forged, Commit: newHash, Pusher: "alice",
	})
	for _, hash := range []string{"x", "", newHash[:12], "../" + newHash, newHash + "0"} {
		d, err := deliverSigned(t, GitHub, "push", gitHubPushBody("refs/heads/main", hash, newHash, ""))
		if err != nil || len(d.Changes) != 0 {
			t.Errorf("a push from %q: got %+v, %v", hash, d, err)
		}
	}
}

func TestADeliveryOfNoRepositoryTellsOfNoChange(t *testing.T) {
	body := gitHubPushBody("refs/heads/main", oldHash, newHash, "")
	_, err := deliverSigned(t, GitHub, "push", strings.Replace(body, `"id":7`, `"id":null`, 1))
	wantNotADelivery(t, "a push", err)
	_, err = deliverSigned(t, Bitbucket, "repo:push", strings.Replace(bitbucketBody(
		`"push":{"changes":[{"old":null,"new":`+bitbucketHeadBody("branch", "main", newHash)+`}]}`),
		repositoryID, "../x", 1))
	wantNotADelivery(t, "a push to Bitbucket", err)
}

func TestAnEventOfAnotherKindTellsOfNoChange(t *testing.T) {
	for platform, events := range map[string][]string{
		GitHub:    {"repository", "create", "delete", "meta", "pull_request_review", "ping", ""},
		Bitbucket: {"repo:updated", "pullrequest:approved", "repo:commit_status_created", ""},
	} {
		for _, event := range events {
			for _, body := range []string{
				gitHubPushBody("refs/heads/main", oldHash, newHash, ""),
				bitbucketBody(`"pullrequest":{"id":3,"source":{"branch":{"name":"a"}},
					"destination":{"branch":{"name":"b"}}}`),
			} {
				d, err := deliverSigned(t, platform, event, body)
				if err != nil || len(d.Changes) != 0 || d.Test != (event == "ping") {
					t.Errorf("%s, %q: got %+v, %v", platform, event, d, err)
				}
			}
		}
	}
}

func FuzzSignedDelivery(f *testing.F) {
	f.Add("push", gitHubPushBody("refs/heads/main", oldHash, newHash, ""))
	f.Add("pull_request", `{"action":"opened","repository":{"id":7},"pull_request":{"number":3,
		"head":{"ref":"a"},"base":{"ref":"b"}}}`)
	f.Add("repo:push", bitbucketBody(`"push":{"changes":[{"old":null,"new":`+
		bitbucketHeadBody("branch", "main", newHash)+`}]}`))
	f.Fuzz(func(t *testing.T, event, body string) {
		for platform := range signatures {
			d, err := deliverSigned(t, platform, event, body)
			if err != nil && (d.ID != "" || d.Changes != nil) {
				t.Errorf("an error comes with %+v", d)
			}
			for _, c := range d.Changes {
				if !validFullRef(c.Ref) || c.Commit != "" && !isFullHash(c.Commit) ||
					c.Before != "" && !isFullHash(c.Before) || len(c.Titles) > MaxTitles ||
					d.ID == "" || d.RepositoryID == "" {
					t.Errorf("%s gives %+v", body, d)
				}
				for _, title := range c.Titles {
					if len(title) > MaxTitle {
						t.Errorf("a title has %d bytes", len(title))
					}
				}
			}
		}
	})
}
