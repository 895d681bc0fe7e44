package gitee

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// kind is a kind of event, as the header and the body name it.
type kind struct{ header, name string }

// The kinds.
var (
	pushKind  = kind{"Push Hook", "push_hooks"}
	tagKind   = kind{"Tag Push Hook", "tag_push_hooks"}
	mergeKind = kind{"Merge Request Hook", "merge_request_hooks"}
)

// Deliveries returns a delivery for each ref, or one for a change of a pull request.
func (s *Server) Deliveries(push platform.Push) []platform.Outgoing {
	var all []platform.Outgoing
	send := func(k kind, wants func(hook) bool, body platform.Object) {
		for _, h := range s.hooks.List(push.Repository.Path) {
			if wants(h.Hook) {
				all = append(all, s.outgoing(push.Repository, h, k, body))
			}
		}
	}
	switch {
	case push.Test:
		for _, h := range s.hooks.List(push.Repository.Path) {
			all = append(all, s.test(push.Repository, h))
		}
	case push.Merge != nil:
		send(mergeKind, func(h hook) bool { return h.MergeRequests }, s.pullRequestBody(push))
	}
	for _, change := range push.Changes {
		if _, isTag := platform.TagName(change); isTag {
			send(tagKind, func(h hook) bool { return h.TagPush }, s.pushBody(push, change))
		} else {
			send(pushKind, func(h hook) bool { return h.Push }, s.pushBody(push, change))
		}
	}
	return all
}

// test returns the delivery of a test: the last push with the header of a ping.
func (s *Server) test(found platform.Repository, h platform.Hook[hook]) platform.Outgoing {
	push := platform.Latest(found)
	if len(push.Changes) == 0 {
		push.Changes = []platform.RefChange{{Ref: "refs/heads/master"}}
	}
	out := s.outgoing(found, h, pushKind, s.pushBody(push, push.Changes[0]))
	out.Header.Set("X-Gitee-Ping", "true")
	return out
}

// outgoing returns a delivery to one webhook. The signature or the password is in the header and in
// the body, which no signature covers. A delivery has no id.
func (s *Server) outgoing(
	found platform.Repository, h platform.Hook[hook], k kind, body platform.Object,
) platform.Outgoing {
	at := strconv.FormatInt(s.Now().UnixMilli(), 10)
	token, password, sign := h.Hook.Password, h.Hook.Password, ""
	if h.Hook.signs() {
		key := []byte(h.Hook.Password)
		sign = base64.StdEncoding.EncodeToString(
			platform.Signature(key, []byte(at+"\n"+h.Hook.Password)))
		token, password = sign, ""
	}
	body["hook_name"], body["hook_id"], body["timestamp"] = k.name, h.ID, at
	body["hook_url"] = fmt.Sprintf("%s/%s/hooks/%d/edit", s.Origin(platform.Elsewhere()),
		found.Path, h.ID)
	body["password"], body["sign"] = password, sign
	out := platform.Outgoing{
		Hook: strconv.FormatInt(h.ID, 10), URL: h.Hook.URL, Body: platform.Encode(body),
		Header: http.Header{},
	}
	set := out.Header.Set
	set("Content-Type", "application/json")
	set("User-Agent", "git-oschina-hook")
	set("X-Gitee-Event", k.header)
	set("X-Git-Oschina-Event", k.header)
	set("X-Gitee-Ping", "false")
	set("X-Gitee-Timestamp", at)
	set("X-Gitee-Token", token)
	return out
}

// person describes a user or an author in a delivery.
func (s *Server) person(login string) platform.Object {
	name, id := login, int64(0)
	users := oauth.Users(2000)
	if i := slices.IndexFunc(users, func(u oauth.User) bool { return u.Login == login }); i >= 0 {
		name, id = users[i].Name, users[i].ID
	}
	page := s.Origin(platform.Elsewhere()) + "/" + login
	return platform.Object{
		"id": id, "login": login, "name": name, "email": login + "@sandbox.invalid",
		"username": login, "user_name": login, "url": page, "html_url": page, "type": "User",
		"site_admin": false, "remark": nil,
		"avatar_url": s.Origin(platform.Elsewhere()) + "/sandbox/avatars/" + login,
	}
}

// deliveredRepository describes a repository as in a delivery.
func (s *Server) deliveredRepository(found platform.Repository) platform.Object {
	origin := s.Origin(platform.Elsewhere())
	owner, name, _ := strings.Cut(found.Path, "/")
	page, clone := origin+"/"+found.Path, s.RepositoryURL(origin, found.Path)
	ssh := "git@sandbox.invalid:" + found.Path + ".git"
	o := platform.Object{
		"id": found.ID, "name": name, "path": name, "full_name": found.Path,
		"name_with_namespace": found.Path, "path_with_namespace": found.Path, "namespace": owner,
		"owner": s.person(owner), "private": found.Private, "html_url": page, "url": page,
		"homepage": page, "clone_url": clone, "git_http_url": clone, "git_ssh_url": ssh,
		"ssh_url": ssh, "git_url": "git://sandbox.invalid/" + found.Path + ".git",
		"git_svn_url": "svn://sandbox.invalid/" + found.Path,
		"svn_url":     "svn://sandbox.invalid/" + found.Path, "description": "", "fork": false,
		"default_branch": nil, "created_at": platform.Epoch, "updated_at": platform.Epoch,
		"pushed_at": platform.Epoch, "language": nil, "license": nil, "has_issues": true,
		"has_pages": false, "has_wiki": true, "forks_count": 0, "open_issues_count": 0,
		"stargazers_count": 0, "watchers_count": 0,
	}
	if len(found.Branches) > 0 {
		o["default_branch"] = found.Branches[0]
	}
	return o
}

// pushBody describes a changed ref. Of a new one the commits are null, and of an annotated tag
// "after" is the tag's object.
func (s *Server) pushBody(push platform.Push, change platform.RefChange) platform.Object {
	repository, user := s.deliveredRepository(push.Repository), s.person(push.Pusher)
	page := fmt.Sprint(repository["html_url"])
	body := platform.Object{
		"ref": change.Ref, "before": change.Before, "after": change.After,
		"created": platform.Created(change), "deleted": platform.Deleted(change),
		"compare": fmt.Sprintf("%s/compare/%s...%s", page, change.Before, change.After),
		"commits": nil, "commits_more_than_ten": len(change.Commits) > 10,
		"total_commits_count": len(change.Commits), "head_commit": nil, "repository": repository,
		"project": repository, "sender": user, "pusher": user, "user": user, "user_id": user["id"],
		"user_name": user["name"], "push_data": nil, "enterprise": nil,
	}
	if !platform.Created(change) {
		commits := []platform.Object{}
		for _, c := range change.Commits {
			commits = append(commits, s.deliveredCommit(page, push.Pusher, c))
		}
		body["commits"] = commits
	}
	if !platform.Deleted(change) {
		body["head_commit"] = s.deliveredCommit(page, push.Pusher, push.Describe(change.Commit))
	}
	return body
}

func (s *Server) deliveredCommit(
	page, login string, c platform.PushedCommit,
) platform.Object {
	by := s.person(login)
	by["name"], by["email"], by["time"], by["user"] = c.Author, c.Email, c.Time, nil
	return platform.Object{
		"id": c.Hash, "tree_id": c.Hash, "parent_ids": []string{}, "distinct": true,
		"message": c.Message, "timestamp": c.Time, "url": page + "/commit/" + c.Hash, "author": by,
		"committer": by, "added": []string{}, "removed": []string{}, "modified": []string{},
	}
}
