package codeup

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"

	"bindery/shared/sandbox/platform"
)

// call is a request that has passed the checks.
type call struct {
	*http.Request
	token        Token
	user         User
	organization string
}

// handler answers one kind of call with an object, with a list or names, which are paged, or with
// nil, which is an empty reply. It runs with the lock held, and its answer is a copy.
type handler func(call) (any, *apiError)

// names is a list whose items are described when it is known which of them are on the page.
type names struct {
	all      []string
	describe func(name string) platform.Object
}

// routes returns the routes of the central edition.
func (s *Server) routes() http.Handler {
	const (
		base  = "/oapi/v1/platform"
		org   = base + "/organizations/{organization}"
		repos = "/oapi/v1/codeup/organizations/{organization}/repositories"
		hooks = repos + "/{repository}/webhooks"
	)
	mux := http.NewServeMux()
	handle := func(pattern string, p Permission, h handler) {
		mux.HandleFunc(pattern, s.serve(p, h))
	}
	handle("GET "+base+"/user", UserInfo, s.getUser)
	handle("GET "+base+"/organizations", Organizations, s.listOrganizations)
	handle("GET "+org+"/members", Members, s.listMembers)
	handle("GET "+org+"/members/{member}", Members, s.getMember)
	handle("GET "+org+"/members:readByUser", Members, s.getMember)
	handle("GET "+org+"/departments", Departments, s.listDepartments)
	handle("GET "+org+"/roles", Roles, s.listRoles)
	handle("GET "+repos, Repositories, s.listRepositories)
	handle("GET "+repos+"/{repository}", Repositories, s.inRepository(s.getRepository))
	handle("GET "+repos+"/{repository}/branches", Branches, s.inRepository(s.listBranches))
	handle("GET "+repos+"/{repository}/branches/{name}", Branches, s.inRepository(s.getBranch))
	handle("GET "+repos+"/{repository}/tags", Tags, s.inRepository(s.listTags))
	handle("GET "+repos+"/{repository}/commits/{sha}", Commits, s.inRepository(s.getCommit))
	handle("GET "+repos+"/{repository}/files/{path}", Files, s.inRepository(s.getFile))
	handle("GET "+repos+"/{repository}/changeRequests/{local}", MergeRequests,
		s.inRepository(s.getChangeRequest))
	handle("GET "+hooks, HooksRead, s.inHooks(s.listHooks))
	handle("POST "+hooks, Hooks, s.inHooks(s.createHook))
	handle("GET "+hooks+"/{hook}", HooksRead, s.inHook(s.getHook))
	handle("PUT "+hooks+"/{hook}", Hooks, s.inHook(s.updateHook))
	handle("DELETE "+hooks+"/{hook}", Hooks, s.inHook(s.deleteHook))
	tokens := s.tokenPage()
	mux.Handle("GET "+tokenPath, tokens)
	mux.Handle("POST "+tokenPath, tokens)
	mux.HandleFunc("GET /{organization}/{rest...}", s.serveGit)
	mux.HandleFunc("POST /{organization}/{rest...}", s.serveGit)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.fail(w, &apiError{http.StatusNotFound, "NotFound", "No such API"})
	})
	return mux
}

// serve answers a call that needs a permission. It writes the reply without holding the lock.
func (s *Server) serve(p Permission, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := s.answer(p, h, r)
		if err != nil {
			s.fail(w, err)
			return
		}
		w.Header().Set("X-Request-Id", s.requestID())
		switch body := body.(type) {
		case nil:
			w.WriteHeader(http.StatusNoContent)
		case []platform.Object:
			platform.WriteJSON(w, http.StatusOK, page(w, r, body))
		case names:
			list := []platform.Object{}
			for _, name := range page(w, r, body.all) {
				list = append(list, body.describe(name))
			}
			platform.WriteJSON(w, http.StatusOK, list)
		default:
			platform.WriteJSON(w, http.StatusOK, body)
		}
	}
}

// answer checks a call and runs its handler, with the lock held.
func (s *Server) answer(p Permission, h handler, r *http.Request) (any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, err := s.authenticate(r.Header.Get("X-Yunxiao-Token"))
	if err != nil {
		return nil, err
	}
	c := call{
		Request: r, token: token, user: s.users[token.CloneAccount],
		organization: r.PathValue("organization"),
	}
	if c.organization != "" {
		if err := s.checkMember(c.organization, token, remoteHost(r)); err != nil {
			return nil, err
		}
	}
	open := p == UserInfo && s.On(OpenUser)
	if err := checkPermission(token, p); err != nil && !open {
		return nil, err
	}
	return h(c)
}

// remoteHost returns the address that a request came from, without the port.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// fail writes an error. With [PlainErrors] the body is not what its content type says.
func (s *Server) fail(w http.ResponseWriter, e *apiError) {
	id := s.requestID()
	w.Header().Set("X-Request-Id", id)
	if s.On(PlainErrors) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.status)
		_, _ = io.WriteString(w, e.code+": "+e.message)
		return
	}
	platform.WriteJSON(w, e.status, platform.Object{
		"errorCode": e.code, "errorMessage": e.message, "requestId": id,
	})
}

// requestID returns the next request's id.
func (s *Server) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return fmt.Sprintf("sandbox-%06d", s.requests)
}

// page returns the part of a list that the request asks for, and sets the headers about it.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	p := platform.PageOf(r, "perPage", len(all))
	pages := (len(all) + p.Size - 1) / p.Size
	h := w.Header()
	h.Set("X-Page", strconv.Itoa(p.Number))
	h.Set("X-Per-Page", strconv.Itoa(p.Size))
	h.Set("X-Total", strconv.Itoa(len(all)))
	h.Set("X-Total-Pages", strconv.Itoa(pages))
	h.Set("X-Next-Page", "")
	h.Set("X-Prev-Page", "")
	if p.Number < pages {
		h.Set("X-Next-Page", strconv.Itoa(p.Number+1))
	}
	if p.Number > 1 {
		h.Set("X-Prev-Page", strconv.Itoa(p.Number-1))
	}
	return append([]T{}, all[p.From:p.To]...)
}

// notFound is a 404.
func notFound(what string) (any, *apiError) {
	return nil, &apiError{http.StatusNotFound, "NotFound", what + " not found"}
}

func (s *Server) getUser(c call) (any, *apiError) {
	u := c.user
	return platform.Object{
		"id": u.ID, "username": u.Username, "name": u.Name, "nickName": u.Name,
		"email": u.Email, "staffId": "", "lastOrganization": u.LastOrganization,
		"sysDeptIds": []string{}, "createdAt": platform.Epoch,
	}, nil
}

func (s *Server) listOrganizations(c call) (any, *apiError) {
	var list []platform.Object
	for _, id := range slices.Sorted(maps.Keys(s.organizations)) {
		if _, member := s.members[id][c.token.CloneAccount]; member {
			list = append(list, platform.Object{
				"id": id, "name": s.organizations[id].Name, "description": "",
				"created": platform.Epoch, "updated": platform.Epoch,
			})
		}
	}
	return list, nil
}

// The roles' ids have no meaning, as the real ones don't. Only the list of roles names them.
const (
	adminRole  = "5a0db0c5adb1000000000001"
	memberRole = "5a0db0c5adb1000000000003"
)

// member describes a member. Hold mu.
func (s *Server) member(organization, account string, administrator bool) platform.Object {
	u, role := s.users[account], memberRole
	if administrator {
		role = adminRole
	}
	return platform.Object{
		"id": "member-" + u.ID, "userId": u.ID, "name": u.Name, "email": u.Email,
		"organizationId": organization, "roleIds": []string{role}, "deptIds": []string{},
		"status": "ENABLED", "joined": platform.Epoch, "visited": platform.Epoch,
	}
}

func (s *Server) listMembers(c call) (any, *apiError) {
	var list []platform.Object
	members := s.members[c.organization]
	for _, account := range slices.Sorted(maps.Keys(members)) {
		list = append(list, s.member(c.organization, account, members[account]))
	}
	return list, nil
}

// getMember finds a member by its own id, or by the user's.
func (s *Server) getMember(c call) (any, *apiError) {
	for account, administrator := range s.members[c.organization] {
		m := s.member(c.organization, account, administrator)
		if m["id"] == c.PathValue("member") || m["userId"] == c.URL.Query().Get("userId") {
			return m, nil
		}
	}
	return notFound("Member")
}

func (s *Server) listDepartments(c call) (any, *apiError) {
	return []platform.Object{{
		"id": "department-1", "name": s.organizations[c.organization].Name,
		"organizationId": c.organization, "parentId": "", "hasSub": false,
	}}, nil
}

func (s *Server) listRoles(c call) (any, *apiError) {
	role := func(id, name string) platform.Object {
		return platform.Object{
			"id": id, "name": name, "organizationId": c.organization, "permissions": []string{},
		}
	}
	return []platform.Object{role(adminRole, "企业管理员"), role(memberRole, "企业成员")}, nil
}
