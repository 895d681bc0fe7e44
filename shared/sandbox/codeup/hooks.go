package codeup

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"bindery/shared/sandbox/platform"
)

// hook is a webhook of a repository, as a request spells it.
type hook struct {
	ID                    int64  `json:"id"`
	URL                   string `json:"url"`
	Description           string `json:"description"`
	Token                 string `json:"token"`
	PushEvents            bool   `json:"pushEvents"`
	TagPushEvents         bool   `json:"tagPushEvents"`
	MergeRequestsEvents   bool   `json:"mergeRequestsEvents"`
	NoteEvents            bool   `json:"noteEvents"`
	EnableSSLVerification bool   `json:"enableSslVerification"`
}

// object describes the hook as Codeup does: with its token in clear, and with another spelling of
// SSL than in the request.
func (h hook) object() platform.Object {
	return platform.Object{
		"id": h.ID, "url": h.URL, "description": h.Description, "token": h.Token,
		"pushEvents": h.PushEvents, "tagPushEvents": h.TagPushEvents,
		"mergeRequestsEvents": h.MergeRequestsEvents, "noteEvents": h.NoteEvents,
		"enableSSLVerification": h.EnableSSLVerification, "createdAt": platform.Epoch,
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

func (s *Server) listHooks(_ call, r Repository) (any, *apiError) {
	var list []platform.Object
	for _, h := range s.hooks[r.ID] {
		list = append(list, h.object())
	}
	return list, nil
}

func (s *Server) createHook(c call, r Repository) (any, *apiError) {
	h, err := readHook(c.Request)
	if err != nil {
		return nil, err
	}
	s.lastHook++
	h.ID = s.lastHook
	s.hooks[r.ID] = append(s.hooks[r.ID], h)
	return h.object(), nil
}

// findHook returns the repository and the hook's index in its list, -1 if there is none.
func (s *Server) findHook(c call) (int64, int) {
	r, _ := s.repository(c.organization, c.PathValue("repository"))
	return r.ID, slices.IndexFunc(s.hooks[r.ID], func(h hook) bool {
		return strconv.FormatInt(h.ID, 10) == c.PathValue("hook")
	})
}

func (s *Server) getHook(c call) (any, *apiError) {
	repository, i := s.findHook(c)
	if i < 0 {
		return notFound("Webhook")
	}
	return s.hooks[repository][i].object(), nil
}

func (s *Server) updateHook(c call) (any, *apiError) {
	repository, i := s.findHook(c)
	if i < 0 {
		return notFound("Webhook")
	}
	h, err := readHook(c.Request)
	if err != nil {
		return nil, err
	}
	h.ID = s.hooks[repository][i].ID
	s.hooks[repository][i] = h
	return h.object(), nil
}

func (s *Server) deleteHook(c call) (any, *apiError) {
	repository, i := s.findHook(c)
	if i < 0 {
		return notFound("Webhook")
	}
	s.hooks[repository] = slices.Delete(s.hooks[repository], i, i+1)
	return nil, nil
}
