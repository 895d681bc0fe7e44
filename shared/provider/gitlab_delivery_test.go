package provider

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// gitLabSigned returns a delivery as GitLab signs it since 19.0, with the right token too.
func gitLabSigned(t *testing.T, body string, at time.Time) DeliveryRequest {
	t.Helper()
	key, _ := gitLabSigningKey(secret.New(hookSecret))
	signer, err := webhooks.NewWebhookRaw(key)
	if err != nil {
		t.Fatal(err)
	}
	const id = "9cebe914-4827-408f-b014-cfa23a47a35f"
	signature, err := signer.Sign(id, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	in := gitLabUnsigned(body)
	in.Signed = true
	in.Header.Set("Webhook-Id", id)
	in.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	in.Header.Set("Webhook-Signature", signature)
	return in
}

// gitLabUnsigned returns a delivery as GitLab sends it before 17.4.
func gitLabUnsigned(body string) DeliveryRequest {
	return DeliveryRequest{
		Header: http.Header{
			"X-Gitlab-Token":      {hookSecret},
			"X-Gitlab-Event-Uuid": {"0b40ce7b-e09f-43cc-87af-68e3c6a3644f"},
		},
		Body: []byte(body), Secret: secret.New(hookSecret), Now: noon,
		WebURL: "https://git.example/acme/web",
	}
}

// deliver has a platform read a delivery.
func deliver(platform string, in DeliveryRequest) (Delivery, error) {
	p, _ := testSet().Get(platform)
	hooks, _ := WebhooksOf(p)
	return hooks.Delivery(in)
}

const gitLabPush = `{"object_kind":"push","ref":"refs/heads/main","before":"` + oldHash + `",
	"after":"` + newHash + `","checkout_sha":"` + newHash + `","project_id":7,
	"user_username":"alice","total_commits_count":3,"commits":[
	{"id":"1","message":"One\n\nbody"},{"id":"2","message":"Two"}],
	"project":{"id":7,"web_url":"https://evil.example/x"}}`

func TestGitLabsSignedPush(t *testing.T) {
	got, err := deliver(GitLab, gitLabSigned(t, gitLabPush, noon))
	testkit.Want(t, "an error", err, nil)
	testkit.WantEqual(t, "the delivery", got, Delivery{
		ID: "9cebe914-4827-408f-b014-cfa23a47a35f", Confirmed: true, RepositoryID: "7",
		Changes: []Change{{
			Ref: "refs/heads/main", Before: oldHash, Commit: newHash, Pusher: "alice", Commits: 3,
			Titles:     []string{"Two", "One"},
			CompareURL: "https://git.example/acme/web/-/compare/" + oldHash + "..." + newHash,
		}},
	})
}

func TestGitLabsSignedTagAndMergeRequest(t *testing.T) {
	tagObject := strings.Repeat("b", 40)
	for body, want := range map[string]string{
		`{"object_kind":"tag_push","project_id":7,"ref":"refs/tags/v1","before":"` + zeroHash + `",
			"after":"` + tagObject + `","checkout_sha":"` + newHash + `","user_username":"alice",
			"commits":[]}`: "refs/tags/v1 - " + newHash + " created 0 by alice: ",
		`{"object_kind":"merge_request","user":{"username":"alice"},"object_attributes":{"iid":3,
			"title":"Fix","action":"update","source_branch":"fix","target_branch":"main",
			"target_project_id":7,"last_commit":{"id":"` + newHash + `"}}}`: "refs/heads/main - " +
			newHash + " 0 by alice: #3 from fix, Fix, updated",
		// Approvals change nothing.
		`{"object_kind":"merge_request","object_attributes":{"iid":3,"action":"approved",
			"source_branch":"fix","target_branch":"main","target_project_id":7}}`: "",
		`{"object_kind":"note","project_id":7,"object_attributes":{"iid":3,"action":"open",
			"source_branch":"fix","target_branch":"main"}}`: "",
	} {
		got, err := deliver(GitLab, gitLabSigned(t, body, noon))
		testkit.Want(t, "an error", err, nil)
		testkit.Want(t, "the change", summary(got), want)
		testkit.Want(t, "the repository", got.RepositoryID, "7")
	}
}

// GitLab makes a test of the project's last commits, newest first.
func TestATestOfGitLabsIsToldByItsCommits(t *testing.T) {
	commit := func(id string) string { return `{"id":"` + id + `","message":"x"}` }
	for body, want := range map[string]bool{
		push(oldHash, newHash, commit(newHash)+","+commit("2")+","+commit(oldHash)): true,
		push(oldHash, oldHash, commit(oldHash)):                                     true,
		push(oldHash, gitLabExampleHead, commit("c5feabde")):                        true,
		push(oldHash, newHash, commit("2")+","+commit(newHash)):                     false,
		push(oldHash, newHash, ""):                                                  false,
	} {
		got, err := deliver(GitLab, gitLabSigned(t, body, noon))
		testkit.Want(t, "an error", err, nil)
		testkit.Want(t, "a test: "+body, got.Test, want)
		testkit.Want(t, "a change: "+body, len(got.Changes) > 0, !want)
		testkit.Want(t, "the repository: "+body, got.RepositoryID == "", want)
	}
}

// push returns a push at GitLab.
func push(before, after, commits string) string {
	return `{"object_kind":"push","ref":"refs/heads/main","project_id":7,"before":"` + before +
		`","after":"` + after + `","commits":[` + commits + `]}`
}

func TestGitLabsDeliveriesKeepTheirIDs(t *testing.T) {
	id := func(key, uuid, body string) string {
		in := gitLabUnsigned(body)
		in.Header.Set("X-Gitlab-Event-UUID", uuid)
		if key != "" {
			in.Header.Set("Idempotency-Key", key)
		}
		d, err := deliver(GitLab, in)
		testkit.Want(t, "an error", err, nil)
		return d.ID
	}
	testkit.Want(t, "since 17.4", id("a-key", "u", gitLabPush), "a-key")
	testkit.Want(t, "a retry", id("", "u", gitLabPush), id("", "u", gitLabPush))
	testkit.Want(t, "the same push later", id("", "v", gitLabPush) == id("", "u", gitLabPush), false)
	testkit.Want(t, "another push of one event",
		id("", "u", push(oldHash, newHash, "")) == id("", "u", gitLabPush), false)
}

func TestE4_AnOldSignatureOfGitLabIsRefused(t *testing.T) {
	for age, want := range map[time.Duration]error{
		0: nil, 5 * time.Minute: nil, -5 * time.Minute: nil,
		5*time.Minute + time.Second: ErrNotAuthentic, -5*time.Minute - time.Second: ErrNotAuthentic,
		24 * time.Hour: ErrNotAuthentic, 200 * 365 * 24 * time.Hour: ErrNotAuthentic,
	} {
		_, err := deliver(GitLab, gitLabSigned(t, gitLabPush, noon.Add(-age)))
		testkit.Want(t, age.String(), err, want)
	}
	for _, at := range []string{"", "now", "-9223372036854775808", "9223372036854775807", "1e9"} {
		in := gitLabSigned(t, gitLabPush, noon)
		in.Header.Set("Webhook-Timestamp", at)
		_, err := deliver(GitLab, in)
		testkit.Want(t, "the time "+at, err, ErrNotAuthentic)
	}
}

func TestE6_ARightTokenIsNoSignatureOfGitLab(t *testing.T) {
	for name, change := range map[string]func(*DeliveryRequest){
		"no signature":     func(in *DeliveryRequest) { in.Header.Del("Webhook-Signature") },
		"an empty one":     func(in *DeliveryRequest) { in.Header.Set("Webhook-Signature", "") },
		"no id":            func(in *DeliveryRequest) { in.Header.Del("Webhook-Id") },
		"another id":       func(in *DeliveryRequest) { in.Header.Set("Webhook-Id", "x") },
		"another body":     func(in *DeliveryRequest) { in.Body = append(in.Body, ' ') },
		"a wrong one":      func(in *DeliveryRequest) { in.Header.Set("Webhook-Signature", "v1,eA==") },
		"another version":  func(in *DeliveryRequest) { in.Header.Set("Webhook-Signature", "v1a,eA==") },
		"another's secret": func(in *DeliveryRequest) { in.Secret = secret.New(strings.Repeat("A", 43)) },
		"no secret":        func(in *DeliveryRequest) { in.Secret = secret.Text{} },
	} {
		for _, signed := range []bool{true, false} {
			in := gitLabSigned(t, gitLabPush, noon)
			change(&in)
			in.Header.Set("X-Gitlab-Token", in.Secret.Reveal())
			in.Signed = signed
			_, err := deliver(GitLab, in)
			if !signed && name == "no signature" {
				testkit.Want(t, "a GitLab that doesn't sign", err, nil)
				continue
			}
			testkit.Want(t, name, err, ErrNotAuthentic)
		}
	}
}
