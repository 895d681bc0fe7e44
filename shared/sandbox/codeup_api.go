package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// codeupCall is a request that was let in.
type codeupCall struct {
	*http.Request
	token        CodeupToken
	user         CodeupUser
	organization string
}

// codeupReply is what a call comes to. A list is cut into pages.
type codeupReply struct {
	status int
	body   any
	list   []object
	isList bool
}

// routes are the paths of the central edition.
func (c *codeup) routes() http.Handler {
	const (
		platform = "/oapi/v1/platform"
		org      = platform + "/organizations/{organization}"
		repos    = "/oapi/v1/codeup/organizations/{organization}/repositories"
		hooks    = repos + "/{repository}/webhooks"
	)
	mux := http.NewServeMux()
	handle := func(pattern string, p CodeupPermission, serve codeupFunc) {
		mux.HandleFunc(pattern, c.call(p, serve))
	}
	handle("GET "+platform+"/user", CodeupUserInfo, c.getUser)
	handle("GET "+platform+"/organizations", CodeupOrganizations, c.listOrganizations)
	handle("GET "+org+"/members", CodeupMembers, c.listMembers)
	handle("GET "+org+"/members/{member}", CodeupMembers, c.getMember)
	handle("GET "+org+"/members:readByUser", CodeupMembers, c.getMember)
	handle("GET "+org+"/departments", CodeupDepartments, c.listDepartments)
	handle("GET "+org+"/roles", CodeupRoles, c.listRoles)
	handle("GET "+repos, CodeupRepositories, c.listRepositories)
	handle("GET "+repos+"/{repository}", CodeupRepositories, c.getRepository)
	handle("GET "+repos+"/{repository}/branches", CodeupBranches, c.listBranches)
	handle("GET "+repos+"/{repository}/tags", CodeupTags, c.listTags)
	handle("GET "+hooks, CodeupHooksRead, c.listHooks)
	handle("POST "+hooks, CodeupHooks, c.createHook)
	handle("GET "+hooks+"/{hook}", CodeupHooksRead, c.getHook)
	handle("PUT "+hooks+"/{hook}", CodeupHooks, c.updateHook)
	handle("DELETE "+hooks+"/{hook}", CodeupHooks, c.deleteHook)
	mux.HandleFunc("GET /{organization}/{rest...}", c.serveGit)
	mux.HandleFunc("POST /{organization}/{rest...}", c.serveGit)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		c.refuse(w, &codeupError{http.StatusNotFound, "NotFound", "No such API"})
	})
	return mux
}

// codeupFunc answers one kind of call. The lock is held; it answers with copies.
type codeupFunc func(codeupCall) (codeupReply, *codeupError)

// call authenticates, authorizes, and writes the answer after the lock was given back.
func (c *codeup) call(p CodeupPermission, serve codeupFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, refused := c.answer(p, serve, r)
		if refused != nil {
			c.refuse(w, refused)
			return
		}
		w.Header().Set("X-Request-Id", c.requestID())
		if reply.isList {
			reply.body = codeupPage(w, r, reply.list)
		}
		if reply.status == http.StatusNoContent {
			w.WriteHeader(reply.status)
			return
		}
		writeJSON(w, reply.status, reply.body)
	}
}

// answer does a call under the lock.
func (c *codeup) answer(
	p CodeupPermission, serve codeupFunc, r *http.Request,
) (codeupReply, *codeupError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	token, refused := c.authenticate(r.Header.Get("X-Yunxiao-Token"))
	if refused != nil {
		return codeupReply{}, refused
	}
	call := codeupCall{
		Request: r, token: token, user: c.users[token.CloneAccount],
		organization: r.PathValue("organization"),
	}
	if call.organization != "" {
		if refused := c.enter(call.organization, token, caller(r)); refused != nil {
			return codeupReply{}, refused
		}
	}
	open := p == CodeupUserInfo && c.sandbox.on(Codeup, CodeupOpenUser)
	if refused := permit(token, p); refused != nil && !open {
		return codeupReply{}, refused
	}
	return serve(call)
}

// caller is the address that a request came from.
func caller(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// refuse writes an error, with the quirk of a body that isn't what its type says.
func (c *codeup) refuse(w http.ResponseWriter, e *codeupError) {
	id := c.requestID()
	w.Header().Set("X-Request-Id", id)
	if c.sandbox.on(Codeup, CodeupPlainErrors) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(e.status)
		_, _ = io.WriteString(w, e.Error())
		return
	}
	writeJSON(w, e.status, object{
		"errorCode": e.code, "errorMessage": e.message, "requestId": id,
	})
}

// requestID counts.
func (c *codeup) requestID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	return fmt.Sprintf("sandbox-%06d", c.requests)
}

// codeupPage cuts a list and writes the headers that tell where it was cut.
func codeupPage(w http.ResponseWriter, r *http.Request, all []object) []object {
	page := number(r, "page", 1, 1<<20)
	size := number(r, "perPage", 20, 100)
	pages := (len(all) + size - 1) / size
	from := min((page-1)*size, len(all))
	to := min(from+size, len(all))
	h := w.Header()
	h.Set("X-Page", strconv.Itoa(page))
	h.Set("X-Per-Page", strconv.Itoa(size))
	h.Set("X-Total", strconv.Itoa(len(all)))
	h.Set("X-Total-Pages", strconv.Itoa(pages))
	h.Set("X-Next-Page", "")
	h.Set("X-Prev-Page", "")
	if page < pages {
		h.Set("X-Next-Page", strconv.Itoa(page+1))
	}
	if page > 1 {
		h.Set("X-Prev-Page", strconv.Itoa(page-1))
	}
	return append([]object{}, all[from:to]...)
}

// number reads a positive number of the query, other if there is none, at most limit.
func number(r *http.Request, name string, other, limit int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 1 {
		return other
	}
	return min(n, limit)
}

// one and many are the usual replies.
func one(o object) (codeupReply, *codeupError) {
	return codeupReply{status: http.StatusOK, body: o}, nil
}

func many(list []object) (codeupReply, *codeupError) {
	return codeupReply{status: http.StatusOK, list: list, isList: true}, nil
}

// missing is a 404.
func missing(what string) (codeupReply, *codeupError) {
	return codeupReply{}, &codeupError{http.StatusNotFound, "NotFound", what + " not found"}
}

// epoch is when everything in this sandbox was made.
const epoch = "2025-01-02T03:04:05Z"

func (c *codeup) getUser(call codeupCall) (codeupReply, *codeupError) {
	u := call.user
	return one(object{
		"id": u.ID, "username": u.Username, "name": u.Name, "nickName": u.Name,
		"email": u.Email, "staffId": "", "lastOrganization": u.LastOrganization,
		"sysDeptIds": []string{}, "createdAt": epoch,
	})
}

func (c *codeup) listOrganizations(call codeupCall) (codeupReply, *codeupError) {
	var list []object
	for _, id := range sortedKeys(c.organizations) {
		if _, member := c.members[id][call.token.CloneAccount]; member {
			list = append(list, object{
				"id": id, "name": c.organizations[id].Name, "description": "",
				"created": epoch, "updated": epoch,
			})
		}
	}
	return many(list)
}

// The roles have ids without a meaning, as the real ones do; only the list of roles names them.
const (
	codeupAdminRole  = "5a0db0c5adb1000000000001"
	codeupMemberRole = "5a0db0c5adb1000000000003"
)

func (c *codeup) member(organization, account string, administrator bool) object {
	u, role := c.users[account], codeupMemberRole
	if administrator {
		role = codeupAdminRole
	}
	return object{
		"id": "member-" + u.ID, "userId": u.ID, "name": u.Name, "email": u.Email,
		"organizationId": organization, "roleIds": []string{role}, "deptIds": []string{},
		"status": "ENABLED", "joined": epoch, "visited": epoch,
	}
}

func (c *codeup) listMembers(call codeupCall) (codeupReply, *codeupError) {
	var list []object
	members := c.members[call.organization]
	for _, account := range sortedKeys(members) {
		list = append(list, c.member(call.organization, account, members[account]))
	}
	return many(list)
}

// getMember finds a member by its own id, or by the user's.
func (c *codeup) getMember(call codeupCall) (codeupReply, *codeupError) {
	for account, administrator := range c.members[call.organization] {
		m := c.member(call.organization, account, administrator)
		if m["id"] == call.PathValue("member") || m["userId"] == call.URL.Query().Get("userId") {
			return one(m)
		}
	}
	return missing("Member")
}

func (c *codeup) listDepartments(call codeupCall) (codeupReply, *codeupError) {
	return many([]object{{
		"id": "department-1", "name": c.organizations[call.organization].Name,
		"organizationId": call.organization, "parentId": "", "hasSub": false,
	}})
}

func (c *codeup) listRoles(call codeupCall) (codeupReply, *codeupError) {
	role := func(id, name string) object {
		return object{
			"id": id, "name": name, "organizationId": call.organization,
			"permissions": []string{},
		}
	}
	return many([]object{
		role(codeupAdminRole, "企业管理员"), role(codeupMemberRole, "企业成员"),
	})
}

// sortedKeys makes lists the same every time.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
