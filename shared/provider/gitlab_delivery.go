package provider

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/secret"
)

// Source: gitlabhq's doc/user/project/integrations/webhook_events.md,
// lib/gitlab/data_builder/push.rb and app/services/web_hook_service.rb.

// gitLabTolerance is how far a signature's time may be from now: that of Standard Webhooks.
const gitLabTolerance = 5 * time.Minute

// gitLabDelivery is the body of a delivery.
type gitLabDelivery struct {
	Kind      loose `json:"object_kind"`
	Ref       loose `json:"ref"`
	Before    loose `json:"before"`
	After     loose `json:"after"`
	Checkout  loose `json:"checkout_sha"` // the commit also of an annotated tag
	UserName  loose `json:"user_username"`
	FullName  loose `json:"user_name"`
	ProjectID loose `json:"project_id"`
	Project   struct {
		ID loose `json:"id"` // of the target, in the events of a merge request
	} `json:"project"`
	User struct {
		UserName loose `json:"username"`
	} `json:"user"`
	Commits []struct {
		ID loose `json:"id"`
		pushedCommit
	} `json:"commits"`
	Total loose `json:"total_commits_count"`
	Merge struct {
		IID             loose `json:"iid"`
		Title           loose `json:"title"`
		Action          loose `json:"action"`
		SourceBranch    loose `json:"source_branch"`
		TargetBranch    loose `json:"target_branch"`
		TargetProjectID loose `json:"target_project_id"`
		URL             loose `json:"url"`
		MergeSHA        loose `json:"merge_commit_sha"`
		LastCommit      struct {
			ID loose `json:"id"`
		} `json:"last_commit"`
	} `json:"object_attributes"`
}

// Delivery implements [WebhookPlatform].
func (g *gitLabWebhooks) Delivery(in DeliveryRequest) (Delivery, error) {
	signed, ok := gitLabAuthentic(in)
	if !ok {
		return Delivery{}, ErrNotAuthentic
	}
	var d gitLabDelivery
	if err := in.decode(&d); err != nil {
		return Delivery{}, err
	}
	told := Delivery{
		ID: gitLabID(in, signed), Confirmed: signed,
		RepositoryID: string(cmp.Or(d.Merge.TargetProjectID, d.ProjectID, d.Project.ID)),
	}
	var change Change
	switch d.Kind {
	case "push", "tag_push":
		if d.sample() {
			told.Test, told.RepositoryID = true, ""
			return told, nil
		}
		change, ok = d.push(in.WebURL)
	case "merge_request":
		change, ok = d.merge(in.WebURL)
	default:
		ok = false
	}
	switch {
	case ok && signed:
		told.Changes = []Change{change}
	case ok:
		told.Changes = unconfirmed(change)
	}
	return told, nil
}

// gitLabAuthentic reports whether a delivery is GitLab's, and whether its body is signed. A
// signature that is there has to be right: the token doesn't make up for a wrong one.
func gitLabAuthentic(in DeliveryRequest) (signed, ok bool) {
	token, sent := gitLabSentToken(in.Header)
	if in.Signed || !sent {
		ok = gitLabSignature(in)
		return ok, ok
	}
	return false, in.Secret.Equal(token)
}

// gitLabSentToken returns the token of a delivery that has no signature.
func gitLabSentToken(header http.Header) (token secret.Text, sent bool) {
	if len(header.Values(webhooks.HeaderWebhookSignature)) > 0 {
		return token, false
	}
	return secret.New(header.Get("X-Gitlab-Token")), true
}

// SentToken implements [WebhookTokenPlatform].
func (g *gitLabWebhooks) SentToken(header http.Header) (token secret.Text, sent bool) {
	return gitLabSentToken(header)
}

// gitLabSignature reports whether the signature is right and recent by in.Now; the library's own
// check of the time has another clock.
func gitLabSignature(in DeliveryRequest) bool {
	key, ok := gitLabSigningKey(in.Secret)
	if !ok {
		return false
	}
	seconds, err := strconv.ParseInt(in.Header.Get(webhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil || in.Now.Sub(time.Unix(seconds, 0)).Abs() > gitLabTolerance {
		return false
	}
	verifier, err := webhooks.NewWebhookRaw(key)
	return err == nil && verifier.VerifyIgnoringTimestamp(in.Body, in.Header) == nil
}

// gitLabID returns the delivery's id. Since 17.4 that is in a header, the signature's id in a
// signed one. Before, the event's UUID makes two pushes of the same commits distinct; several
// events may have the same UUID.
func gitLabID(in DeliveryRequest, signed bool) string {
	const idempotencyKey = "Idempotency-Key"
	switch {
	case signed:
		return in.id(webhooks.HeaderWebhookID)
	case in.Header.Get(idempotencyKey) != "":
		return in.id(idempotencyKey)
	}
	uuid := in.Header.Get("X-Gitlab-Event-UUID")
	return bodyID(slices.Concat([]byte(uuid+"\n"), in.Body))
}

// gitLabExampleHead is the commit of the example that GitLab sends as the test of a webhook of an
// empty project.
const gitLabExampleHead = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"

// sample reports whether a push is a test's. GitLab makes it of the last three commits, and the
// oldest of them is also the one before, which a push never has.
func (d gitLabDelivery) sample() bool {
	for _, commit := range d.Commits {
		if commit.ID != "" && commit.ID == d.Before {
			return true
		}
	}
	return d.After == gitLabExampleHead
}

// push returns the change of a push, with the last commits, oldest first.
func (d gitLabDelivery) push(webURL string) (change Change, ok bool) {
	change, ok = newChange(d.Ref, d.Before, d.After, d.Checkout)
	var commits []pushedCommit
	for _, commit := range d.Commits {
		commits = append(commits, commit.pushedCommit)
	}
	change.Titles = titles(commits)
	change.Commits = count(d.Total)
	change.Pusher = label(string(cmp.Or(d.UserName, d.FullName)))
	if change.Before != "" && change.Commit != "" {
		change.CompareURL = under(webURL, "/-/compare/"+change.Before+"..."+change.Commit)
	}
	return change, ok
}

// gitLabActions are the actions of merge requests that count; others are approvals.
var gitLabActions = map[loose]string{
	"open": "opened", "reopen": "opened", "update": "updated", "close": "closed",
	"merge": "merged",
}

func (d gitLabDelivery) merge(webURL string) (change Change, ok bool) {
	m := d.Merge
	commit := m.LastCommit.ID
	if m.Action == "merge" {
		commit = firstHash(m.MergeSHA, commit)
	}
	link := ""
	if webURL != "" {
		link = onSite(webURL, string(m.URL))
	}
	change, ok = newMerge(m.TargetBranch, commit, MergeRequest{
		Number: string(m.IID), Title: string(m.Title), Source: string(m.SourceBranch),
		URL: link, Action: gitLabActions[m.Action],
	})
	change.Pusher = label(string(d.User.UserName))
	return change, ok
}

// count returns a number of commits, 0 if it isn't one.
func count(told loose) int {
	n, err := strconv.Atoi(string(told))
	if err != nil {
		return 0
	}
	return max(n, 0)
}
