package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// hook is a webhook, with the fields of a request.
type hook struct {
	Active bool     `json:"active"`
	Events []string `json:"events"`
	Config config   `json:"config"`
	status int      // of the last answer
}

// config says where a webhook delivers to, and how.
type config struct {
	URL         string `json:"url"`
	ContentType string `json:"content_type"` // "form" or "json"
	Secret      string `json:"secret"`
	InsecureSSL any    `json:"insecure_ssl"` // "0", "1", 0 or 1
}

// maxHooks is how many webhooks of a repository may send the same event.
const maxHooks = 20

// hookRoutes adds the routes of webhooks, by the repository's id and by its path.
func (s *Server) hookRoutes() {
	for _, base := range []string{"/repositories/{id}/hooks", "/repos/{owner}/{name}/hooks"} {
		handle := func(method, path string, h hookHandler, scopes ...string) {
			s.Mux.HandleFunc(method+" "+base+path, s.inHooks(h, slices.Concat(scopes, []string{"repo"})))
		}
		const one = "/{hook}"
		read := []string{"admin:repo_hook", "write:repo_hook", "read:repo_hook"}
		write := read[:2]
		handle("GET", "", s.listHooks, read...)
		handle("POST", "", s.createHook, write...)
		handle("GET", one, s.inHook(s.getHook), read...)
		handle("PATCH", one, s.inHook(s.editHook), write...)
		handle("DELETE", one, s.inHook(s.deleteHook), read[:1]...)
		handle("GET", one+"/config", s.inHook(s.getConfig), read...)
		handle("PATCH", one+"/config", s.inHook(s.editConfig), write...)
		handle("POST", one+"/pings", s.inHook(s.pingHook), read...)
		handle("POST", one+"/tests", s.inHook(s.testHook), read...)
	}
}

type hookHandler func(http.ResponseWriter, *http.Request, platform.Repository)

// inHooks returns a handler of calls about the webhooks of a repository. Without one of the scopes,
// or without the user's right to administer the repository, it doesn't exist.
func (s *Server) inHooks(serve hookHandler, scopes []string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := s.authenticate(w, r)
		if !ok {
			return
		}
		w.Header().Set("X-Accepted-OAuth-Scopes", strings.Join(slices.Sorted(
			slices.Values(scopes)), ", "))
		path := r.PathValue("owner") + "/" + r.PathValue("name")
		found, ok := platform.FindRepository(s.Repositories(c.Login),
			func(one platform.Repository) bool {
				return one.Path == path || strconv.FormatInt(one.ID, 10) == r.PathValue("id")
			})
		switch {
		case !ok || !found.Admin || !slices.ContainsFunc(scopes, c.Has):
			fail(w, http.StatusNotFound, "Not Found")
		case s.hidden(found):
			s.requireSignOn(w, r)
		case found.Archived && r.Method != http.MethodGet:
			fail(w, http.StatusForbidden, "Repository was archived so is read-only.")
		default:
			serve(w, r, found)
		}
	}
}

// inHook returns a handler of calls about one webhook.
func (s *Server) inHook(
	serve func(http.ResponseWriter, *http.Request, platform.Repository, platform.Hook[hook]),
) hookHandler {
	return func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
		id, _ := strconv.ParseInt(r.PathValue("hook"), 10, 64)
		h, ok := s.hooks.Find(found.Path, id)
		if !ok {
			fail(w, http.StatusNotFound, "Not Found")
			return
		}
		serve(w, r, found, h)
	}
}

// describeHook describes a webhook, whose secret is masked.
func (s *Server) describeHook(
	r *http.Request, found platform.Repository, h platform.Hook[hook],
) platform.Object {
	api := fmt.Sprintf("%s/repos/%s/hooks/%d", s.Origin(r), found.Path, h.ID)
	last := platform.Object{"code": nil, "status": "unused", "message": nil}
	if code := h.Hook.status; code != 0 {
		last = platform.Object{
			"code": code, "status": "active", "message": http.StatusText(code),
		}
		if code >= 300 {
			last["status"] = "misconfigured"
		}
	}
	return platform.Object{
		"type": "Repository", "id": h.ID, "name": "web", "active": h.Hook.Active,
		"events": h.Hook.Events, "config": h.Hook.Config.describe(), "url": api,
		"test_url": api + "/test", "ping_url": api + "/pings",
		"deliveries_url": api + "/deliveries", "last_response": last,
		"created_at": platform.Epoch, "updated_at": platform.Epoch,
	}
}

func (c config) describe() platform.Object {
	o := platform.Object{
		"url": c.URL, "content_type": c.ContentType,
		"insecure_ssl": fmt.Sprint(c.InsecureSSL),
	}
	if c.Secret != "" {
		o["secret"] = "********"
	}
	return o
}

// invalid is the reply to a webhook that can't be.
func invalid(w http.ResponseWriter, why string) {
	platform.WriteJSON(w, http.StatusUnprocessableEntity, platform.Object{
		"message": "Validation Failed", "documentation_url": "https://docs.github.com/rest",
		"errors": []platform.Object{{"resource": "Hook", "code": "custom", "message": why}},
		"status": "422",
	})
}

// check returns why a webhook can't be, "" if it can. It sets what a request may leave out.
func (c *config) check() string {
	if c.ContentType == "" {
		c.ContentType = "form"
	}
	if c.InsecureSSL == nil {
		c.InsecureSSL = "0"
	}
	switch {
	case !strings.HasPrefix(c.URL, "http://") && !strings.HasPrefix(c.URL, "https://"):
		return "Config url must be a valid URL"
	case c.ContentType != "form" && c.ContentType != "json":
		return "Config content_type is invalid"
	}
	return ""
}

// refused returns a function that says why a repository with other webhooks takes none like this.
func (h hook) refused(but int64) func([]platform.Hook[hook]) string {
	return func(all []platform.Hook[hook]) string {
		counts := map[string]int{}
		for _, other := range all {
			if other.ID == but {
				continue
			}
			overlap := false
			for _, event := range other.Hook.Events {
				counts[event]++
				overlap = overlap || slices.Contains(h.Events, event)
			}
			same := other.Hook.Config.URL == h.Config.URL &&
				other.Hook.Config.ContentType == h.Config.ContentType
			if overlap && same {
				return "Hook already exists on this repository"
			}
		}
		for _, event := range h.Events {
			if counts[event] >= maxHooks {
				return fmt.Sprintf("The %q event cannot have more than %d hooks", event, maxHooks)
			}
		}
		return ""
	}
}

func (s *Server) listHooks(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	all := s.hooks.List(found.Path)
	p, list := s.page(w, r, len(all)), []platform.Object{}
	for _, h := range all[p.From:p.To] {
		list = append(list, s.describeHook(r, found, h))
	}
	platform.WriteJSON(w, http.StatusOK, list)
}

func (s *Server) createHook(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	h := hook{Active: true, Events: []string{"push"}}
	if err := json.NewDecoder(r.Body).Decode(&h); err != nil {
		fail(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	why := h.Config.check()
	var added platform.Hook[hook]
	if why == "" {
		added, why = s.hooks.Add(found.Path, h, h.refused(0))
	}
	if why != "" {
		invalid(w, why)
		return
	}
	if h.Active {
		s.Send(platform.GitHub, found.Path, s.ping(found, added))
	}
	platform.WriteJSON(w, http.StatusCreated, s.describeHook(r, found, added))
}

func (s *Server) getHook(
	w http.ResponseWriter, r *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	platform.WriteJSON(w, http.StatusOK, s.describeHook(r, found, h))
}

// editHook replaces the whole config if the request has one, with its secret.
func (s *Server) editHook(
	w http.ResponseWriter, r *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	var in struct {
		Active       *bool    `json:"active"`
		Events       []string `json:"events"`
		AddEvents    []string `json:"add_events"`
		RemoveEvents []string `json:"remove_events"`
		Config       *config  `json:"config"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	edited := h.Hook
	if in.Active != nil {
		edited.Active = *in.Active
	}
	if in.Events != nil {
		edited.Events = in.Events
	}
	edited.Events = slices.DeleteFunc(slices.Concat(edited.Events, in.AddEvents),
		func(event string) bool { return slices.Contains(in.RemoveEvents, event) })
	if in.Config != nil {
		edited.Config = *in.Config
	}
	s.store(w, found, h.ID, edited, func(h platform.Hook[hook]) {
		platform.WriteJSON(w, http.StatusOK, s.describeHook(r, found, h))
	})
}

// store stores an edited webhook and answers with reply, or refuses it.
func (s *Server) store(
	w http.ResponseWriter, found platform.Repository, id int64, edited hook,
	reply func(platform.Hook[hook]),
) {
	why := edited.Config.check()
	if why == "" {
		why = edited.refused(id)(s.hooks.List(found.Path))
	}
	if why != "" {
		invalid(w, why)
		return
	}
	h, ok := s.hooks.Edit(found.Path, id, func(h *hook) { *h = edited })
	if !ok {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	reply(h)
}

func (s *Server) getConfig(
	w http.ResponseWriter, _ *http.Request, _ platform.Repository, h platform.Hook[hook],
) {
	platform.WriteJSON(w, http.StatusOK, h.Hook.Config.describe())
}

// editConfig changes only the fields that the request has.
func (s *Server) editConfig(
	w http.ResponseWriter, r *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	if err := json.NewDecoder(r.Body).Decode(&h.Hook.Config); err != nil {
		fail(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	s.store(w, found, h.ID, h.Hook, func(h platform.Hook[hook]) {
		platform.WriteJSON(w, http.StatusOK, h.Hook.Config.describe())
	})
}

func (s *Server) deleteHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	s.hooks.Delete(found.Path, h.ID)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) pingHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	s.Send(platform.GitHub, found.Path, s.ping(found, h))
	w.WriteHeader(http.StatusNoContent)
}

// testHook delivers the last push again, if the webhook sends pushes.
func (s *Server) testHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	push := platform.Latest(found)
	if len(push.Changes) > 0 && slices.Contains(h.Hook.Events, "push") {
		body := s.pushBody(push, push.Changes[0])
		s.Send(platform.GitHub, found.Path, s.outgoing(found, h, "push", body))
	}
	w.WriteHeader(http.StatusNoContent)
}

// Delivered notes the answer to a webhook's delivery. GitHub never disables a webhook.
func (s *Server) Delivered(repository, hookID string, status int) {
	id, _ := strconv.ParseInt(hookID, 10, 64)
	s.hooks.Edit(repository, id, func(h *hook) { h.status = status })
}

// plainUser describes a user who sends a delivery.
func (s *Server) plainUser(login string) platform.Object {
	of := oauth.User{Login: login, ID: platform.NewRepository(platform.GitHub, login).ID, Type: "User"}
	for _, u := range users() {
		if u.Login == login {
			of = u
		}
	}
	return s.describe(platform.Elsewhere(), of)
}

// Webhooks lists the webhooks of all repositories.
func (s *Server) Webhooks() []platform.Webhook {
	return s.hooks.Describe(func(h hook) (string, bool) { return h.Config.URL, h.Active })
}
