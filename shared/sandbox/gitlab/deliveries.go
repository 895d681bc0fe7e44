package gitlab

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"bindery/shared/sandbox/platform"
)

// The limits of deliveries. https://docs.gitlab.com/user/project/integrations/webhook_events/
const (
	maxRefs    = 3 // branches, or tags, of one push: with more there is no delivery for any of them
	maxCommits = 20
	maxBody    = 25 << 20
)

// eventNames has the name of each kind of event in the header.
var eventNames = map[string]string{
	"push": "Push Hook", "tag_push": "Tag Push Hook", "merge_request": "Merge Request Hook",
}

// Deliveries returns a delivery for each ref, or one for a merge request. A test is a push of the
// last commit.
func (s *Server) Deliveries(push platform.Push) []platform.Outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []platform.Outgoing
	send := func(kind string, wants func(hook) bool, body platform.Object) {
		for _, h := range s.hooks.List(push.Repository.Path) {
			if !wants(h.Hook) || h.Hook.failures >= permanentFailures ||
				s.Now().Before(h.Hook.disabledUntil) {
				continue
			}
			if out := s.outgoing(h, eventNames[kind], body); len(out.Body) <= maxBody {
				all = append(all, out)
			}
		}
	}
	test := push.Test
	if test {
		push = platform.Latest(push.Repository)
	}
	if push.Merge != nil {
		send("merge_request", func(h hook) bool { return h.MergeRequests }, s.mergeBody(push))
	}
	for _, change := range push.Limited(maxRefs, maxRefs) {
		kind, wants := "push", func(h hook) bool { return h.Push || test }
		if _, isTag := platform.TagName(change); isTag {
			kind, wants = "tag_push", func(h hook) bool { return h.TagPush }
		}
		send(kind, wants, s.pushBody(push, change, kind))
	}
	return all
}

// outgoing returns a delivery to one webhook, with its token and, since version 19, a signature if
// it has a signing token. Hold mu.
func (s *Server) outgoing(
	h platform.Hook[hook], event string, body platform.Object,
) platform.Outgoing {
	out := platform.Outgoing{
		Hook: strconv.FormatInt(h.ID, 10), URL: h.Hook.URL, Body: platform.Encode(body),
		Header: http.Header{},
	}
	set, id, v := out.Header.Set, s.UUID(), s.currentVersion()
	set("Content-Type", "application/json")
	set("User-Agent", fmt.Sprintf("GitLab/%d.%d.0", v.major, v.minor))
	set("X-Gitlab-Event", event)
	set("X-Gitlab-Webhook-UUID", h.Hook.uuid)
	set("X-Gitlab-Event-UUID", s.UUID())
	set("X-Gitlab-Instance", s.Origin(platform.Elsewhere())+"/gitlab")
	if !v.before(17, 4) {
		set("Idempotency-Key", id)
	}
	if h.Hook.Token != "" {
		set("X-Gitlab-Token", h.Hook.Token)
	}
	if key := h.Hook.signingKey(); s.signs() && key != nil {
		at := strconv.FormatInt(s.Now().Unix(), 10)
		signed := fmt.Appendf(nil, "%s.%s.%s", id, at, out.Body)
		set("webhook-id", id)
		set("webhook-timestamp", at)
		set("webhook-signature",
			"v1,"+base64.StdEncoding.EncodeToString(platform.Signature(key, signed)))
	}
	return out
}

// deliveredProject describes a project as in a delivery, with its page.
func (s *Server) deliveredProject(p platform.Repository) (o platform.Object, page string) {
	page = s.Origin(platform.Elsewhere()) + "/gitlab/" + p.Path
	slash := strings.LastIndex(p.Path, "/")
	ssh, level := "git@sandbox.invalid:"+p.Path+".git", 20
	if p.Private {
		level = 0
	}
	o = platform.Object{
		"id": p.ID, "name": p.Path[slash+1:], "description": nil, "web_url": page,
		"avatar_url": nil, "git_ssh_url": ssh, "git_http_url": page + ".git",
		"namespace": p.Path[:slash], "visibility_level": level, "path_with_namespace": p.Path,
		"default_branch": nil, "ci_config_path": nil, "homepage": page, "url": ssh, "ssh_url": ssh,
		"http_url": page + ".git",
	}
	if len(p.Branches) > 0 {
		o["default_branch"] = p.Branches[0]
	}
	return o, page
}

// oldRepository describes a project once more, in the older form.
func oldRepository(project platform.Object) platform.Object {
	o := platform.Object{}
	for _, name := range []string{
		"name", "url", "description", "homepage", "git_http_url", "git_ssh_url", "visibility_level",
	} {
		o[name] = project[name]
	}
	return o
}

// pushBody describes a changed ref. Of an annotated tag "after" is the tag's object. Hold mu.
func (s *Server) pushBody(
	push platform.Push, change platform.RefChange, kind string,
) platform.Object {
	project, page := s.deliveredProject(push.Repository)
	branch, isBranch := platform.BranchName(change)
	u := s.users[push.Pusher]
	commits := []platform.Object{}
	for _, c := range change.Commits[max(0, len(change.Commits)-maxCommits):] {
		commits = append(commits, pushedCommit(page, c))
	}
	body := platform.Object{
		"object_kind": kind, "event_name": kind, "before": change.Before, "after": change.After,
		"ref": change.Ref, "ref_protected": isBranch && branch == project["default_branch"],
		"checkout_sha": nil, "message": nil, "user_id": u.ID, "user_name": u.Name,
		"user_username": push.Pusher, "user_email": "", "user_avatar": nil,
		"project_id": push.Repository.ID, "project": project, "commits": commits,
		"total_commits_count": len(change.Commits), "push_options": platform.Object{},
		"repository": oldRepository(project),
	}
	if !platform.Deleted(change) {
		body["checkout_sha"] = change.Commit
	}
	return body
}

func pushedCommit(page string, c platform.PushedCommit) platform.Object {
	title, _, _ := strings.Cut(c.Message, "\n")
	return platform.Object{
		"id": c.Hash, "message": c.Message, "title": title, "timestamp": c.Time,
		"url":    page + "/-/commit/" + c.Hash,
		"author": platform.Object{"name": c.Author, "email": "[REDACTED]"},
		"added":  []string{}, "modified": []string{}, "removed": []string{},
	}
}
