package provider

import (
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func TestCodeupNamesEveryMissingPermission(t *testing.T) {
	for path, missing := range map[string]string{
		inOrg + "/members":       "组织成员：只读",
		inOrg + "/departments":   "组织部门：只读",
		repoPath:                 "代码仓库：只读",
		repoPath + "/7/branches": "分支：只读",
		repoPath + "/7/tags":     "标签：只读",
		repoPath + "/7/webhooks": "Webhook：读写",
	} {
		s := newCodeupSite(t, with(codeupReplies(), path, forbidden), aliceOnly)
		_, err := s.codeup().Verify(t.Context(), codeupSubmission())
		testkit.WantProblem(t, path, err, problem.PermissionMissing, "")
		if got := problem.Of(err).Params["missing"]; got != missing {
			t.Errorf("%s: missing is %q, want %q", path, got, missing)
		}
		for _, call := range s.paths() {
			if strings.Contains(call, ".git") {
				t.Errorf("%s: the clone account was tried although a permission is missing", path)
			}
		}
	}
	replies := with(codeupReplies(), inOrg+"/departments", forbidden)
	replies = with(replies, repoPath+"/7/tags", forbidden)
	s := newCodeupSite(t, replies, aliceOnly)
	_, err := s.codeup().Check(t.Context(), codeupHeld())
	testkit.WantProblem(t, "two", err, problem.PermissionMissing, "")
	if got := problem.Of(err).Params["missing"]; got != "组织部门：只读, 标签：只读" {
		t.Errorf("missing is %q", got)
	}
}

func TestCodeupSaysWhatItCantProve(t *testing.T) {
	down := canned{status: 500, body: `{"errorCode":"InternalServerError"}`}
	for _, tt := range []struct {
		name    string
		replies map[string]canned
		want    []string
	}{
		{"a failing probe", with(codeupReplies(), repoPath+"/7/tags", down), []string{
			"permission_not_provable no_answer 标签：只读",
			"permission_not_provable write Webhook：读写",
		}},
		{"failing webhooks", with(codeupReplies(), repoPath+"/7/webhooks", down), []string{
			"permission_not_provable no_answer Webhook：读写",
		}},
		{"no repository", with(codeupReplies(), repoPath, canned{body: `[]`}), []string{
			"permission_not_provable no_repository 分支：只读",
			"permission_not_provable no_repository 标签：只读",
			"permission_not_provable no_repository Webhook：读写",
			"username_unverified",
		}},
		{"repositories of no use", with(codeupReplies(), repoPath, canned{
			body: `[{"id":"../1","accessLevel":40}]`,
		}), []string{
			"permission_not_provable no_repository 分支：只读",
			"permission_not_provable no_repository 标签：只读",
			"permission_not_provable no_repository Webhook：读写",
			"username_unverified",
		}},
		{"a user without the right", with(
			with(codeupReplies(), repoPath, canned{body: `[{"id":7,"accessLevel":30}]`}),
			repoPath+"/7/webhooks", forbidden,
		), []string{"permission_not_provable no_answer Webhook：读写"}},
	} {
		s := newCodeupSite(t, tt.replies, aliceOnly)
		f, err := s.codeup().Verify(t.Context(), codeupSubmission())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		same(t, tt.name, warned(f), tt.want)
	}
}

func TestB4_ACodeupThatAnswersNothingIsTransient(t *testing.T) {
	replies := map[string]canned{cuUser: codeupReplies()[cuUser]}
	for _, path := range []string{inOrg + "/members", inOrg + "/departments", repoPath} {
		replies[path] = canned{status: 500}
	}
	s := newTokenSite(t, replies)
	_, err := s.codeup().Check(t.Context(), codeupHeld())
	testkit.WantProblem(t, "Check", err, problem.PlatformError, "")
}

// The permissions that a registry's documentation asks for don't let a token ask for its user
// and its organizations.
func TestCodeupAcceptsATokenMadeAsDocumented(t *testing.T) {
	minimal := with(codeupReplies(), cuUser, forbidden)
	for _, path := range []string{orgPath, inOrg + "/roles"} {
		minimal = with(minimal, path, forbidden)
	}
	minimal = with(minimal, repoPath, canned{body: `[{"id":7,"accessLevel":40}]`})
	s := newCodeupSite(t, minimal, aliceOnly)

	in := codeupSubmission()
	_, err := s.codeup().Verify(t.Context(), in)
	testkit.WantProblem(t, "without the organization", err, problem.OrganizationUnknown, "")

	in.Organization = " o1 "
	f, err := s.codeup().Verify(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Identity{ID: "clone:alice@1", Username: "alice@1"}); f.Identity != want {
		t.Errorf("the identity is %+v, want %+v", f.Identity, want)
	}
	if f.Organization != "o1" {
		t.Errorf("the organization is %q", f.Organization)
	}
	same(t, "warnings", warned(f), []string{"permission_not_provable write Webhook：读写"})
	again, err := s.codeup().Check(t.Context(), codeupHeld())
	if err != nil || again.Identity != f.Identity {
		t.Errorf("a check finds %+v, %v", again.Identity, err)
	}
}

func TestCodeupFindsTheOrganization(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply canned
		last  string
		want  string
	}{
		{"one", canned{body: `[{"id":"o1"}]`}, "o2", "o1"},
		{"one that may not be listed", forbidden, "o1", "o1"},
		{"nothing known", forbidden, "", ""},
		{"nothing of use", forbidden, "../o1", ""},
		{"none", canned{body: `[]`}, "o1", ""},
		{"one of no use", canned{body: `[{"id":"o/1"}]`}, "", ""},
	} {
		replies := with(codeupReplies(), orgPath, tt.reply)
		replies = with(replies, cuUser, canned{
			body: `{"id":"u1","lastOrganization":"` + tt.last + `"}`,
		})
		s := newCodeupSite(t, replies, aliceOnly)
		f, err := s.codeup().Verify(t.Context(), codeupSubmission())
		if tt.want == "" {
			testkit.WantProblem(t, tt.name, err, problem.OrganizationUnknown, "")
		} else if err != nil || f.Organization != tt.want {
			t.Errorf("%s: found %q, %v, want %q", tt.name, f.Organization, err, tt.want)
		}
	}

	s := newCodeupSite(t, with(codeupReplies(), orgPath, canned{
		body: `[{"id":"o1","name":"One"},{"id":"o2","name":"二"}]`,
	}), aliceOnly)
	_, err := s.codeup().Verify(t.Context(), codeupSubmission())
	testkit.WantProblem(t, "several", err, problem.OrganizationUnknown, "several")
	if got := problem.Of(err).Params["organizations"]; got != "o1 (One), o2 (二)" {
		t.Errorf("the organizations are %q", got)
	}
	s = newCodeupSite(t, with(codeupReplies(), orgPath, canned{status: 500}), aliceOnly)
	_, err = s.codeup().Verify(t.Context(), codeupSubmission())
	testkit.WantProblem(t, "no answer", err, problem.PlatformError, "")

	in := codeupSubmission()
	in.Organization = "o9"
	_, err = s.codeup().Verify(t.Context(), in)
	testkit.WantProblem(t, "a gateway's 404", err, problem.PlatformError, "")
	replies := codeupReplies()
	for _, path := range []string{
		orgPath + "/o9/members", orgPath + "/o9/departments",
		"/oapi/v1/codeup/organizations/o9/repositories",
	} {
		replies[path] = canned{status: 404, body: `{"errorCode":"NotFound"}`}
	}
	s = newCodeupSite(t, replies, aliceOnly)
	_, err = s.codeup().Verify(t.Context(), in)
	testkit.WantProblem(t, "one that isn't there", err, problem.OrganizationUnknown, "not_a_member")
}

func TestCodeupAsksForAnAdministrator(t *testing.T) {
	members := func(role string) canned {
		return canned{body: `[{"userId":"u1","roleIds":["` + role + `"]}]`}
	}
	noRoles := with(codeupReplies(), inOrg+"/roles", forbidden)
	const notAdmin, perhapsNot = "not_administrator not_admin", "not_administrator"
	for _, tt := range []struct {
		name    string
		replies map[string]canned
		want    string
	}{
		{"administrator", with(codeupReplies(), inOrg+"/members", members("r1")), ""},
		{"member", with(codeupReplies(), inOrg+"/members", members("r2")), notAdmin},
		{"in English", with(codeupReplies(), inOrg+"/roles", canned{
			body: `[{"id":"r1","name":"Organization Owner"}]`,
		}), ""},
		{"not on the page", with(codeupReplies(), inOrg+"/members", canned{
			body: `[]`,
		}), perhapsNot},
		{"roles without names, low access", noRoles, perhapsNot},
		{"roles without names, full access", with(noRoles, repoPath, canned{
			body: `[{"id":7,"accessLevel":"40"}]`,
		}), ""},
		{"nothing to tell by", with(noRoles, repoPath, canned{body: `[]`}), perhapsNot},
	} {
		s := newCodeupSite(t, tt.replies, aliceOnly)
		f, err := s.codeup().Check(t.Context(), codeupHeld())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		got := ""
		for _, warning := range warned(f) {
			if strings.HasPrefix(warning, "not_administrator") {
				got = warning
			}
		}
		if got != tt.want {
			t.Errorf("%s: warned of %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCodeupWarnsOfAnUnknownExpiry(t *testing.T) {
	s := newCodeupSite(t, codeupReplies(), aliceOnly)
	in := codeupSubmission()
	in.ExpiresAt = time.Time{}
	f, err := s.codeup().Verify(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "warnings", warned(f), []string{
		"permission_not_provable write Webhook：读写", "expiry_unknown",
	})
}
