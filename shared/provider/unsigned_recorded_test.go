package provider

import (
	"strings"
	"testing"
	"time"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

const (
	goSCMModule  = "github.com/drone/go-scm"
	clientModule = "gitlab.com/gitlab-org/api/client-go"
	playground   = "github.com/go-playground/webhooks/v6"
)

// The pushes that client-go and go-playground have are the example of GitLab's documentation, which
// is also what it sends as a test.
func TestRecordedDeliveriesOfGitLab(t *testing.T) {
	for _, r := range []struct{ module, file, repository, want string }{
		{goSCMModule, "push", "4861503", "" +
			"refs/heads/master 9217710ce8c7e1eae7a5d1c45f6e43e1c769f866 " +
			"2adc9465c4edfc33834e173fe89436a7cb899a1d 1 by sytses: added readme"},
		{goSCMModule, "push_merge", "4861503", "" +
			"refs/heads/master 2adc9465c4edfc33834e173fe89436a7cb899a1d " +
			"78a76ee6b4992a6baf64c59fc4c44c7323d60438 2 by sytses: " +
			"Merge branch 'feature' into 'master'|update readme"},
		{goSCMModule, "branch_create", "4861503", "" +
			"refs/heads/feature - c4c79227ed610f1151f05bbc5be33b4f340d39c8 " +
			"created 1 by sytses: update readme"},
		{goSCMModule, "branch_delete", "4861503", "" +
			"refs/heads/feature c4c79227ed610f1151f05bbc5be33b4f340d39c8 " +
			"- deleted 0 by sytses: "},
		{goSCMModule, "tag_create", "4861503", "" +
			"refs/tags/v1.0.0 - 2adc9465c4edfc33834e173fe89436a7cb899a1d " +
			"created 1 by sytses: added readme"},
		{goSCMModule, "tag_delete", "4861503", "refs/tags/v1.0.0 - - deleted 0 by sytses: "},
		{goSCMModule, "pull_request_create", "4861503", mergeOfGoSCM + "opened"},
		{goSCMModule, "pull_request_reopen", "4861503", mergeOfGoSCM + "opened"},
		{goSCMModule, "pull_request_review_ready", "44067058", "" +
			"refs/heads/main - ffd71529ecdfb41a530ee13f91b8fdd3e743c754 " +
			"0 by rathod.meetsatish: #3 from main1234, Draft: Update README.md, updated"},
		{goSCMModule, "pull_request_close", "4861503", mergeOfGoSCM + "closed"},
		{goSCMModule, "pull_request_merge", "4861503", "" +
			"refs/heads/master - 78a76ee6b4992a6baf64c59fc4c44c7323d60438 " +
			"0 by sytses: #1 from feature, update readme, merged"},
		{goSCMModule, "issue_create", "4861503", ""},
		{goSCMModule, "merge_request_comment_create", "4861503", ""},
		{clientModule, "push", "", "test"},
		{clientModule, "tag_push", "1", "" +
			"refs/tags/v1.0.0 - 82b3d5ae55f7080f1e6022629cdb57bfae7cccc7 " +
			"created 1 by jsmith: Merge branch 'some-feature' into 'master'"},
		{clientModule, "merge_request", "14", "" +
			"refs/heads/master - da1560886d4f094c3e6c9ef40349f7d38b5d27d7 " +
			"0 by user1: #1 from ms-viewport, MS-Viewport, opened"},
		{clientModule, "pipeline", "1", ""},
		{playground, "push-event", "", "test"},
		{playground, "tag-event", "1", "" +
			"refs/tags/v1.0.0 - 82b3d5ae55f7080f1e6022629cdb57bfae7cccc7 " +
			"created 0 by John Smith: "},
		{playground, "merge-request-event", "14", "" +
			"refs/heads/master - da1560886d4f094c3e6c9ef40349f7d38b5d27d7 " +
			"0 by root: #1 from ms-viewport, MS-Viewport, opened"},
	} {
		folder := map[string]string{
			goSCMModule: "scm/driver/gitlab/testdata/webhooks/", clientModule: "testdata/webhooks/",
			playground: "testdata/gitlab/",
		}
		body := recordedIn(t, r.module, folder[r.module]+r.file+".json").body
		got, err := deliver(GitLab, gitLabSigned(t, body, noon))
		if err != nil {
			t.Errorf("%s, %s: %v", r.module, r.file, err)
			continue
		}
		testkit.Want(t, r.module+", "+r.file, summary(got), r.want)
		testkit.Want(t, "its repository", got.RepositoryID, r.repository)
	}
}

// mergeOfGoSCM is the merge request of go-scm's recordings.
const mergeOfGoSCM = "refs/heads/master - c4c79227ed610f1151f05bbc5be33b4f340d39c8 " +
	"0 by sytses: #1 from feature, update readme, "

// shortSummary is the summary of a delivery that no signature covers: it says no more.
func shortSummary(d Delivery) string {
	return strings.NewReplacer(" 0 by : #", " #", " from , , ", " ", " 0 by : ", "").
		Replace(summary(d))
}

// Of an unsigned body the push's titles and names are left out.
func TestRecordedDeliveriesOfGitee(t *testing.T) {
	for file, want := range map[string]string{
		"push": "refs/heads/feat-2-1 6168d9dae737b47f00c59fafca10c913a6850c3a " +
			"9921e45e570db8e57e544650baf837932fb2100f",
		"push_branch_create":   "refs/heads/feat-2-1 - 6168d9dae737b47f00c59fafca10c913a6850c3a created",
		"push_branch_delete":   "refs/heads/feat-3 dc8fa2ebe050d63f639c5b834311e96bc2303523 - deleted",
		"tag_create":           "refs/tags/1.3 - aa9d11518a64dcd0d591a2a4eb35dfb4d91d49d5 created",
		"tag_delete":           "refs/tags/1.3 - - deleted",
		"pr_open":              "refs/heads/master - dc8fa2ebe050d63f639c5b834311e96bc2303523 #9 opened",
		"pr_update":            "refs/heads/master - 6168d9dae737b47f00c59fafca10c913a6850c3a #7 updated",
		"pr_labeled":           "refs/heads/master - dc8fa2ebe050d63f639c5b834311e96bc2303523 #8 updated",
		"pr_close":             "refs/heads/master - dc8fa2ebe050d63f639c5b834311e96bc2303523 #8 closed",
		"pr_merge":             "refs/heads/master - 6c363013dfccedad4c68c88e8649f4ffacc644ea #9 merged",
		"issue_hook_open":      "",
		"note_hook_pr_comment": "",
	} {
		body := recordedIn(t, goSCMModule, "scm/driver/gitee/testdata/webhooks/"+file+".json").body
		in := giteeSigned(body, noon)
		in.HookID = "788005"
		got, err := deliver(Gitee, in)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		testkit.Want(t, file, shortSummary(got), want)
		testkit.Want(t, file+"'s repository",
			SameRepository(got.RepositoryID, "14836026/kit101/drone-yml-test"), true)
	}
}

// Recorded at Gitee by serverless-cd/toolkit, in the mode in which a key signs.
func TestARecordedSignatureOfGitee(t *testing.T) {
	in := giteeSigned(unsigned[Gitee].push, noon)
	in.Secret = secret.New("shihuali123")
	in.Header.Set("X-Gitee-Timestamp", "1670392695999")
	in.Header.Set("X-Gitee-Token", "q+Q+vLxD0Q8GGOIIU/2qiCKcNDImcJqXo+zSdJ1pkHs=")
	in.Now = time.UnixMilli(1670392695999).Add(time.Second)
	_, err := deliver(Gitee, in)
	testkit.Want(t, "the recorded signature", err, nil)
	in.Secret = secret.New("shihuali124")
	_, err = deliver(Gitee, in)
	testkit.Want(t, "another key's", err, ErrNotAuthentic)
}
