package codeup

import (
	"encoding/json"
	"net/http"
	"strconv"

	"bindery/shared/sandbox/platform"
)

// hook is a webhook of a repository, as a request spells it.
type hook struct {
	URL                   string `json:"url"`
	Description           string `json:"description"`
	Token                 string `json:"token"`
	PushEvents            bool   `json:"pushEvents"`
	TagPushEvents         bool   `json:"tagPushEvents"`
	MergeRequestsEvents   bool   `json:"mergeRequestsEvents"`
	NoteEvents            bool   `json:"noteEvents"`
	EnableSSLVerification bool   `json:"enableSslVerification"`
}

// describeHook describes a webhook as Codeup does: with its token in clear, and with another
// spelling of SSL than in the request.
func describeHook(h platform.Hook[hook]) platform.Object {
	return platform.Object{
		"id": h.ID, "url": h.Hook.URL, "description": h.Hook.Description, "token": h.Hook.Token,
		"pushEvents": h.Hook.PushEvents, "tagPushEvents": h.Hook.TagPushEvents,
		"mergeRequestsEvents": h.Hook.MergeRequestsEvents, "noteEvents": h.Hook.NoteEvents,
		"enableSSLVerification": h.Hook.EnableSSLVerification, "createdAt": platform.Epoch,
	}
}

// readHook reads a hook from a request's body. Its address has at most 1,024 bytes.
func readHook(r *http.Request) (hook, *apiError) {
	var h hook
	err := json.NewDecoder(r.Body).Decode(&h)
	if err != nil || h.URL == "" || len(h.URL) > 1024 {
		return h, &apiError{http.StatusBadRequest, "BadRequest", "url is missing or too long"}
	}
	return h, nil
}

// hookHandler answers a call about the webhooks of a repository, whose path has the organization.
type hookHandler func(c call, path string) (any, *apiError)

// inHooks returns the handler of calls about the webhooks of a repository that the user
// administers.
func (s *Server) inHooks(serve hookHandler) handler {
	return s.inRepository(func(c call, r Repository) (any, *apiError) {
		forbidden := ""
		switch {
		case s.accessLevel(c) < 40 || r.Path == platform.ReadOnly:
			forbidden = "The user may not administer the repository"
		case r.Archived && c.Method != http.MethodGet:
			forbidden = "The repository is archived"
		}
		if forbidden != "" {
			return nil, &apiError{http.StatusForbidden, "Forbidden", forbidden}
		}
		return serve(c, c.organization+"/"+r.Path)
	})
}

// inHook returns the handler of calls about one webhook.
func (s *Server) inHook(serve func(call, string, int64) (any, *apiError)) handler {
	return s.inHooks(func(c call, path string) (any, *apiError) {
		id, _ := strconv.ParseInt(c.PathValue("hook"), 10, 64)
		if _, ok := s.hooks.Find(path, id); !ok {
			return notFound("Webhook")
		}
		return serve(c, path, id)
	})
}

// listHooks has another spelling of merge requests than the description of one webhook.
func (s *Server) listHooks(_ call, path string) (any, *apiError) {
	var list []platform.Object
	for _, h := range s.hooks.List(path) {
		o := describeHook(h)
		o["mergeRequestEvents"] = o["mergeRequestsEvents"]
		delete(o, "mergeRequestsEvents")
		list = append(list, o)
	}
	return list, nil
}

// createHook makes a webhook. Codeup documents no limit.
func (s *Server) createHook(c call, path string) (any, *apiError) {
	h, err := readHook(c.Request)
	if err != nil {
		return nil, err
	}
	added, _ := s.hooks.Add(path, h, func([]platform.Hook[hook]) string { return "" })
	return describeHook(added), nil
}

func (s *Server) getHook(_ call, path string, id int64) (any, *apiError) {
	h, _ := s.hooks.Find(path, id)
	return describeHook(h), nil
}

func (s *Server) updateHook(c call, path string, id int64) (any, *apiError) {
	h, err := readHook(c.Request)
	if err != nil {
		return nil, err
	}
	updated, _ := s.hooks.Edit(path, id, func(old *hook) { *old = h })
	return describeHook(updated), nil
}

func (s *Server) deleteHook(_ call, path string, id int64) (any, *apiError) {
	s.hooks.Delete(path, id)
	return nil, nil
}

// Delivered does nothing: the API doesn't tell how a delivery was answered, and Codeup is not known
// to disable a webhook.
func (s *Server) Delivered(string, string, int) {}

// Webhooks lists the webhooks of all repositories.
func (s *Server) Webhooks() []platform.Webhook {
	return s.hooks.Describe(func(h hook) (string, bool) { return h.URL, true })
}
