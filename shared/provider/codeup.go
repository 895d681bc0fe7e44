package provider

import (
	"context"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// codeup is Alibaba Cloud's Codeup, in the central edition: every path of its API names an
// organization. The region editions, under domains of their own, leave that part out and are not
// served here.
//
// Source: help.aliyun.com/zh/yunxiao/developer-reference; which call needs which permission is
// said there for each. The permissions that a registry's documentation asks for have neither
// "user" nor "organization" among them, so that a token made exactly as documented may be refused
// who it belongs to and where. Throughout, 401 is a bad token; 403 is a good one that may not do
// this.
type codeup struct {
	*client
	site, api string
}

// codeupRegistration registers Codeup, with the origins of the central edition.
func codeupRegistration() Registration {
	return Registration{
		Name: Codeup,
		Origins: []Origin{
			{"BINDERY_CODEUP_URL", "Codeup", "https://codeup.aliyun.com"},
			{"BINDERY_CODEUP_API_URL", "Codeup's API", "https://openapi-rdc.aliyuncs.com"},
		},
		New: func(e Environment) Platform {
			return &codeup{e.trusted(codeupDialect), e.Origins[0], e.Origins[1]}
		},
	}
}

// codeupDialect is what Codeup's API answers.
//
// Source: the error code center of help.aliyun.com/yunxiao.
var codeupDialect = dialect{
	title: "Codeup",
	rules: []rule{
		{401, "expiredtokenerror", problem.TokenExpired, ""},
		{401, "token has expired", problem.TokenExpired, ""},
		{401, "", problem.TokenRejected, ""},
		{403, "system_forbidden_error", problem.AddressNotListed, ""},
		{403, "白名单", problem.AddressNotListed, ""},
		{403, "usernotincurrentorganization", problem.OrganizationUnknown, "not_a_member"},
		{403, "invalidorganizationmember", problem.OrganizationUnknown, "not_a_member"},
		// The token is fine and lacks the permission of this one call. Which one that is, the
		// caller knows.
		{403, "", problem.PermissionMissing, ""},
		// The older API tells of the allow-list with other statuses too.
		{400, "system_forbidden_error", problem.AddressNotListed, ""},
		{400, "unsupportedcurrenttokentype", problem.TokenRejected, ""},
	},
}

// codeupTokens is the page where users create and end their tokens.
const codeupTokens = "https://account-devops.aliyun.com/settings/personalAccessToken"

// Describe says that Codeup needs a clone account and a token, and the rest if it is known.
func (p *codeup) Describe() Description {
	return Description{
		Name:     Codeup,
		Title:    p.title,
		Method:   ByToken,
		Fields:   []string{"username", "token", "organization", "expiresAt"},
		Optional: []string{"organization", "expiresAt"},
		Scopes: []string{
			mayMembers, mayDepartments, mayRepositories, mayBranches, mayTags, mayWriteHooks,
		},
		TokenURL: codeupTokens,
	}
}

// Verify is described at [TokenPlatform]. The token is first sent once and alone. When it was
// accepted, everything else is asked side by side, in two waves, and last the clone account.
func (p *codeup) Verify(ctx context.Context, s Submission) (CheckResult, error) {
	cred, err := p.clean(s)
	if err != nil {
		return CheckResult{}, err
	}
	result, code, err := p.look(ctx, cred)
	if err != nil {
		return CheckResult{}, err
	}
	verified, err := p.proveCloneAccount(ctx, cred, code)
	if err != nil {
		return CheckResult{}, err
	}
	if !verified {
		result.Warnings = append(result.Warnings, p.problem(problem.UsernameUnverified))
	}
	result.Token = cred.Access
	return result, nil
}

func (p *codeup) clean(s Submission) (Credential, error) {
	username, err := cleanUsername(s.Username)
	if err != nil {
		return Credential{}, err
	}
	token, err := cleanToken(s.Token)
	if err != nil {
		return Credential{}, err
	}
	organization, err := cleanOrganization(s.Organization)
	if err != nil {
		return Credential{}, err
	}
	if err := checkExpiry(s.ExpiresAt, p.now()); err != nil {
		return Credential{}, err
	}
	return Credential{
		Access: token, Username: username, Organization: organization, ExpiresAt: s.ExpiresAt,
	}, nil
}

// Check is described at [Platform].
func (p *codeup) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	result, _, err := p.look(ctx, cred)
	return result, err
}

// look finds out everything but whether the clone account is right. For that it returns the
// repository to try it on, with an empty id if there is none.
func (p *codeup) look(ctx context.Context, cred Credential) (CheckResult, codeupRepository, error) {
	var none codeupRepository
	user, err := p.user(ctx, cred)
	if err != nil {
		return CheckResult{}, none, err
	}
	result := CheckResult{
		Identity:    user.identity(cred.Username),
		GitUsername: cred.Username,
		ExpiresAt:   cred.ExpiresAt,
	}
	result.Organization = cred.Organization
	if result.Organization == "" {
		result.Organization, err = p.organization(ctx, cred.Access, string(user.LastOrganization))
		if err != nil {
			return CheckResult{}, none, err
		}
	}
	s := survey{codeup: p, token: cred.Access, organization: result.Organization, user: user}
	if err := s.run(ctx); err != nil {
		return CheckResult{}, none, err
	}
	result.Scopes, result.Warnings = s.granted, s.warnings
	if result.ExpiresAt.IsZero() {
		result.Warnings = append(result.Warnings, p.problem(problem.ExpiryUnknown))
	}
	return result, s.repository, nil
}

// codeupUser is what GET /platform/user tells.
type codeupUser struct {
	ID               loose `json:"id"`
	Username         loose `json:"username"` // the login name, not the clone account
	Name             loose `json:"name"`
	LastOrganization loose `json:"lastOrganization"`
}

// user asks whose the token is. A token that may not ask has passed all the same, and returns
// the zero user.
func (p *codeup) user(ctx context.Context, cred Credential) (codeupUser, error) {
	var user codeupUser
	r, err := p.ask(ctx, p.get(cred.Access, "/oapi/v1/platform/user"), &user)
	if problem.Is(err, problem.PermissionMissing) ||
		problem.Is(err, problem.OrganizationUnknown) { // the one looked at last, not ours
		return codeupUser{}, nil
	}
	if err == nil && user.ID == "" {
		err = p.strange(r)
	}
	return user, err
}

// identity is the user's; if it is not to be had, the clone account stands in for it. It belongs
// to one user too, and the prefix keeps it apart from ids.
func (u codeupUser) identity(cloneAccount string) Identity {
	if u.ID == "" {
		return Identity{ID: "clone:" + cloneAccount, Username: cloneAccount}
	}
	return identityOf(u.ID, u.Username, u.Name, "", "")
}

// organization finds the one organization that a token can be for: the only one of the list or,
// if the list is not to be had, the one that the user looked at last. Of several, none is picked.
func (p *codeup) organization(ctx context.Context, token secret.Text, last string) (string, error) {
	var list []struct {
		ID   loose `json:"id"`
		Name loose `json:"name"`
	}
	_, err := p.ask(ctx, p.get(token, "/oapi/v1/platform/organizations"), &list)
	switch {
	case problem.Is(err, problem.PermissionMissing), problem.Is(err, problem.OrganizationUnknown):
		if plain(last) {
			return last, nil
		}
		return "", p.problem(problem.OrganizationUnknown)
	case err != nil:
		return "", err
	case len(list) == 1 && plain(string(list[0].ID)):
		return string(list[0].ID), nil
	case len(list) < 2:
		return "", p.problem(problem.OrganizationUnknown)
	}
	var names []string
	for _, o := range list {
		names = append(names, string(o.ID)+" ("+string(o.Name)+")")
	}
	return "", p.problem(problem.OrganizationUnknown).
		Because("several").With("organizations", strings.Join(names, ", "))
}

// Revoke is [ErrNoRevoke]: only users can end their tokens, on a page.
func (p *codeup) Revoke(context.Context, App, Credential) error { return ErrNoRevoke }

// RevokeURL is the page of a user's own tokens.
func (p *codeup) RevokeURL(string) string { return codeupTokens }

func (p *codeup) get(token secret.Text, path string) call {
	return call{address: p.api + path, auth: authHeader{"x-yunxiao-token", token}}
}
