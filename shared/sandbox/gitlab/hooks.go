package gitlab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bindery/shared/sandbox/platform"
)

// hook is a webhook, with the fields of a request and the failures of its deliveries.
type hook struct {
	URL            string `json:"url"`
	Name           string `json:"name"`
	Description    string `json:"description"`
	Token          string `json:"token"`
	SigningToken   string `json:"signing_token"`
	Push           bool   `json:"push_events"`
	TagPush        bool   `json:"tag_push_events"`
	MergeRequests  bool   `json:"merge_requests_events"`
	EnableSSLCheck bool   `json:"enable_ssl_verification"`

	uuid          string
	failures      int // in a row
	disabledUntil time.Time
}

// The limits of webhooks. https://docs.gitlab.com/user/project/integrations/webhooks/
const (
	maxHooks           = 100
	maxTests           = 5  // of a user in a project, in a minute
	temporaryFailures  = 4  // in a row disable a webhook for a while
	permanentFailures  = 40 // in a row disable it
	longestPause       = 24 * time.Hour
	signingTokenPrefix = "whsec_"
)

// hookRoutes adds the routes of webhooks.
func (s *Server) hookRoutes(mux *http.ServeMux) {
	const (
		hooks = "/api/v4/projects/{project}/hooks"
		one   = hooks + "/{hook}"
	)
	handle := func(pattern string, h projectHandler) {
		mux.HandleFunc(pattern, s.serve(s.inHooks(h)))
	}
	handle("GET "+hooks, s.listHooks)
	handle("POST "+hooks, s.createHook)
	handle("GET "+one, s.getHook)
	handle("PUT "+one, s.editHook)
	handle("DELETE "+one, s.deleteHook)
	mux.HandleFunc("POST "+one+"/test/{trigger}", s.testHook)
}

// inHooks returns the handler of calls about the webhooks of a project, which need the role of a
// maintainer.
func (s *Server) inHooks(serve projectHandler) handler {
	inProject := s.inProject(func(r *http.Request, u User, p platform.Repository) (any, *apiError) {
		if !p.Admin || p.Archived && r.Method != http.MethodGet {
			return nil, failure(http.StatusForbidden, "403 Forbidden")
		}
		return serve(r, u, p)
	})
	return func(r *http.Request, t *token, u User) (any, *apiError) {
		if r.Method != http.MethodGet {
			if err := t.checkScope("api"); err != nil {
				return nil, err
			}
		}
		return inProject(r, t, u)
	}
}

// failure is an error reply with a message, which is a text or an object.
func failure(status int, message any) *apiError {
	return &apiError{status, platform.Object{"message": message}}
}

// created is a reply with the status 201.
type created struct{ body platform.Object }

// signs reports whether this version signs deliveries. Hold mu.
func (s *Server) signs() bool { return !s.currentVersion().before(19, 0) }

// describeHook describes a webhook without its tokens. Hold mu.
func (s *Server) describeHook(p platform.Repository, h platform.Hook[hook]) platform.Object {
	of := h.Hook
	o := platform.Object{
		"id": h.ID, "url": of.URL, "name": of.Name, "description": of.Description,
		"project_id": p.ID, "push_events": of.Push, "tag_push_events": of.TagPush,
		"merge_requests_events": of.MergeRequests, "push_events_branch_filter": "",
		"branch_filter_strategy":  "wildcard",
		"enable_ssl_verification": of.EnableSSLCheck, "repository_update_events": false,
		"alert_status": "executable", "disabled_until": nil, "url_variables": []string{},
		"custom_headers": []string{}, "custom_webhook_template": nil, "created_at": platform.Epoch,
	}
	for _, event := range []string{
		"issues", "confidential_issues", "note", "confidential_note", "job", "pipeline", "wiki_page",
		"deployment", "releases", "feature_flag", "resource_access_token",
	} {
		o[event+"_events"] = false
	}
	switch {
	case of.failures >= permanentFailures:
		o["alert_status"] = "disabled"
	case s.Now().Before(of.disabledUntil):
		o["alert_status"] = "temporarily_disabled"
		o["disabled_until"] = of.disabledUntil.UTC().Format(time.RFC3339)
	}
	if s.signs() {
		o["token_present"], o["signing_token_present"] = of.Token != "", of.SigningToken != ""
	}
	return o
}

// readHook reads the fields of a request over those that the webhook has. Another URL clears the
// tokens that the request hasn't. Hold mu.
func (s *Server) readHook(r *http.Request, h hook) (hook, *apiError) {
	body, ok := platform.ReadObject(r)
	var in struct {
		URL string `json:"url"`
	}
	if !ok || json.Unmarshal(body, &in) != nil || in.URL == "" {
		return h, &apiError{http.StatusBadRequest, platform.Object{"error": "url is missing"}}
	}
	if in.URL != h.URL {
		h.Token, h.SigningToken = "", ""
	}
	if json.Unmarshal(body, &h) != nil {
		return h, &apiError{http.StatusBadRequest, platform.Object{"error": "a field is invalid"}}
	}
	if !strings.HasPrefix(h.URL, "http://") && !strings.HasPrefix(h.URL, "https://") {
		return h, &apiError{
			http.StatusUnprocessableEntity, platform.Object{"error": "Invalid url given"},
		}
	}
	if !s.signs() {
		h.SigningToken = "" // an unknown field
	}
	if h.SigningToken != "" && len(h.signingKey()) != 32 {
		return h, failure(http.StatusUnprocessableEntity,
			platform.Object{"signing_token": []string{"is invalid"}})
	}
	return h, nil
}

// signingKey returns the key of a signing token, nil if it is none.
func (h hook) signingKey() []byte {
	text, ok := strings.CutPrefix(h.SigningToken, signingTokenPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		return nil
	}
	return key
}

func (s *Server) listHooks(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	all := s.hooks.List(p.Path)
	page, header := pages(r, s.base(r), len(all))
	list := []platform.Object{}
	for _, h := range all[page.From:page.To] {
		list = append(list, s.describeHook(p, h))
	}
	return listed{list, header}, nil
}

// createHook makes a webhook that sends pushes unless the request says otherwise.
func (s *Server) createHook(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	h, err := s.readHook(r, hook{Push: true, EnableSSLCheck: true, uuid: s.UUID()})
	if err != nil {
		return nil, err
	}
	added, full := s.hooks.Add(p.Path, h, func(all []platform.Hook[hook]) string {
		if len(all) < maxHooks {
			return ""
		}
		return fmt.Sprintf("Maximum number of project hooks (%d) exceeded", maxHooks)
	})
	if full != "" {
		return nil, failure(http.StatusUnprocessableEntity, platform.Object{"base": []string{full}})
	}
	return created{s.describeHook(p, added)}, nil
}

// findHook returns the webhook of a request.
func (s *Server) findHook(r *http.Request, p platform.Repository) (platform.Hook[hook], *apiError) {
	id, _ := strconv.ParseInt(r.PathValue("hook"), 10, 64)
	h, ok := s.hooks.Find(p.Path, id)
	if !ok {
		return h, failure(http.StatusNotFound, "404 Not found") // without naming what
	}
	return h, nil
}

func (s *Server) getHook(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	h, err := s.findHook(r, p)
	if err != nil {
		return nil, err
	}
	return s.describeHook(p, h), nil
}

// editHook doesn't enable a disabled webhook.
func (s *Server) editHook(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	h, err := s.findHook(r, p)
	if err != nil {
		return nil, err
	}
	edited, err := s.readHook(r, h.Hook)
	if err != nil {
		return nil, err
	}
	h, _ = s.hooks.Edit(p.Path, h.ID, func(h *hook) { *h = edited })
	return s.describeHook(p, h), nil
}

func (s *Server) deleteHook(r *http.Request, _ User, p platform.Repository) (any, *apiError) {
	h, err := s.findHook(r, p)
	if err != nil {
		return nil, err
	}
	s.hooks.Delete(p.Path, h.ID)
	return nil, nil
}

// testHook delivers at once, to a disabled webhook too, and answers as the receiver does.
func (s *Server) testHook(w http.ResponseWriter, r *http.Request) {
	var path string
	var out platform.Outgoing
	_, err := s.answer(s.inHooks(func(
		r *http.Request, u User, p platform.Repository,
	) (any, *apiError) {
		h, err := s.findHook(r, p)
		if err != nil {
			return nil, err
		}
		path = p.Path
		out, err = s.testDelivery(r.PathValue("trigger"), u, p, h)
		return nil, err
	}), r)
	if err == nil {
		// Without the lock: the receiver may call back.
		if status := <-s.Send(platform.GitLab, path, out); status < 200 || status > 299 {
			err = failure(http.StatusUnprocessableEntity,
				fmt.Sprintf("The hook's receiver answered %d", status))
		}
	}
	if err != nil {
		platform.WriteJSON(w, err.status, err.body)
		return
	}
	platform.WriteJSON(w, http.StatusCreated, platform.Object{"message": "201 Created"})
}

// testDelivery returns the delivery of a test, of which a user has a few in a minute. It can't be
// told from a push of the last commit. Hold mu.
func (s *Server) testDelivery(
	trigger string, u User, p platform.Repository, h platform.Hook[hook],
) (out platform.Outgoing, err *apiError) {
	if !slices.Contains([]string{
		"push_events", "tag_push_events", "merge_requests_events",
	}, trigger) {
		return out, &apiError{
			http.StatusBadRequest, platform.Object{"error": "trigger does not have a valid value"},
		}
	}
	key, now := p.Path+" "+u.Username, s.Now()
	recent := slices.DeleteFunc(s.tests[key], func(at time.Time) bool {
		return !now.Before(at.Add(time.Minute))
	})
	if len(recent) >= maxTests {
		return out, failure(http.StatusTooManyRequests, platform.Object{
			"error": "This endpoint has been requested too many times. Try again later.",
		})
	}
	s.tests[key] = append(recent, now)
	push := platform.Latest(p)
	merges := s.ListMerges(p.Path)
	switch {
	case len(push.Changes) == 0:
		return out, failure(http.StatusUnprocessableEntity, "Ensure the project has commits.")
	case trigger != "merge_requests_events":
		kind := "push"
		if trigger == "tag_push_events" {
			kind = "tag_push"
		}
		return s.outgoing(h, eventNames[kind], s.pushBody(push, push.Changes[0], kind)), nil
	case len(merges) == 0:
		return out, failure(http.StatusUnprocessableEntity,
			"Ensure the project has merge requests.")
	}
	push.Merge = &merges[len(merges)-1].MergeChange
	return s.outgoing(h, eventNames["merge_request"], s.mergeBody(push)), nil
}

// Delivered notes the answer to a webhook's delivery, 0 if there was none. After a few failures in
// a row the webhook is disabled for a while, which doubles with each, and at last permanently.
func (s *Server) Delivered(repository, hookID string, status int) {
	id, _ := strconv.ParseInt(hookID, 10, 64)
	s.hooks.Edit(repository, id, func(h *hook) {
		if status >= 200 && status <= 299 {
			h.failures, h.disabledUntil = 0, time.Time{}
			return
		}
		h.failures++
		if more := h.failures - temporaryFailures; more >= 0 {
			pause := min(time.Minute<<min(more, 11), longestPause)
			h.disabledUntil = s.Now().Add(pause)
		}
	})
}

// Webhooks lists the webhooks of all repositories.
func (s *Server) Webhooks() []platform.Webhook {
	return s.hooks.Describe(func(h hook) (string, bool) {
		return h.URL, h.failures < permanentFailures && !s.Now().Before(h.disabledUntil)
	})
}
