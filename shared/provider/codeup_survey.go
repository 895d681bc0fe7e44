package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// The permissions, as the page where a token is created words them.
const (
	mayMembers      = "组织成员：只读"
	mayDepartments  = "组织部门：只读"
	mayRepositories = "代码仓库：只读"
	mayBranches     = "分支：只读"
	mayTags         = "标签：只读"
	mayReadHooks    = "Webhook：只读"
	mayWriteHooks   = "Webhook：读写"
)

// survey tests what a token may do in an organization. Codeup has no call for a token's
// permissions, so each is tested with one call that only reads.
type survey struct {
	*codeup
	token        secret.Text
	organization string
	user         codeupUser

	members      []codeupMember
	roles        []codeupRole
	repositories []codeupRepository

	// The results.
	repository codeupRepository // the one that was tested, if there is any
	granted    []string
	warnings   []*problem.Problem
}

// question is a call whose reply shows whether a permission was granted.
type question struct {
	permission string // "" if the call tests none
	path       string
	into       any
	err        error
	status     int
	coded      bool // the refusal has Codeup's errorCode
}

type codeupMember struct {
	UserID  loose   `json:"userId"`
	RoleIDs []loose `json:"roleIds"`
}

type codeupRole struct {
	ID   loose `json:"id"`
	Name loose `json:"name"`
}

// codeupRepository is a repository of the list, which has no clone address.
type codeupRepository struct {
	ID          loose `json:"id"`
	AccessLevel loose `json:"accessLevel"` // 20, 30 or 40
	cloneURL    string
}

// highestAccess is the level of users who may change a repository's settings.
const highestAccess = "40"

func (s *survey) run(ctx context.Context) error {
	first, err := s.surveyOrganization(ctx)
	if err != nil {
		return err
	}
	s.pick()
	second := s.surveyRepository(ctx)
	if err := s.evaluate(append(first, second...)); err != nil {
		return err
	}
	if p := s.administrator(); p != nil {
		s.warnings = append(s.warnings, p)
	}
	return nil
}

// surveyOrganization tests the permissions that need no repository. It fails if no call has a
// clear answer.
func (s *survey) surveyOrganization(ctx context.Context) ([]*question, error) {
	platform := "/oapi/v1/platform/organizations/" + s.organization
	list := "/oapi/v1/codeup/organizations/" + s.organization + "/repositories"
	var departments []json.RawMessage
	asked := []*question{
		{permission: mayMembers, path: platform + "/members?page=1&perPage=100", into: &s.members},
		{permission: mayDepartments, path: platform + "/departments", into: &departments},
		{permission: mayRepositories, path: list + "?page=1&perPage=20", into: &s.repositories},
	}
	// Users aren't asked to grant this permission, but with it the members' roles have names.
	roles := &question{path: platform + "/roles", into: &s.roles}
	s.askAll(ctx, append(asked, roles))
	unclear := func(q *question) bool { return problem.Is(q.err, problem.PlatformError) }
	unknown := func(q *question) bool { return q.status == http.StatusNotFound && q.coded }
	switch {
	case !slices.ContainsFunc(asked, func(q *question) bool { return !unknown(q) }):
		return nil, s.problem(problem.OrganizationUnknown).Because("not_a_member")
	case !slices.ContainsFunc(asked, func(q *question) bool { return !unclear(q) }):
		return nil, asked[0].err
	}
	return asked, nil
}

// pick chooses the repository to which the user has the highest access, so that a permission that
// the user lacks isn't mistaken for one that the token lacks.
func (s *survey) pick() {
	for _, r := range s.repositories {
		if !pathSafe(string(r.ID)) {
			continue
		}
		if s.repository.ID == "" || r.AccessLevel > s.repository.AccessLevel {
			s.repository = r
		}
	}
}

// surveyRepository tests the permissions that need a repository, and fetches its clone address.
func (s *survey) surveyRepository(ctx context.Context) []*question {
	if s.repository.ID == "" {
		return nil
	}
	base := "/oapi/v1/codeup/organizations/" + s.organization +
		"/repositories/" + string(s.repository.ID)
	const one = "?page=1&perPage=1"
	var branches, tags, hooks []json.RawMessage
	var detail struct {
		HTTPURLToRepo loose `json:"httpUrlToRepo"`
	}
	asked := []*question{
		{permission: mayBranches, path: base + "/branches" + one, into: &branches},
		{permission: mayTags, path: base + "/tags" + one, into: &tags},
		{permission: mayReadHooks, path: base + "/webhooks" + one, into: &hooks},
	}
	s.askAll(ctx, append(asked, &question{path: base, into: &detail}))
	s.repository.cloneURL = string(detail.HTTPURLToRepo)
	return asked
}

func (s *survey) askAll(ctx context.Context, asked []*question) {
	var all sync.WaitGroup
	for _, q := range asked {
		all.Go(func() {
			var r reply
			r, q.err = s.ask(ctx, s.get(s.token, q.path), q.into)
			refusal, _ := r.apiError()
			q.status, q.coded = r.status, refusal.codeups()
		})
	}
	all.Wait()
}

// evaluate sorts the answers into granted permissions and ones that can't be proved, and returns
// the most specific failure: an invalid token, else the permissions that it lacks, else that the
// platform couldn't answer now.
func (s *survey) evaluate(asked []*question) error {
	var missing []string
	var passing error
	for _, q := range asked {
		switch {
		case q.err == nil:
			s.granted = append(s.granted, q.permission)
		case problem.Is(q.err, problem.PermissionMissing):
			if q.permission == mayReadHooks && s.lowAccess() {
				s.unproved(mayWriteHooks, "no_answer") // perhaps the user lacks it, not the token
				continue
			}
			missing = append(missing, asDocumented(q.permission))
		case problem.Is(q.err, problem.PlatformError):
			s.unproved(asDocumented(q.permission), "no_answer")
		case problem.Is(q.err, problem.PlatformRateLimited),
			problem.Is(q.err, problem.PlatformUnreachable):
			passing = q.err
		default:
			return q.err
		}
	}
	if missing != nil {
		return s.problem(problem.PermissionMissing).With("missing", strings.Join(missing, ", "))
	}
	if slices.Contains(s.granted, mayReadHooks) {
		s.unproved(mayWriteHooks, "write")
	}
	if s.repository.ID == "" {
		for _, permission := range []string{mayBranches, mayTags, mayWriteHooks} {
			s.unproved(permission, "no_repository")
		}
	}
	return passing
}

// asDocumented returns the permission that users are asked to grant where another one is tested.
func asDocumented(permission string) string {
	if permission == mayReadHooks {
		return mayWriteHooks
	}
	return permission
}

func (s *survey) unproved(permission, reason string) {
	s.warnings = append(s.warnings, s.problem(problem.PermissionNotProvable).
		Because(reason).With("permission", permission))
}

// lowAccess reports whether the user is known to be no administrator of the repository.
func (s *survey) lowAccess() bool {
	return s.repository.AccessLevel != "" && s.repository.AccessLevel < highestAccess
}

// administrator returns a warning unless the user is an administrator: judged by the names of the
// roles, where the token may read them; else by the access to the repositories, since an
// administrator has the highest access to all of them.
func (s *survey) administrator() *problem.Problem {
	for _, m := range s.members {
		if s.user.ID == "" || m.UserID != s.user.ID || len(s.roles) == 0 {
			continue
		}
		for _, role := range s.roles {
			if slices.Contains(m.RoleIDs, role.ID) && administrates(string(role.Name)) {
				return nil
			}
		}
		return s.problem(problem.NotAdministrator).Because("not_admin")
	}
	low := func(r codeupRepository) bool { return r.AccessLevel != highestAccess }
	if len(s.repositories) > 0 && !slices.ContainsFunc(s.repositories, low) {
		return nil
	}
	return s.problem(problem.NotAdministrator)
}

// administrates reports whether a role is an organization's owner or administrator. Its id doesn't
// show it, and its name may be in either language.
func administrates(role string) bool {
	role = strings.ToLower(role)
	for _, word := range []string{"管理员", "拥有者", "所有者", "admin", "owner"} {
		if strings.Contains(role, word) {
			return true
		}
	}
	return false
}
