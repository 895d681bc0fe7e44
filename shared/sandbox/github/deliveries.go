package github

import (
	"crypto/hmac"
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// The limits of deliveries. https://docs.github.com/webhooks/webhook-events-and-payloads
const (
	maxTags     = 3    // of one push: with more there is no delivery for any of them
	maxBranches = 5000 // likewise
	maxCommits  = 2048
	maxBody     = 25 << 20 // a longer one is dropped
)

// Deliveries returns a push event for each ref, or a pull_request event. A test is a ping.
func (s *Server) Deliveries(push platform.Push) []platform.Outgoing {
	var all []platform.Outgoing
	send := func(event string, body platform.Object) {
		for _, h := range s.hooks.List(push.Repository.Path) {
			if !h.Hook.Active || !slices.Contains(h.Hook.Events, event) &&
				!slices.Contains(h.Hook.Events, "*") {
				continue
			}
			out := s.outgoing(push.Repository, h, event, body)
			if len(out.Body) <= maxBody {
				all = append(all, out)
			}
		}
	}
	switch {
	case push.Test:
		for _, h := range s.hooks.List(push.Repository.Path) {
			all = append(all, s.ping(push.Repository, h))
		}
	case push.Merge != nil:
		send("pull_request", s.pullRequestBody(push))
	default:
		for _, change := range push.Limited(maxBranches, maxTags) {
			send("push", s.pushBody(push, change))
		}
	}
	return all
}

// outgoing returns a delivery to one webhook, signed if it has a secret.
func (s *Server) outgoing(
	found platform.Repository, h platform.Hook[hook], event string, body platform.Object,
) platform.Outgoing {
	out := platform.Outgoing{
		Hook: strconv.FormatInt(h.ID, 10), URL: h.Hook.Config.URL, Body: platform.Encode(body),
		Header: http.Header{},
	}
	set := out.Header.Set
	set("Content-Type", "application/json")
	if h.Hook.Config.ContentType == "form" {
		set("Content-Type", "application/x-www-form-urlencoded")
		out.Body = []byte(url.Values{"payload": {string(out.Body)}}.Encode())
	}
	set("Accept", "*/*")
	set("User-Agent", "GitHub-Hookshot/5a4d0b0")
	set("X-GitHub-Event", event)
	set("X-GitHub-Delivery", s.UUID())
	set("X-GitHub-Hook-ID", out.Hook)
	set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(found.ID, 10))
	set("X-GitHub-Hook-Installation-Target-Type", "repository")
	if key := []byte(h.Hook.Config.Secret); len(key) > 0 {
		older := hmac.New(sha1.New, key)
		older.Write(out.Body)
		set("X-Hub-Signature", fmt.Sprintf("sha1=%x", older.Sum(nil)))
		set("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", platform.Signature(key, out.Body)))
	}
	return out
}

// ping returns the delivery that a new webhook begins with.
func (s *Server) ping(found platform.Repository, h platform.Hook[hook]) platform.Outgoing {
	return s.outgoing(found, h, "ping", platform.Object{
		"zen": "Keep it logically awesome.", "hook_id": h.ID,
		"hook":       s.describeHook(platform.Elsewhere(), found, h),
		"repository": s.deliveredRepository(found), "sender": s.plainUser(git.Person),
	})
}

// deliveredRepository describes a repository as in a delivery, without a user's permissions.
func (s *Server) deliveredRepository(found platform.Repository) platform.Object {
	o := s.repository(platform.Elsewhere(), oauth.Caller{}, found)
	delete(o, "permissions")
	return o
}

func (s *Server) pushBody(push platform.Push, change platform.RefChange) platform.Object {
	page := s.Origin(platform.Elsewhere()) + "/" + push.Repository.Path
	commits := []platform.Object{}
	for _, c := range change.Commits[max(0, len(change.Commits)-maxCommits):] {
		commits = append(commits, pushedCommit(page, push.Pusher, c))
	}
	body := platform.Object{
		"ref": change.Ref, "before": change.Before, "after": change.After,
		"created": platform.Created(change), "deleted": platform.Deleted(change), "forced": change.Forced,
		"base_ref": nil, "compare": fmt.Sprintf("%s/compare/%.12s...%.12s", page, change.Before,
			change.After),
		"commits": commits, "head_commit": nil,
		"repository": s.deliveredRepository(push.Repository),
		"pusher": platform.Object{
			"name": push.Pusher, "email": push.Pusher + "@sandbox.invalid",
		},
		"sender": s.plainUser(push.Pusher),
	}
	if !platform.Deleted(change) {
		body["head_commit"] = pushedCommit(page, push.Pusher, push.Describe(change.Commit))
	}
	return body
}

func pushedCommit(page, login string, c platform.PushedCommit) platform.Object {
	by := platform.Object{"name": c.Author, "email": c.Email, "username": login}
	return platform.Object{
		"id": c.Hash, "tree_id": c.Hash, "distinct": true, "message": c.Message,
		"timestamp": c.Time, "url": page + "/commit/" + c.Hash, "author": by, "committer": by,
		"added": []string{}, "removed": []string{}, "modified": []string{},
	}
}

// pullRequestBody is a pull_request event. A merged request is closed, too.
func (s *Server) pullRequestBody(push platform.Push) platform.Object {
	m, found := push.Merge, push.Repository
	action := map[string]string{
		"open": "opened", "update": "synchronize", "close": "closed", "merge": "closed",
	}[m.Action]
	origin := s.Origin(platform.Elsewhere())
	page := fmt.Sprintf("%s/%s/pull/%d", origin, found.Path, m.Number)
	repository := s.deliveredRepository(found)
	target, _ := found.Commit("heads/" + m.Target)
	side := func(branch, hash string) platform.Object {
		return platform.Object{
			"label": push.Pusher + ":" + branch, "ref": branch, "sha": hash,
			"user": repository["owner"], "repo": repository,
		}
	}
	pull := platform.Object{
		"url": fmt.Sprintf("%s/repos/%s/pulls/%d", origin, found.Path, m.Number), "id": m.Number,
		"html_url": page, "number": m.Number, "state": "open", "title": m.Title, "body": nil,
		"user": s.plainUser(push.Pusher), "locked": false, "draft": false,
		"head": side(m.Source, m.Head), "base": side(m.Target, target.Hash),
		"merged": m.Action == "merge", "merge_commit_sha": nil, "merged_at": nil, "closed_at": nil,
		"created_at": platform.Epoch, "updated_at": platform.Epoch,
	}
	if action == "closed" {
		pull["state"], pull["closed_at"] = "closed", platform.Epoch
	}
	if m.Action == "merge" {
		pull["merge_commit_sha"], pull["merged_at"] = m.MergeCommit, platform.Epoch
	}
	body := platform.Object{
		"action": action, "number": m.Number, "pull_request": pull, "repository": repository,
		"sender": s.plainUser(push.Pusher),
	}
	if m.Action == "update" {
		old, _ := s.FindMerge(found.Path, strconv.Itoa(m.Number))
		body["before"], body["after"] = old.Before, m.Head
	}
	return body
}
