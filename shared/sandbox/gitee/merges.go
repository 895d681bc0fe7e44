package gitee

import (
	"fmt"
	"net/http"

	"bindery/shared/sandbox/platform"
)

// describePull describes a pull request as the API and a delivery do.
func (s *Server) describePull(
	r *http.Request, found platform.Repository, m platform.MergeChange, author string,
) platform.Object {
	user, repository := s.person(author), s.deliveredRepository(found)
	side := func(branch, hash string) platform.Object {
		return platform.Object{
			"label": branch, "ref": branch, "sha": hash, "user": user, "repo": repository,
		}
	}
	target, _ := found.Commit("heads/" + m.Target)
	page := fmt.Sprintf("%s/%s/pulls/%d", s.Origin(r), found.Path, m.Number)
	pull := platform.Object{
		"id": found.ID*1000 + int64(m.Number), "number": m.Number, "title": m.Title, "body": "",
		"url":      fmt.Sprintf("%s/api/v5/repos/%s/pulls/%d", s.Origin(r), found.Path, m.Number),
		"html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"state": "open", "head": side(m.Source, m.Head), "base": side(m.Target, target.Hash),
		"user": user, "updated_by": user, "assignee": nil, "assignees": []string{}, "tester": nil,
		"testers": []string{}, "labels": []string{}, "languages": []string{}, "milestone": nil,
		"merged": false, "mergeable": true, "merge_status": "can_be_merged",
		"merge_commit_sha": nil, "merged_at": nil, "closed_at": nil,
		"merge_reference_name": fmt.Sprintf("refs/pull/%d/MERGE", m.Number), "need_review": false,
		"need_test": false, "comments": 0, "commits": 1, "additions": 0, "deletions": 0,
		"changed_files": 0, "created_at": platform.Epoch, "updated_at": platform.Epoch,
	}
	switch m.Action {
	case "close":
		pull["state"], pull["closed_at"] = "closed", platform.Epoch
	case "merge":
		pull["state"], pull["closed_at"] = "merged", platform.Epoch
		pull["merged"], pull["merged_at"] = true, platform.Epoch
		pull["merge_commit_sha"] = m.MergeCommit
	}
	return pull
}

// getPull describes a pull request.
func (s *Server) getPull(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	m, ok := s.FindMerge(found.Path, r.PathValue("number"))
	if !ok {
		notFound(w, "Pull Request")
		return
	}
	platform.WriteJSON(w, http.StatusOK, s.describePull(r, found, m.MergeChange, "alice"))
}

// pullRequestBody describes a changed pull request.
func (s *Server) pullRequestBody(push platform.Push) platform.Object {
	m, found := push.Merge, push.Repository
	pull := s.describePull(platform.Elsewhere(), found, *m, push.Pusher)
	repository, user := s.deliveredRepository(found), s.person(push.Pusher)
	side := platform.Object{"project": repository, "repository": repository}
	description := map[string]string{"update": "source_branch_changed"}[m.Action]
	if description == "" {
		description = m.Action
	}
	return platform.Object{
		"action": m.Action, "action_desc": description, "number": m.Number, "iid": m.Number,
		"title": m.Title, "body": "", "state": pull["state"], "url": pull["html_url"],
		"merge_commit_sha": pull["merge_commit_sha"], "merge_status": "can_be_merged",
		"source_branch": m.Source, "target_branch": m.Target, "source_repo": side,
		"target_repo": side, "pull_request": pull, "project": repository,
		"repository": repository, "author": user, "sender": user, "updated_by": user,
		"target_user": nil, "enterprise": nil, "languages": []string{}, "push_data": nil,
	}
}
