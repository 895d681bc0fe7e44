package bitbucket

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"bindery/shared/sandbox/platform"
)

// The limits of deliveries. https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
const (
	maxCommits = 5
	maxBody    = 256 << 10 // a longer one is dropped
	retries    = 2         // after a 5xx
)

// Deliveries returns one delivery for all refs, or for a change of a pull request. A test is a push
// of the last commit, as Bitbucket has none.
func (s *Server) Deliveries(push platform.Push) []platform.Outgoing {
	test := push.Test
	if test {
		push = platform.Latest(push.Repository)
	}
	var event string
	var body platform.Object
	switch {
	case push.Merge != nil:
		event, body = s.pullRequestBody(push)
	case len(push.Changes) > 0:
		event, body = "repo:push", s.pushBody(push)
	}
	var all []platform.Outgoing
	for _, h := range s.hooks.List(push.Repository.Path) {
		if !h.Hook.Active || body == nil || !test && !slices.Contains(h.Hook.Events, event) {
			continue
		}
		if out := s.outgoing(h, event, body); len(out.Body) <= maxBody {
			all = append(all, out)
		}
	}
	return all
}

// outgoing returns a delivery to one webhook, signed if it has a secret.
func (s *Server) outgoing(
	h platform.Hook[hook], event string, body platform.Object,
) platform.Outgoing {
	out := platform.Outgoing{
		Hook: uuid(h.ID), URL: h.Hook.URL, Body: platform.Encode(body), Header: http.Header{},
		Retries: retries,
	}
	set := out.Header.Set
	set("Content-Type", "application/json; charset=utf-8")
	set("User-Agent", "Bitbucket-Webhooks/2.0")
	set("X-Event-Key", event)
	set("X-Hook-UUID", strings.Trim(out.Hook, "{}"))
	set("X-Request-UUID", s.UUID())
	set("X-Event-Time", s.Now().UTC().Format(http.TimeFormat))
	set("X-Attempt-Number", "1")
	if h.Hook.Secret != "" {
		set("X-Hub-Signature", fmt.Sprintf("sha256=%x",
			platform.Signature([]byte(h.Hook.Secret), out.Body)))
	}
	return out
}

// deliveredRepository describes a repository as in a delivery, without its clone addresses.
func (s *Server) deliveredRepository(found platform.Repository) platform.Object {
	o := s.repository(platform.Elsewhere(), found)
	owner, _, _ := strings.Cut(found.Path, "/")
	o["owner"], o["website"] = s.actor(owner), ""
	origin := s.Origin(platform.Elsewhere())
	o["links"] = platform.Object{
		"self": link(origin + "/2.0/repositories/" + found.Path),
		"html": link(origin + "/" + found.Path),
	}
	return o
}

// pushBody describes all changed refs. A ref that doesn't exist is null, and the target of an
// annotated tag is the commit.
func (s *Server) pushBody(push platform.Push) platform.Object {
	changes := []platform.Object{}
	page := s.Origin(platform.Elsewhere()) + "/" + push.Repository.Path
	for _, c := range push.Changes {
		change := platform.Object{
			"created": platform.Created(c), "closed": platform.Deleted(c), "forced": c.Forced,
			"truncated": len(c.Commits) > maxCommits, "old": nil, "new": nil,
			"links": platform.Object{
				"html": link(fmt.Sprintf("%s/branches/compare/%s..%s", page, c.After, c.Before)),
			},
		}
		if !platform.Created(c) {
			change["old"] = deliveredRef(push, page, c, c.BeforeCommit)
		}
		if !platform.Deleted(c) {
			change["new"] = deliveredRef(push, page, c, c.Commit)
			commits := []platform.Object{}
			for _, commit := range slices.Backward(c.Commits) {
				if len(commits) < maxCommits {
					commits = append(commits, deliveredCommit(page, commit))
				}
			}
			change["commits"] = commits
		}
		changes = append(changes, change)
	}
	return platform.Object{
		"push": platform.Object{"changes": changes}, "actor": s.actor(push.Pusher),
		"repository": s.deliveredRepository(push.Repository),
	}
}

// deliveredRef describes a ref before or after a change.
func deliveredRef(
	push platform.Push, page string, c platform.RefChange, commit string,
) platform.Object {
	o := platform.Object{
		"type": "branch", "target": deliveredCommit(page, push.Describe(commit)),
		"links": platform.Object{"html": link(page + "/branch/")},
	}
	if name, isTag := platform.TagName(c); isTag {
		o["type"], o["name"], o["message"], o["tagger"], o["date"] = "tag", name, nil, nil, nil
		return o
	}
	o["name"], _ = platform.BranchName(c)
	return o
}

func deliveredCommit(page string, c platform.PushedCommit) platform.Object {
	return platform.Object{
		"type": "commit", "hash": c.Hash, "date": c.Time, "message": c.Message,
		"author": platform.Object{
			"type": "author", "raw": fmt.Sprintf("%s <%s>", c.Author, c.Email),
		},
		"summary": platform.Object{
			"type": "rendered", "raw": c.Message, "markup": "markdown", "html": "",
		},
		"parents": []platform.Object{},
		"links":   platform.Object{"html": link(page + "/commits/" + c.Hash)},
	}
}

// pullRequestBody returns the event of a pull request, with hashes of 12 digits only.
func (s *Server) pullRequestBody(push platform.Push) (event string, body platform.Object) {
	m, found := push.Merge, push.Repository
	event, state := "pullrequest:updated", "OPEN"
	switch m.Action {
	case "open":
		event = "pullrequest:created"
	case "close":
		event, state = "pullrequest:rejected", "DECLINED"
	case "merge":
		event, state = "pullrequest:fulfilled", "MERGED"
	}
	repository := s.deliveredRepository(found)
	side := func(branch, hash string) platform.Object {
		return platform.Object{
			"branch": platform.Object{"name": branch}, "commit": platform.Object{"hash": short(hash)},
			"repository": repository,
		}
	}
	target, _ := found.Commit("heads/" + m.Target)
	actor := s.actor(push.Pusher)
	page := fmt.Sprintf("%s/%s/pull-requests/%d", s.Origin(platform.Elsewhere()), found.Path,
		m.Number)
	pull := platform.Object{
		"type": "pullrequest", "id": m.Number, "title": m.Title, "description": "", "state": state,
		"source": side(m.Source, m.Head), "destination": side(m.Target, target.Hash),
		"merge_commit": nil, "author": actor, "reviewers": []platform.Object{},
		"participants": []platform.Object{}, "close_source_branch": false, "closed_by": nil,
		"reason": "", "comment_count": 0, "task_count": 0, "created_on": platform.Epoch,
		"updated_on": platform.Epoch, "links": platform.Object{"html": link(page)},
		"summary": platform.Object{"type": "rendered", "raw": "", "markup": "markdown", "html": ""},
	}
	if state != "OPEN" {
		pull["closed_by"] = actor
	}
	if m.Action == "merge" {
		pull["merge_commit"] = platform.Object{"hash": short(m.MergeCommit)}
	}
	return event, platform.Object{
		"pullrequest": pull, "actor": actor, "repository": repository,
	}
}

// short returns the begin of a hash, as deliveries of pull requests have it.
func short(hash string) string { return hash[:min(12, len(hash))] }
