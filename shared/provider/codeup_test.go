package provider

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

const (
	orgPath  = "/oapi/v1/platform/organizations"
	cuUser   = "/oapi/v1/platform/user"
	inOrg    = orgPath + "/o1"
	repoPath = "/oapi/v1/codeup/organizations/o1/repositories"
	refsPath = "/o1/group/hello.git/info/refs"

	advertised = "application/x-git-upload-pack-advertisement"
)

var forbidden = canned{status: 403, body: `{"errorCode":"Forbidden","errorMessage":"no"}`}

// codeupReplies are those to a token that may do everything, of an administrator.
func codeupReplies() map[string]canned {
	return map[string]canned{
		cuUser: {body: `{"id":"u1","username":"alice@example.com","name":"爱丽丝",
			"lastOrganization":"o1"}`},
		orgPath: {body: `[{"id":"o1","name":"One"}]`},
		inOrg + "/members": {body: `[{"userId":"u0","roleIds":["r2"]},
			{"userId":"u1","roleIds":["r2","r1"]}]`},
		inOrg + "/departments": {body: `[{"id":"d1"}]`},
		inOrg + "/roles": {body: `[{"id":"r1","name":"企业管理员"},
			{"id":"r2","name":"企业成员"}]`},
		repoPath: {body: `[{"id":6,"accessLevel":30},{"id":7,"accessLevel":40}]`},
		repoPath + "/7": {
			body: `{"id":7,"httpUrlToRepo":"https://elsewhere.invalid/o1/group/hello.git"}`,
		},
		repoPath + "/7/branches": {body: `[]`},
		repoPath + "/7/tags":     {body: `[{"name":"v1"}]`},
		repoPath + "/7/webhooks": {body: `[]`},
	}
}

// newCodeupSite is a Codeup whose git server serves the account and the token if accepts says so.
func newCodeupSite(
	t *testing.T, replies map[string]canned, accepts func(account, token string) bool,
) *tokenSite {
	s := newTokenSite(t, replies)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != refsPath {
			return false
		}
		account, token, _ := r.BasicAuth()
		if !accepts(account, token) {
			canned{status: 401, kind: "text/plain", body: "HTTP Basic: Access denied"}.write(w)
			return true
		}
		canned{kind: advertised, body: "001e# service=git-upload-pack\n"}.write(w)
		return true
	}
	return s
}

func aliceOnly(account, token string) bool { return account == "alice@1" && token == canaryToken }

func codeupSubmission() Submission {
	return Submission{
		Username: "alice@1", Token: secret.New(canaryToken), ExpiresAt: noon.AddDate(1, 0, 0),
	}
}

func codeupHeld() Credential {
	return Credential{
		Access: secret.New(canaryToken), Username: "alice@1", Organization: "o1",
		ExpiresAt: noon.AddDate(1, 0, 0),
	}
}

func TestCodeupVerifyTakesTwelveCalls(t *testing.T) {
	s := newCodeupSite(t, codeupReplies(), aliceOnly)
	in := codeupSubmission()
	in.Username, in.Token = " alice@1\n", secret.New(canaryToken+"\n")
	f, err := s.codeup().Verify(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{ID: "u1", Username: "alice@example.com", Name: "爱丽丝"}
	if f.Identity != want || f.GitUsername != "alice@1" || f.Organization != "o1" {
		t.Errorf("found %+v, %q in %q", f.Identity, f.GitUsername, f.Organization)
	}
	if f.Token.Reveal() != canaryToken || !f.ExpiresAt.Equal(in.ExpiresAt) || f.Address != "" {
		t.Errorf("found another token, or %v, %q", f.ExpiresAt, f.Address)
	}
	same(t, "scopes", f.Scopes, []string{
		"组织成员：只读", "组织部门：只读", "代码仓库：只读", "分支：只读", "标签：只读", "Webhook：只读",
	})
	same(t, "warnings", warned(f), []string{"permission_not_provable write Webhook：读写"})
	calls := s.paths()
	same(t, "calls", calls, []string{
		"GET " + refsPath, "GET " + refsPath, // the account, and the control with a wrong one
		"GET " + repoPath,
		"GET " + repoPath + "/7", "GET " + repoPath + "/7/branches",
		"GET " + repoPath + "/7/tags", "GET " + repoPath + "/7/webhooks",
		"GET " + orgPath,
		"GET " + inOrg + "/departments", "GET " + inOrg + "/members", "GET " + inOrg + "/roles",
		"GET " + cuUser,
	})
}

func TestCodeupCheckAsksNoGitServer(t *testing.T) {
	s := newCodeupSite(t, codeupReplies(), func(string, string) bool { return false })
	f, err := s.codeup().Check(t.Context(), codeupHeld())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "warnings", warned(f), []string{"permission_not_provable write Webhook：读写"})
	if n := len(s.paths()); n != 9 {
		t.Errorf("a check takes %d calls, want 9", n)
	}
	for _, path := range s.paths() {
		if strings.Contains(path, ".git") {
			t.Errorf("the check called %s", path)
		}
	}
}

func TestCodeupProvesTheCloneAccount(t *testing.T) {
	var asked []string
	site := func(accepts func(string, string) bool) *tokenSite {
		asked = nil
		return newCodeupSite(t, codeupReplies(), func(account, token string) bool {
			asked = append(asked, account)
			if token != canaryToken {
				t.Error("another password than the token was sent")
			}
			return accepts(account, token)
		})
	}
	verify := func(s *tokenSite) (CheckResult, error) {
		f, err := s.codeup().Verify(t.Context(), codeupSubmission())
		keepsQuiet(t, err)
		return f, err
	}

	_, err := verify(site(func(string, string) bool { return false }))
	testkit.WantProblem(t, "a wrong account", err, problem.UsernameMismatch, "clone_account")
	same(t, "accounts that were sent", asked, []string{"alice@1"})

	f, err := verify(site(func(string, string) bool { return true }))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a server that takes any account", warned(f), []string{
		"permission_not_provable write Webhook：读写", "username_unverified",
	})
	same(t, "accounts that were sent", asked, []string{"alice@1", "not-alice@1"})
}

func TestCodeupsGitServerMayProveNothing(t *testing.T) {
	for name, reply := range map[string]canned{
		"down":    {status: 502, kind: "text/html", body: "<html>"},
		"page":    {kind: "text/html", body: "<html>"},
		"limited": {status: 403, header: map[string]string{"Retry-After": "9"}},
		"gone":    {status: 404},
		"moved":   {status: 302, header: map[string]string{"Location": "/login"}},
	} {
		s := newTokenSite(t, with(codeupReplies(), refsPath, reply))
		f, err := s.codeup().Verify(t.Context(), codeupSubmission())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, warned(f)[1:], []string{"username_unverified"})
		if n := len(s.paths()); n != 11 {
			t.Errorf("%s: %d calls, want 11: no control without a success", name, n)
		}
	}
	for name, detail := range map[string]string{
		"none": `{}`,
		"bad":  `{"httpUrlToRepo":"http://%zz"}`,
		"root": `{"httpUrlToRepo":"https://h/.."}`,
	} {
		s := newCodeupSite(t, with(codeupReplies(), repoPath+"/7", canned{body: detail}), aliceOnly)
		f, err := s.codeup().Verify(t.Context(), codeupSubmission())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		same(t, name, warned(f)[1:], []string{"username_unverified"})
	}
}

func TestD9_ACloneAddressLeadsOnlyToCodeup(t *testing.T) {
	p := &codeup{site: "https://codeup.example"}
	for raw, want := range map[string]string{
		"https://evil.example/o/r.git":    "/o/r.git",
		"https://a:b@evil.example/o/r":    "/o/r.git",
		"//evil.example/o/r.git":          "/o/r.git",
		"o/r.git":                         "/o/r.git",
		"https://h/o/../../x/r.git":       "/x/r.git",
		"https://h/o/r%3Fa=b%23.git?c=d#": "/o/r%3Fa=b%23.git",
		"https://h/o/%0d%0aX.git":         "/o/%0D%0AX.git",
	} {
		want = "https://codeup.example" + want + "/info/refs?service=git-upload-pack"
		if got, _ := p.refs(raw); got != want {
			t.Errorf("%s leads to %s, want %s", raw, got, want)
		}
	}
}

func TestCodeupsTokensAreOnAHostOfTheirOwn(t *testing.T) {
	const page = "/settings/personalAccessToken"
	for site, want := range map[string]string{
		codeupSite:               "https://account-devops.aliyun.com" + page,
		"https://codeup.example": "https://codeup.example" + page,
	} {
		p := &codeup{client: &client{}, site: site}
		if got := p.Describe().TokenURL; got != want || p.RevokeURL("") != want {
			t.Errorf("the page of %s is %s, want %s", site, got, want)
		}
	}
}

func TestCodeupRefusals(t *testing.T) {
	invalid := canned{status: 401, body: `{"errorCode":"InvalidTokenError"}`}
	expired := canned{status: 401, body: `{"errorCode":"ExpiredTokenError"}`}
	listed := canned{status: 403, body: `{"errorCode":"SYSTEM_FORBIDDEN_ERROR"}`}
	stranger := canned{
		status: 403, body: `{"errorCode":"Forbidden.InvalidUser.UserNotInCurrentOrganization"}`,
	}
	limit := canned{status: 429, header: map[string]string{"Retry-After": "30"}}
	down := canned{status: 502, kind: "text/html", body: "<html>"}
	for _, tt := range []struct {
		name, path string
		reply      canned
		code       problem.Code
		reason     string
		calls      int // of a check
	}{
		{"wrong token", cuUser, invalid, problem.TokenRejected, "", 1},
		{"expired", cuUser, expired, problem.TokenExpired, "", 1},
		{"limited", cuUser, limit, problem.PlatformRateLimited, "", 1},
		{"down", cuUser, down, problem.PlatformError, "", 1},
		{"allow-list", cuUser, listed, problem.AddressNotListed, "", 1},
		{"allow-list of it", repoPath, listed, problem.AddressNotListed, "", 5},
		{"stranger", inOrg + "/members", stranger, problem.OrganizationUnknown, "not_a_member", 9},
		{"ended meanwhile", repoPath + "/7/tags", expired, problem.TokenExpired, "", 9},
		{"limited later", inOrg + "/departments", limit, problem.PlatformRateLimited, "", 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newCodeupSite(t, with(codeupReplies(), tt.path, tt.reply), aliceOnly)
			_, err := s.codeup().Check(t.Context(), codeupHeld())
			testkit.WantProblem(t, "Check", err, tt.code, tt.reason)
			if n := len(s.paths()); n != tt.calls {
				t.Errorf("%d calls, want %d", n, tt.calls)
			}
			_, err = s.codeup().Verify(t.Context(), codeupSubmission())
			testkit.WantProblem(t, "Verify", err, tt.code, tt.reason)
			keepsQuiet(t, err)
		})
	}
}

func TestCodeupRefusesBeforeItCalls(t *testing.T) {
	s := newCodeupSite(t, codeupReplies(), aliceOnly)
	for field, change := range map[string]func(*Submission){
		"username":     func(in *Submission) { in.Username = "alice:1" },
		"token":        func(in *Submission) { in.Token = secret.New("canary\r\nX: y") },
		"organization": func(in *Submission) { in.Organization = "../o2" },
		"expiresAt":    func(in *Submission) { in.ExpiresAt = noon.AddDate(0, 0, -1) },
	} {
		in := codeupSubmission()
		change(&in)
		_, err := s.codeup().Verify(t.Context(), in)
		reason := "characters"
		if field == "expiresAt" {
			reason = "past"
		}
		wantMalformed(t, err, field, reason)
	}
	same(t, "calls", s.paths(), nil)
}

func TestCodeupRevokesNothing(t *testing.T) {
	p := newTokenSite(t, nil).codeup()
	if err := p.Revoke(t.Context(), App{}, codeupHeld()); !errors.Is(err, ErrNoRevoke) {
		t.Errorf("got %v, want ErrNoRevoke", err)
	}
}
