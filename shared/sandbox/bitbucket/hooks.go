package bitbucket

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
)

// hook is a webhook, with the fields of a request.
type hook struct {
	URL         string   `json:"url"`
	Description string   `json:"description"`
	Events      []string `json:"events"`
	Active      bool     `json:"active"`
	SkipCheck   bool     `json:"skip_cert_verification"`
	// Secret is cleared by null and by an empty text. A request without it leaves it as it is.
	Secret string `json:"secret"`
}

// maxHooks is how many webhooks a repository has.
const maxHooks = 50

// events lists the events of a repository that can be subscribed to here, and the scope that each
// needs besides webhook.
func events() map[string]string {
	return map[string]string{
		"repo:push": "repository", "pullrequest:created": "pullrequest",
		"pullrequest:updated": "pullrequest", "pullrequest:fulfilled": "pullrequest",
		"pullrequest:rejected": "pullrequest",
	}
}

// hookRoutes adds the routes of webhooks, which have no test.
func (s *Server) hookRoutes() {
	const (
		hooks = "/2.0/repositories/{workspace}/{slug}/hooks"
		one   = hooks + "/{uuid}"
	)
	handle := func(pattern string, h hookHandler) { s.Mux.HandleFunc(pattern, s.inHooks(h)) }
	handle("GET "+hooks, s.listHooks)
	handle("POST "+hooks, s.createHook)
	handle("GET "+one, s.inHook(s.getHook))
	handle("PUT "+one, s.inHook(s.editHook))
	handle("DELETE "+one, s.inHook(s.deleteHook))
}

type hookHandler func(http.ResponseWriter, *http.Request, platform.Repository)

// inHooks returns a handler of calls about the webhooks of a repository that the user administers.
func (s *Server) inHooks(serve hookHandler) http.HandlerFunc {
	return s.inRepository(func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
		switch _, ok := s.authenticate(w, r, "webhook"); {
		case !ok:
		case !found.Admin:
			fail(w, http.StatusForbidden, platform.Object{
				"message": "You must be an administrator of this repository.",
			})
		default:
			serve(w, r, found)
		}
	})
}

// inHook returns a handler of calls about one webhook.
func (s *Server) inHook(
	serve func(http.ResponseWriter, *http.Request, platform.Repository, platform.Hook[hook]),
) hookHandler {
	return func(w http.ResponseWriter, r *http.Request, found platform.Repository) {
		h, ok := s.hooks.Find(found.Path, hookNumber(r.PathValue("uuid")))
		if !ok {
			notFound(w, "Webhook "+r.PathValue("uuid"))
			return
		}
		serve(w, r, found, h)
	}
}

// hookNumber returns the number that [uuid] makes a uuid of, 0 if there is none. The braces may be
// missing.
func hookNumber(text string) int64 {
	digits, _, _ := strings.Cut(strings.Trim(text, "{}"), "-")
	n, _ := strconv.ParseInt(digits, 16, 64)
	if strings.Trim(uuid(n), "{}") != strings.Trim(text, "{}") {
		return 0
	}
	return n
}

// describeHook describes a webhook without its secret.
func (s *Server) describeHook(
	r *http.Request, found platform.Repository, h platform.Hook[hook],
) platform.Object {
	api := s.Origin(r) + "/2.0/repositories/" + found.Path
	return platform.Object{
		"type": "webhook_subscription", "uuid": uuid(h.ID), "url": h.Hook.URL,
		"description": h.Hook.Description, "subject_type": "repository", "active": h.Hook.Active,
		"events": h.Hook.Events, "skip_cert_verification": h.Hook.SkipCheck,
		"secret_set": h.Hook.Secret != "", "read_only": false, "source": nil,
		"created_at": platform.Epoch, "history_enabled": false,
		"subject": platform.Object{
			"type": "repository", "full_name": found.Path, "name": found.Path,
			"uuid": uuid(found.ID), "links": platform.Object{"self": link(api)},
		},
		"links": platform.Object{"self": link(api + "/hooks/" + url.PathEscape(uuid(h.ID)))},
	}
}

// invalid is the reply to a webhook that can't be.
func invalid(w http.ResponseWriter, field, why string) {
	fail(w, http.StatusBadRequest, platform.Object{
		"message": why, "fields": platform.Object{field: []string{why}},
	})
}

// readHook reads the fields of a request over those that the webhook has. It answers a request that
// is wrong, or whose token lacks a scope that an event needs.
func (s *Server) readHook(w http.ResponseWriter, r *http.Request, h hook) (hook, bool) {
	body, ok := platform.ReadObject(r)
	given := map[string]json.RawMessage{}
	if !ok || json.Unmarshal(body, &given) != nil || json.Unmarshal(body, &h) != nil {
		invalid(w, "url", "Invalid JSON")
		return h, false
	}
	if string(given["secret"]) == "null" {
		h.Secret = ""
	}
	switch {
	case !strings.HasPrefix(h.URL, "http://") && !strings.HasPrefix(h.URL, "https://"):
		invalid(w, "url", "Enter a valid URL.")
		return h, false
	case len(h.Events) == 0:
		invalid(w, "events", "At least one event is required.")
		return h, false
	}
	for _, event := range h.Events {
		scope, known := events()[event]
		if !known {
			invalid(w, "events", event+" is not a valid event.")
			return h, false
		}
		if _, ok := s.authenticate(w, r, scope); !ok {
			return h, false
		}
	}
	return h, true
}

func (s *Server) listHooks(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	writePage(s, w, r, s.hooks.List(found.Path), func(h platform.Hook[hook]) platform.Object {
		return s.describeHook(r, found, h)
	})
}

func (s *Server) createHook(w http.ResponseWriter, r *http.Request, found platform.Repository) {
	h, ok := s.readHook(w, r, hook{})
	if !ok {
		return
	}
	added, full := s.hooks.Add(found.Path, h, func(all []platform.Hook[hook]) string {
		if len(all) < maxHooks {
			return ""
		}
		return "A repository can have at most 50 webhooks."
	})
	if full != "" {
		fail(w, http.StatusBadRequest, platform.Object{"message": full})
		return
	}
	platform.WriteJSON(w, http.StatusCreated, s.describeHook(r, found, added))
}

func (s *Server) getHook(
	w http.ResponseWriter, r *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	platform.WriteJSON(w, http.StatusOK, s.describeHook(r, found, h))
}

// editHook keeps the secret if the request has none.
func (s *Server) editHook(
	w http.ResponseWriter, r *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	h.Hook.Events = slices.Clone(h.Hook.Events)
	edited, ok := s.readHook(w, r, h.Hook)
	if !ok {
		return
	}
	h, _ = s.hooks.Edit(found.Path, h.ID, func(h *hook) { *h = edited })
	platform.WriteJSON(w, http.StatusOK, s.describeHook(r, found, h))
}

func (s *Server) deleteHook(
	w http.ResponseWriter, _ *http.Request, found platform.Repository, h platform.Hook[hook],
) {
	s.hooks.Delete(found.Path, h.ID)
	w.WriteHeader(http.StatusNoContent)
}

// Delivered does nothing: the API doesn't tell how a delivery was answered, and Bitbucket disables
// no webhook.
func (s *Server) Delivered(string, string, int) {}

// actor describes a user who sends a delivery.
func (s *Server) actor(login string) platform.Object {
	users := oauth.Users(3000)
	i := slices.IndexFunc(users, func(u oauth.User) bool { return u.Login == login })
	if i < 0 {
		return s.describeUser(platform.Elsewhere(), oauth.User{Login: login, Name: login})
	}
	return s.describeUser(platform.Elsewhere(), users[i])
}

// Webhooks lists the webhooks of all repositories.
func (s *Server) Webhooks() []platform.Webhook {
	return s.hooks.Describe(func(h hook) (string, bool) { return h.URL, h.Active })
}
