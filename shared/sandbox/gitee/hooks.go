package gitee

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"bindery/shared/sandbox/platform"
)

// hook is a webhook, with the fields of a request.
type hook struct {
	URL string `json:"url"`
	// EncryptionType says what the password is: 0 for a password that is sent, 1 for a key that signs
	// the time. A form has it as a text.
	EncryptionType any    `json:"encryption_type"`
	Password       string `json:"password"`
	Push           bool   `json:"push_events"`
	TagPush        bool   `json:"tag_push_events"`
	Issues         bool   `json:"issues_events"`
	Notes          bool   `json:"note_events"`
	MergeRequests  bool   `json:"merge_requests_events"`

	status int // of the last answer, 0 if there was none
}

// signs reports whether the password is a key.
func (h hook) signs() bool { return h.EncryptionType == 1.0 || h.EncryptionType == "1" }

// hookRoutes adds the routes of webhooks.
func (s *Server) hookRoutes() {
	const (
		hooks = "/api/v5/repos/{owner}/{name}/hooks"
		one   = hooks + "/{hook}"
	)
	handle := func(pattern string, h repositoryHandler) {
		s.Mux.HandleFunc(pattern, requireUserAgent(s.inHooks(h)))
	}
	handle("GET "+hooks, s.listHooks)
	handle("POST "+hooks, s.createHook)
	handle("GET "+one, s.inHook(s.getHook))
	handle("PATCH "+one, s.inHook(s.editHook))
	handle("DELETE "+one, s.inHook(s.deleteHook))
	handle("POST "+one+"/tests", s.inHook(s.testHook))
}

// inHooks returns a handler of calls about the webhooks of a repository that the user administers,
// with a token that has the scope hook.
func (s *Server) inHooks(serve repositoryHandler) http.HandlerFunc {
	return s.inRepository(func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
		_, status, message := s.caller(r, "hook")
		if message == "" && (!found.Admin || found.Archived && r.Method != http.MethodGet) {
			status, message = http.StatusForbidden, "403 Forbidden"
		}
		if message != "" {
			platform.WriteJSON(w, status, platform.Object{"message": message})
			return
		}
		serve(w, r, found)
	})
}

// inHook returns a handler of calls about one webhook.
func (s *Server) inHook(
	serve func(http.ResponseWriter, *http.Request, platform.Repository, platform.Hook[hook]),
) repositoryHandler {
	return func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
		id, _ := strconv.ParseInt(r.PathValue("hook"), 10, 64)
		h, ok := s.hooks.Find(found.Path, id)
		if !ok {
			notFound(w, "Hook")
			return
		}
		serve(w, r, found, h)
	}
}

// describeHook describes a webhook, with its password in clear and the answer to the last delivery.
func (s *Server) describeHook(found platform.Repository, h platform.Hook[hook]) platform.Object {
	o := platform.Object{
		"id": h.ID, "url": h.Hook.URL, "password": h.Hook.Password, "project_id": found.ID,
		"result": "", "result_code": nil, "push_events": h.Hook.Push,
		"tag_push_events": h.Hook.TagPush, "issues_events": h.Hook.Issues,
		"note_events": h.Hook.Notes, "merge_requests_events": h.Hook.MergeRequests,
		"created_at": platform.Epoch,
	}
	if h.Hook.status != 0 {
		o["result"], o["result_code"] = http.StatusText(h.Hook.status), h.Hook.status
	}
	return o
}

// readHook reads the fields of a request over those that the webhook has. It answers a request
// that is wrong.
func readHook(w http.ResponseWriter, r *http.Request, h hook) (hook, bool) {
	body, ok := platform.ReadObject(r)
	if !ok || json.Unmarshal(body, &h) != nil ||
		!strings.HasPrefix(h.URL, "http://") && !strings.HasPrefix(h.URL, "https://") {
		platform.WriteJSON(w, http.StatusBadRequest, platform.Object{"message": "url is invalid"})
		return h, false
	}
	return h, true
}

func (s *Server) listHooks(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	list := []platform.Object{}
	for _, h := range page(w, r, s.hooks.List(found.Path)) {
		list = append(list, s.describeHook(found, h))
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

// createHook makes a webhook that sends pushes unless the request says otherwise. Gitee documents
// no limit.
func (s *Server) createHook(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	h, ok := readHook(w, r, hook{Push: true})
	if !ok {
		return
	}
	added, _ := s.hooks.Add(found.Path, h, func([]platform.Hook[hook]) string { return "" })
	platform.WriteJSON(w, http.StatusCreated, s.describeHook(found, added))
}

func (s *Server) getHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	platform.WriteJSON(w, http.StatusOK, s.describeHook(found, h))
}

func (s *Server) editHook(
	w http.ResponseWriter, r *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	edited, ok := readHook(w, r, h.Hook)
	if !ok {
		return
	}
	h, _ = s.hooks.Edit(found.Path, h.ID, func(h *hook) { *h = edited })
	platform.WriteJSON(w, http.StatusOK, s.describeHook(found, h))
}

func (s *Server) deleteHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	s.hooks.Delete(found.Path, h.ID)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) testHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	s.Send(platform.Gitee, found.Path, s.test(found, h))
	w.WriteHeader(http.StatusNoContent)
}

// Delivered notes the answer to a webhook's delivery. Gitee is not known to disable any.
func (s *Server) Delivered(repository, hookID string, status int) {
	id, _ := strconv.ParseInt(hookID, 10, 64)
	s.hooks.Edit(repository, id, func(h *hook) { h.status = status })
}

// Webhooks lists the webhooks of all repositories.
func (s *Server) Webhooks() []platform.Webhook {
	return s.hooks.Describe(func(h hook) (string, bool) { return h.URL, true })
}
