package provider

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Source: help.gitee.com/webhook; deliveries recorded by go-scm and serverless-cd/toolkit.

// The bounds of a signature's time. Gitee documents an hour.
const (
	giteeMaxAge  = time.Hour
	giteeMaxSkew = 5 * time.Minute
)

// giteeDelivery is the body of a delivery. Its password and its sign, a copy of the signature, are
// not read.
type giteeDelivery struct {
	HookID     loose           `json:"hook_id"`
	HookName   loose           `json:"hook_name"`
	Repository giteeRepository `json:"repository"`

	Ref    loose `json:"ref"`
	Before loose `json:"before"`
	After  loose `json:"after"`

	HeadCommit struct {
		ID loose `json:"id"`
	} `json:"head_commit"` // null if the ref was deleted

	Action loose     `json:"action"`
	Pull   giteePull `json:"pull_request"`
}

// Delivery implements [WebhookPlatform]. The signature covers its time only, so a delivery is never
// confirmed.
func (g *giteeWebhooks) Delivery(in DeliveryRequest) (Delivery, error) {
	if !giteeAuthentic(in) {
		return Delivery{}, ErrNotAuthentic
	}
	var d giteeDelivery
	if err := in.decode(&d); err != nil {
		return Delivery{}, err
	}
	if in.HookID != "" && d.HookID != "" && string(d.HookID) != in.HookID {
		return Delivery{}, ErrNotAuthentic
	}
	told := Delivery{ID: bodyID(in.Body), RepositoryID: string(d.Repository.ID)}
	if in.Header.Get("X-Gitee-Ping") == "true" {
		told.Test, told.RepositoryID = true, ""
		return told, nil
	}
	switch d.HookName {
	case "push_hooks", "tag_push_hooks":
		// The same ref may change in the same way twice, at two times.
		told.ID = bodyID([]byte(strings.Join([]string{
			in.Header.Get(giteeTimestamp), string(d.Ref), string(d.Before), string(d.After),
		}, "\n")))
		if change, ok := newChange(
			d.Ref, d.Before, d.After, d.HeadCommit.ID,
		); ok {
			told.Changes = unconfirmed(change)
		}
	case "merge_request_hooks":
		told.ID = bodyID([]byte(strings.Join([]string{
			string(d.Pull.Number), string(d.Action), string(d.Pull.Head.SHA),
			string(d.Pull.UpdatedAt),
		}, "\n")))
		told.RepositoryID = string(d.Pull.Base.Repo.ID)
		if change, ok := d.Pull.change(g.site, giteeActions[d.Action]); ok {
			told.Changes = unconfirmed(change)
		}
	}
	return told, nil
}

// giteeTimestamp is the header with the time of a signature, in milliseconds.
const giteeTimestamp = "X-Gitee-Timestamp"

// giteeAuthentic reports whether the signature is right and recent: the HMAC-SHA256 of the time and
// the secret, by the secret, in base64.
func giteeAuthentic(in DeliveryRequest) bool {
	timestamp := in.Header.Get(giteeTimestamp)
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return false
	}
	age := in.Now.Sub(time.UnixMilli(ms))
	if age > giteeMaxAge || age < -giteeMaxSkew {
		return false
	}
	mac, err := base64.StdEncoding.DecodeString(in.Header.Get("X-Gitee-Token"))
	return err == nil && signedBy(in.Secret, []byte(timestamp+"\n"+in.Secret.Reveal()), mac)
}

// giteeActions are the actions of pull requests that count.
var giteeActions = map[loose]string{
	"open": "opened", "reopen": "opened", "update": "updated", "close": "closed",
	"merge": "merged",
}
