package provider

import (
	"fmt"
	"strings"
	"testing"

	// Needed for its recorded deliveries only; the import keeps it in go.mod.
	_ "github.com/go-playground/webhooks/v6/github"
)

// recordedDelivery is a delivery out of another project's tests, and what it says: "ref before
// commit", with "-" for none, then what else is told of it.
type recordedDelivery struct{ event, file, want string }

// goSCMs were recorded in 2018; at GitHub some later.
var goSCMs = map[string][]recordedDelivery{
	GitHub: {
		{"push", "push", "refs/heads/master a10867b14bb761a232cd80139fbd4c0d33264240 " +
			"199eddf46df50de8d02e99bf1c5fdb4101338224 1 by Codertocat: Update README"},
		{"push", "push_branch_create", "refs/heads/feature-branch - " +
			"d2b75aa7797ec26b088fa2dd527e9d2c052fcedd created 0 by bradrydzewski: "},
		{"push", "push_branch_delete", "refs/heads/feature-branch " +
			"d2b75aa7797ec26b088fa2dd527e9d2c052fcedd - deleted 0 by bradrydzewski: "},
		{"push", "push_tag", "refs/tags/v0.0.1 - d2b75aa7797ec26b088fa2dd527e9d2c052fcedd " +
			"created 0 by bradrydzewski: "},
		{"push", "push_tag_delete", "refs/tags/v0.0.1 - - deleted 0 by bradrydzewski: "},
		{"pull_request", "pr_opened", pullOfGoSCM + "opened"},
		{"pull_request", "pr_reopened", pullOfGoSCM + "opened"},
		{"pull_request", "pr_edited", pullOfGoSCM + "updated"},
		{"pull_request", "pr_closed", pullOfGoSCM + "closed"},
		{"pull_request", "pr_sync", strings.Replace(pullOfGoSCM,
			"d2b75aa7797ec26b088fa2dd527e9d2c052fcedd",
			"8102e371cd01cf668893cb2d04a04d52331b1dc9", 1) + "updated"},
		{"pull_request", "pr_labeled", ""},
		{"pull_request", "pr_ready_for_review", ""},
		{"create", "tag_create", ""},
		{"delete", "tag_delete", ""},
		{"issue_comment", "comment", ""},
		{"release", "release_created", ""},
	},
	Bitbucket: {
		{"repo:push", "push", "refs/heads/master 40e7580cf11311d84a6e5e97e2cbba6df1675750 " +
			"141977fedf5cf35aa290ac87d4b5177ac4cd9de1 1 by Brad Rydzewski: Update README"},
		{"repo:push", "push_branch_create", "refs/heads/develop - " +
			"141977fedf5cf35aa290ac87d4b5177ac4cd9de1 created 2 by Brad Rydzewski: " +
			"Update README|initial commit"},
		{"repo:push", "push_branch_delete", "refs/heads/develop " +
			"141977fedf5cf35aa290ac87d4b5177ac4cd9de1 - deleted 0 by Brad Rydzewski: "},
		{"repo:push", "push_tag_create", "refs/tags/feature/x - " +
			"141977fedf5cf35aa290ac87d4b5177ac4cd9de1 created 0 by Brad Rydzewski: "},
		{"repo:push", "push_tag_delete", "refs/tags/feature/x " +
			"141977fedf5cf35aa290ac87d4b5177ac4cd9de1 - deleted 0 by Brad Rydzewski: "},
		{"pullrequest:created", "pr_created", pullAtBitbucket + "opened"},
		{"pullrequest:updated", "pr_updated", pullAtBitbucket + "updated"},
		{"pullrequest:fulfilled", "pr_fulfilled", pullAtBitbucket + "merged"},
		{"pullrequest:rejected", "pr_declined", "refs/heads/master - - 0 by Brad Rydzewski: " +
			"#2 from develop, update README, closed"},
		{"pullrequest:comment_created", "pr_comment_created", ""},
	},
}

// The pull requests of go-scm's recordings.
const (
	pullOfGoSCM = "refs/heads/bradrydzewski-patch-1 - d2b75aa7797ec26b088fa2dd527e9d2c052fcedd " +
		"0 by bradrydzewski: #1 from master, Update .drone.yml, "
	pullAtBitbucket = "refs/heads/master - - 0 by Brad Rydzewski: #1 from develop, " +
		"Awesome new feature, "
)

// goPlaygrounds were recorded at GitHub in 2015 and 2019. Those of Bitbucket are samples of its
// documentation, which leave the workspace out.
var goPlaygrounds = []recordedDelivery{
	{"push", "push", "refs/heads/master 737d38c599c1b2991664dfc6155d6bf516fcce36 " +
		"fd489864e7642b48eaad6e3f155c10e46810ec72 1 by binkkatal: test a push event"},
	{"pull_request", "pull-request", "refs/heads/master - " +
		"0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c 0 by baxterthehacker: #1 from changes, " +
		"Update the README with new information, opened"},
	{"ping", "ping", "test"},
	{"create", "create", ""},
	{"delete", "delete", ""},
	{"repository", "repository", ""},
}

func TestRecordedDeliveries(t *testing.T) {
	repositories := map[string][]string{
		GitHub:    {"13933572", "135493233", "498312568", "309651765", "530296249"},
		Bitbucket: {bitbucketOfGoSCM},
	}
	for platform, list := range goSCMs {
		for _, r := range list {
			d := readRecorded(t, platform, r, recordedIn(t, "github.com/drone/go-scm",
				"scm/driver/"+platform+"/testdata/webhooks/"+r.file+".json"))
			if r.want != "" && !strings.Contains(
				strings.Join(repositories[platform], " "), d.RepositoryID) {
				t.Errorf("%s, %s: the repository is %q", platform, r.file, d.RepositoryID)
			}
		}
	}
	for _, r := range goPlaygrounds {
		readRecorded(t, GitHub, r, recordedIn(t, "github.com/go-playground/webhooks/v6",
			"testdata/github/"+r.file+".json"))
	}
}

const bitbucketOfGoSCM = "{87bb15eb-47c1-49b3-9f16-ca824a2979a4}/" +
	"{bc771cbf-829e-4c4b-b71f-a0eb3ac2b860}"

// readRecorded has the platform read a delivery, signed by the test, and compares what it says.
func readRecorded(t *testing.T, platform string, r recordedDelivery, body canned) Delivery {
	t.Helper()
	d, err := deliverSigned(t, platform, r.event, body.body)
	if err != nil {
		t.Errorf("%s, %s: %v", platform, r.file, err)
	}
	if got := summary(d); got != r.want {
		t.Errorf("%s, %s:\n%s, want\n%s", platform, r.file, got, r.want)
	}
	return d
}

// summary returns what a delivery of at most one change says, in the form of a recordedDelivery.
func summary(d Delivery) string {
	if d.Test {
		return "test"
	}
	var lines []string
	for _, c := range d.Changes {
		words := []string{c.Ref, orDash(c.Before), orDash(c.Commit)}
		for word, is := range map[string]bool{
			"created": c.Created, "deleted": c.Deleted, "forced": c.Forced,
		} {
			if is {
				words = append(words, word)
			}
		}
		told := strings.Join(c.Titles, "|")
		if m := c.Merge; m != nil {
			told = fmt.Sprintf("#%s from %s, %s, %s", m.Number, m.Source, m.Title, m.Action)
		}
		lines = append(lines, fmt.Sprintf(
			"%s %d by %s: %s", strings.Join(words, " "), c.Commits, c.Pusher, told))
	}
	return strings.Join(lines, "\n")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Without a workspace the repository has no id, and the delivery can't be compared with one.
func TestDocumentedDeliveriesOfBitbucketNameNoRepository(t *testing.T) {
	for event, file := range map[string]string{
		"repo:push": "repo-push", "pullrequest:created": "pull-request-created",
		"pullrequest:updated": "pull-request-updated", "pullrequest:fulfilled": "pull-request-merged",
		"pullrequest:rejected": "pull-request-declined",
	} {
		body := recordedIn(t, "github.com/go-playground/webhooks/v6",
			"testdata/bitbucket/"+file+".json").body
		_, err := deliverSigned(t, Bitbucket, event, body)
		wantNotADelivery(t, file, err)
		whole := strings.ReplaceAll(body, `"repository":{`,
			`"repository":{"workspace":{"uuid":"`+workspaceID+`"},`)
		if d, err := deliverSigned(t, Bitbucket, event, whole); err != nil || len(d.Changes) != 1 {
			t.Errorf("%s with a workspace: got %+v, %v", file, d, err)
		}
	}
}
