package provider

import (
	"cmp"
	"net/http"

	"bindery/shared/secret"
)

// Source: help.aliyun.com/zh/yunxiao/user-guide/webhooks-settings; deliveries recorded by
// serverless-cd/toolkit, whose headers begin with "X-".

// codeupDelivery is the body of a delivery.
type codeupDelivery struct {
	Kind      loose `json:"object_kind"`
	Ref       loose `json:"ref"`
	Before    loose `json:"before"`
	After     loose `json:"after"`
	Checkout  loose `json:"checkout_sha"`
	ProjectID loose `json:"project_id"` // of a push
	Merge     struct {
		IID             loose `json:"iid"`
		Action          loose `json:"action"`
		SourceBranch    loose `json:"source_branch"`
		TargetBranch    loose `json:"target_branch"`
		TargetProjectID loose `json:"target_project_id"`
		LastCommit      struct {
			ID loose `json:"id"` // missing when the request is opened
		} `json:"last_commit"`
	} `json:"object_attributes"`
}

// codeupKinds are the kinds of deliveries by the event's header, for a body without a kind.
var codeupKinds = map[string]loose{
	"Push Hook": "push", "Tag Push Hook": "tag_push", "Merge Request Hook": "merge_request",
}

// SentToken implements [WebhookTokenPlatform].
func (p *codeupWebhooks) SentToken(header http.Header) (token secret.Text, sent bool) {
	return secret.New(header.Get("X-Codeup-Token")), true
}

// Delivery implements [WebhookPlatform]. The token doesn't cover the body, so a delivery is never
// confirmed.
func (p *codeupWebhooks) Delivery(in DeliveryRequest) (Delivery, error) {
	if token, _ := p.SentToken(in.Header); !in.Secret.Equal(token) {
		return Delivery{}, ErrNotAuthentic
	}
	var d codeupDelivery
	if err := in.decode(&d); err != nil {
		return Delivery{}, err
	}
	told := Delivery{
		ID:           in.id("X-Codeup-Delivery"),
		RepositoryID: string(cmp.Or(d.Merge.TargetProjectID, d.ProjectID)),
	}
	event := cmp.Or(in.Header.Get("X-Codeup-Event"), in.Header.Get("Codeup-Event"))
	var change Change
	var ok bool
	switch cmp.Or(d.Kind, codeupKinds[event]) {
	case "push", "tag_push":
		// The console's test has a push's before and after only.
		told.Test = d.Ref == ""
		change, ok = newChange(d.Ref, d.Before, d.After, d.Checkout)
	case "merge_request":
		change, ok = d.merge()
	case "":
		told.Test = true
	}
	if ok {
		told.Changes = unconfirmed(change)
	}
	return told, nil
}

// codeupActions are the actions of merge requests that count.
var codeupActions = map[loose]string{
	"open": "opened", "reopen": "opened", "update": "updated", "close": "closed",
	"merge": "merged",
}

// merge returns the change of a merge request. The commit of a merge isn't told.
func (d codeupDelivery) merge() (Change, bool) {
	action, commit := codeupActions[d.Merge.Action], d.Merge.LastCommit.ID
	if action == "merged" {
		commit = ""
	}
	return newMerge(d.Merge.TargetBranch, commit, MergeRequest{
		Number: string(d.Merge.IID), Source: string(d.Merge.SourceBranch), Action: action,
	})
}
