package codeup

import (
	"cmp"
	"fmt"
	"path"

	"bindery/shared/sandbox/platform"
)

// mergeBody describes a changed merge request, without the commit of a merge. When it is opened the
// last commit is missing, too. Hold mu.
func (s *Server) mergeBody(push platform.Push) platform.Object {
	m, r := push.Merge, push.Repository
	repository, user := s.deliveredRepository(r), s.users[push.Pusher]
	page := fmt.Sprint(repository["homepage"])
	side := platform.Object{
		"name": repository["name"], "namespace": path.Dir(r.Path), "web_url": page,
		"http_url": repository["git_http_url"], "ssh_url": repository["git_ssh_url"],
		"visibility_level": 0,
	}
	id := r.ID*1000 + int64(m.Number)
	attributes := platform.Object{
		"id": id, "iid": m.Number, "title": m.Title, "description": "", "action": m.Action,
		"state":         "opened",
		"source_branch": m.Source, "target_branch": m.Target, "source_project_id": r.ID,
		"target_project_id": r.ID, "source": side, "target": side, "author_id": 561783,
		"author_aliyun_pk": "263497661453371229", "work_in_progress": false,
		"is_use_push_block": true, "is_update_by_push": m.Action == "update",
		"merge_status": "can_be_merged", "created_at": platform.Epoch,
		"updated_at": platform.Epoch, "url": fmt.Sprintf("%s/merge_request/%d", page, id),
	}
	switch m.Action {
	case "close":
		attributes["state"] = "closed"
	case "merge":
		attributes["state"] = "merged"
	}
	if m.Action != "open" {
		attributes["last_commit"] = deliveredCommit(page, push.Describe(m.Head))
	}
	return platform.Object{
		"object_kind": "merge_request", "object_attributes": attributes,
		"repository": platform.Object{
			"name": repository["name"], "git_http_url": repository["git_http_url"],
			"git_ssh_url": repository["git_ssh_url"], "url": repository["git_http_url"],
			"homepage": page,
		},
		"user": platform.Object{
			"name": cmp.Or(user.Name, push.Pusher), "username": user.Username,
			"extern_uid": user.ID, "aliyun_pk": "263497661453371229", "avatar_url": "",
		},
	}
}

// getChangeRequest describes a merge request (GetChangeRequest).
func (s *Server) getChangeRequest(c call, r Repository) (any, *apiError) {
	full := c.organization + "/" + r.Path
	m, found := s.FindMerge(full, c.PathValue("local"))
	if !found {
		return notFound("Change request")
	}
	page := fmt.Sprintf("%s/%s/change/%d", s.Origin(c.Request), full, m.Number)
	o := platform.Object{
		"localId": m.Number, "projectId": r.ID, "title": m.Title, "description": "",
		"status": "UNDER_REVIEW", "sourceBranch": m.Source, "sourceCommitId": m.Head,
		"sourceProjectId": r.ID, "targetBranch": m.Target, "targetProjectId": r.ID,
		"targetProjectNameWithNamespace": full, "mergedRevision": nil, "mrType": "CODE_REVIEW",
		"conflictCheckStatus": "NO_CONFLICT", "createFrom": "WEB", "hasReverted": false, "ahead": 1,
		"behind": 0, "allRequirementsPass": true, "supportMergeFastForwardOnly": false,
		"totalCommentCount": 0, "unResolvedCommentCount": 0, "reviewers": []string{},
		"subscribers": []string{}, "createTime": platform.Epoch, "updateTime": platform.Epoch,
		"author":    platform.Object{"userId": c.user.ID, "username": c.user.Username},
		"detailUrl": page, "webUrl": page,
	}
	switch m.Action {
	case "close":
		o["status"] = "CLOSED"
	case "merge":
		o["status"], o["mergedRevision"] = "MERGED", m.MergeCommit
	}
	return o, nil
}
