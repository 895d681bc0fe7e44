package codeup

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"strconv"

	"bindery/shared/sandbox/platform"
)

// maxCommits is how many commits a delivery has here. Codeup documents no limit.
const maxCommits = 20

// Deliveries returns a delivery for each ref, or one for a change of a merge request. A test, which
// only the console has, has no more than two hashes. The form of the bodies follows recorded ones.
func (s *Server) Deliveries(push platform.Push) []platform.Outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []platform.Outgoing
	send := func(event string, wants func(hook) bool, body platform.Object) {
		for _, h := range s.hooks.List(push.Repository.Path) {
			if wants(h.Hook) {
				all = append(all, s.outgoing(h, event, body))
			}
		}
	}
	const pushEvent = "Push Hook"
	switch {
	case push.Test:
		body := platform.Object{}
		for _, change := range platform.Latest(push.Repository).Changes {
			body = platform.Object{"before": change.Before, "after": change.After}
		}
		send(pushEvent, func(hook) bool { return true }, body)
	case push.Merge != nil:
		send("Merge Request Hook", func(h hook) bool { return h.MergeRequestsEvents },
			s.mergeBody(push))
	}
	for _, change := range push.Changes {
		if _, isTag := platform.TagName(change); isTag {
			send("Tag Push Hook", func(h hook) bool { return h.TagPushEvents },
				s.pushBody(push, change, "tag_push"))
		} else {
			send(pushEvent, func(h hook) bool { return h.PushEvents },
				s.pushBody(push, change, "push"))
		}
	}
	return all
}

// outgoing returns a delivery to one webhook. Its token doesn't cover the body.
func (s *Server) outgoing(
	h platform.Hook[hook], event string, body platform.Object,
) platform.Outgoing {
	out := platform.Outgoing{
		Hook: strconv.FormatInt(h.ID, 10), URL: h.Hook.URL, Body: platform.Encode(body),
		Header: http.Header{},
	}
	out.Header.Set("Content-Type", "application/json; charset=utf-8")
	out.Header.Set("User-Agent", "okhttp/3.6.0")
	out.Header.Set("X-Codeup-Delivery", s.UUID())
	out.Header.Set("X-Codeup-Event", event)
	if h.Hook.Token != "" {
		out.Header.Set("X-Codeup-Token", h.Hook.Token)
	}
	return out
}

// deliveredRepository describes a repository as in a delivery, without its id.
func (s *Server) deliveredRepository(r platform.Repository) platform.Object {
	page, ssh := s.Origin(platform.Elsewhere())+"/"+r.Path, "git@sandbox.invalid:"+r.Path+".git"
	return platform.Object{
		"name": path.Base(r.Path), "visibility_level": 0,
		"git_http_url": page + ".git", "git_ssh_url": ssh, "url": ssh, "homepage": page,
	}
}

// pushBody describes a changed ref. Of an annotated tag "after" is the tag's object. Hold mu.
func (s *Server) pushBody(
	push platform.Push, change platform.RefChange, kind string,
) platform.Object {
	repository, user := s.deliveredRepository(push.Repository), s.users[push.Pusher]
	pushed := change.Commits
	if kind == "tag_push" && !platform.Deleted(change) {
		pushed = history(push, change.Commit)
	}
	commits := []platform.Object{}
	for _, c := range pushed[:min(len(pushed), maxCommits)] {
		commits = append(commits, deliveredCommit(fmt.Sprint(repository["homepage"]), c))
	}
	body := platform.Object{
		"object_kind": kind, "ref": change.Ref, "before": change.Before, "after": change.After,
		"checkout_sha": nil, "project_id": push.Repository.ID, "repository": repository,
		"commits": commits, "total_commits_count": len(pushed), "user_id": 561783,
		"user_name": cmp.Or(user.Name, push.Pusher), "user_email": user.Email,
		"user_extern_uid": user.ID, "aliyun_pk": "263497661453371229",
	}
	if !platform.Deleted(change) {
		body["checkout_sha"] = change.Commit
	}
	return body
}

// history returns a commit and those before it, as a pushed tag lists them, though none is new.
func history(push platform.Push, hash string) []platform.PushedCommit {
	all := []platform.PushedCommit{push.Describe(hash)}
	for len(all) < maxCommits {
		c, found := push.Repository.Find(hash)
		if !found || c.Parent == "" {
			break
		}
		hash = c.Parent
		all = append(all, push.Describe(hash))
	}
	return all
}

func deliveredCommit(page string, c platform.PushedCommit) platform.Object {
	return platform.Object{
		"id": c.Hash, "message": c.Message, "timestamp": c.Time, "url": page + "/commit/" + c.Hash,
		"author": platform.Object{"name": c.Author, "email": c.Email},
	}
}
