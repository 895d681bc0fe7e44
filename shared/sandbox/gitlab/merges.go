package gitlab

import (
	"fmt"
	"net/http"
	"strconv"

	"bindery/shared/sandbox/platform"
)

// mergeBody describes a changed merge request. Only an update of its code has the old commit. Hold
// mu.
func (s *Server) mergeBody(push platform.Push) platform.Object {
	m, p := push.Merge, push.Repository
	project, page := s.deliveredProject(p)
	u := s.users[push.Pusher]
	old, _ := s.FindMerge(p.Path, strconv.Itoa(m.Number))
	attributes := platform.Object{
		"id": p.ID*1000 + int64(m.Number), "iid": m.Number, "title": m.Title, "description": "",
		"author_id": u.ID, "state": mergeState(*m), "action": m.Action, "draft": false,
		"source_branch": m.Source, "target_branch": m.Target, "source_project_id": p.ID,
		"target_project_id": p.ID, "source": project, "target": project,
		"last_commit":      pushedCommit(page, push.Describe(m.Head)),
		"merge_commit_sha": nil, "merge_status": "can_be_merged", "work_in_progress": false,
		"created_at": platform.Epoch, "updated_at": platform.Epoch,
		"url": fmt.Sprintf("%s/-/merge_requests/%d", page, m.Number),
	}
	if m.Action == "merge" {
		attributes["merge_commit_sha"] = m.MergeCommit
	}
	if m.Action == "update" && old.Before != m.Head {
		attributes["oldrev"] = old.Before
	}
	return platform.Object{
		"object_kind": "merge_request", "event_type": "merge_request", "project": project,
		"user": platform.Object{
			"id": u.ID, "name": u.Name, "username": push.Pusher, "avatar_url": nil,
			"email": "[REDACTED]",
		},
		"object_attributes": attributes, "labels": []string{}, "changes": platform.Object{},
		"repository": oldRepository(project),
	}
}

// mergeState returns the state of a merge request.
func mergeState(m platform.MergeChange) string {
	switch m.Action {
	case "close":
		return "closed"
	case "merge":
		return "merged"
	}
	return "opened"
}

// getMergeRequest describes a merge request.
func (s *Server) getMergeRequest(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	m, found := s.FindMerge(p.Path, r.PathValue("iid"))
	if !found {
		return nil, notFound("Merge Request")
	}
	o := platform.Object{
		"id": p.ID*1000 + int64(m.Number), "iid": m.Number, "project_id": p.ID, "title": m.Title,
		"description": "", "state": mergeState(m.MergeChange), "sha": m.Head,
		"source_branch": m.Source, "target_branch": m.Target, "source_project_id": p.ID,
		"target_project_id": p.ID, "merge_commit_sha": nil, "squash_commit_sha": nil,
		"merged_at": nil, "closed_at": nil, "draft": false, "created_at": platform.Epoch,
		"updated_at": platform.Epoch,
		"web_url":    fmt.Sprintf("%s/%s/-/merge_requests/%d", s.base(r), p.Path, m.Number),
	}
	switch m.Action {
	case "merge":
		o["merge_commit_sha"], o["merged_at"] = m.MergeCommit, platform.Epoch
	case "close":
		o["closed_at"] = platform.Epoch
	}
	return o, nil
}
