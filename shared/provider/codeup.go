package provider

import (
	"context"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// codeup is Alibaba Cloud's Codeup, in the central edition: every path of its API names an
// organization. The region editions, under domains of their own, omit that part and are not
// supported.
//
// Source: help.aliyun.com/zh/yunxiao/developer-reference; it lists the
// permission that each call needs. The permissions that a registry's documentation asks for include
// neither "user" nor "organization", so a token made exactly as documented may not be allowed to
// ask whose it is and in which organization. In all calls 401 means a bad token, and 403 a good
// token that lacks the permission for the call.
type codeup struct {
	*client
	site, api string
}

// codeupRegistration registers Codeup, with the origins of the central edition.
func codeupRegistration() Registration {
	return Registration{
		Name: Codeup,
		Origins: []Origin{
			{"BINDERY_CODEUP_URL", "Codeup", codeupSite},
			{"BINDERY_CODEUP_API_URL", "Codeup's API", "https://openapi-rdc.aliyuncs.com"},
		},
		New: func(e Environment) Platform {
			return &codeup{e.trusted(codeupDialect()), e.Origins[0], e.Origins[1]}
		},
	}
}

// codeupDialect is what Codeup's API answers.
//
// Source: the error code center of help.aliyun.com/yunxiao.
func codeupDialect() dialect {
	return dialect{
		title:     "Codeup",
		plainText: true,
		rules: []rule{
			{401, codeupCode + "expiredtokenerror", "", problem.TokenExpired, ""},
			{401, codeupCode + "invalidtokenerror", "", problem.TokenRejected, ""},
			{401, codeupCode + "unauthorized", "", problem.TokenRejected, ""},
			// Without a code the documented messages count.
			{401, "", "expiredtokenerror*", problem.TokenExpired, ""},
			{401, "", "invalidtokenerror*", problem.TokenRejected, ""},
			{401, "", "token has expired*", problem.TokenExpired, ""},
			{401, "", "token is invalid*", problem.TokenRejected, ""},
			{403, codeupCode + "system_forbidden_error", "", problem.AddressNotListed, ""},
			{403, "", "*白名单*", problem.AddressNotListed, ""},
			{403, "*usernotincurrentorganization", "", problem.OrganizationUnknown, "not_a_member"},
			{403, "*invalidorganizationmember", "", problem.OrganizationUnknown, "not_a_member"},
			// The token is valid and lacks the permission for this call. The caller knows which
			// permission that is.
			{403, codeupCode + "forbidden*", "", problem.PermissionMissing, ""},
			{403, codeupCode + "nopermission*", "", problem.PermissionMissing, ""},
			// The older API reports the allow-list with other statuses too.
			{400, codeupCode + "system_forbidden_error", "", problem.AddressNotListed, ""},
			{400, codeupCode + "unsupportedcurrenttokentype", "", problem.TokenRejected, "token_type"},
		},
	}
}

// codeupSite is the central edition.
const codeupSite = "https://codeup.aliyun.com"

// tokensURL returns the page where users create and delete their tokens. The central edition has a
// host of its own for it.
func (p *codeup) tokensURL() string {
	const page = "/settings/personalAccessToken"
	if p.site == codeupSite {
		return "https://account-devops.aliyun.com" + page
	}
	return p.site + page
}

// Describe implements [Platform]: Codeup needs a clone account and a token; the rest is optional.
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
		TokenURL: p.tokensURL(),
	}
}

// Verify implements [TokenPlatform]. The token is first sent in a single call. If it is accepted,
// everything else is asked in two rounds of parallel calls, and then the clone account is tried.
func (p *codeup) Verify(ctx context.Context, s Submission) (CheckResult, error) {
	cred, err := p.clean(s)
	if err != nil {
		return CheckResult{}, err
	}
	result, code, err := p.check(ctx, cred)
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

// Check implements [Platform].
func (p *codeup) Check(ctx context.Context, cred Credential) (CheckResult, error) {
	result, _, err := p.check(ctx, cred)
	return result, err
}

// check checks everything except the clone account. It returns the repository on which the clone
// account can be tried, with an empty id if there is none.
func (p *codeup) check(
	ctx context.Context, cred Credential,
) (CheckResult, codeupRepository, error) {
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

// codeupUser is the reply of GET /platform/user.
type codeupUser struct {
	ID               loose `json:"id"`
	Username         loose `json:"username"` // the login name, not the clone account
	Name             loose `json:"name"`
	LastOrganization loose `json:"lastOrganization"`
}

// user asks whose token it is. A token that lacks the permission to ask is valid all the same, and
// the user is then the zero value.
func (p *codeup) user(ctx context.Context, cred Credential) (codeupUser, error) {
	var user codeupUser
	r, err := p.ask(ctx, p.get(cred.Access, "/oapi/v1/platform/user"), &user)
	if problem.Is(err, problem.PermissionMissing) ||
		problem.Is(err, problem.OrganizationUnknown) { // the last visited one, not the requested one
		return codeupUser{}, nil
	}
	if err == nil && user.ID == "" {
		err = p.unexpected(r)
	}
	return user, err
}

// identity returns the user's identity. If the user is unknown it is the clone account, which
// belongs to one user too; the prefix distinguishes it from ids.
func (u codeupUser) identity(cloneAccount string) Identity {
	if u.ID == "" {
		return Identity{ID: "clone:" + cloneAccount, Username: cloneAccount}
	}
	return identityOf(u.ID, u.Username, u.Name, "", "")
}

// maxChoices is how many organizations a user is offered.
const maxChoices = 100

// organization returns the token's organization: the only one of the list or, if the token may not
// list them, the one that the user visited last. If there are several, the user has to choose.
func (p *codeup) organization(ctx context.Context, token secret.Text, last string) (string, error) {
	var list []struct {
		ID   loose `json:"id"`
		Name loose `json:"name"`
	}
	_, err := p.ask(ctx, p.get(token, "/oapi/v1/platform/organizations"), &list)
	switch {
	case problem.Is(err, problem.PermissionMissing), problem.Is(err, problem.OrganizationUnknown):
		if pathSafe(last) {
			return last, nil
		}
		return "", p.problem(problem.OrganizationUnknown)
	case err != nil:
		return "", err
	case len(list) == 1 && pathSafe(string(list[0].ID)):
		return string(list[0].ID), nil
	case len(list) < 2:
		return "", p.problem(problem.OrganizationUnknown)
	}
	several := p.problem(problem.OrganizationUnknown).Because("several")
	var names []string
	for _, o := range list[:min(len(list), maxChoices)] {
		names = append(names, string(o.ID)+" ("+string(o.Name)+")")
		several = several.Offer(string(o.ID), string(o.Name))
	}
	return "", several.With("organizations", strings.Join(names, ", "))
}

// Revoke implements [Platform]: only users can delete their tokens, on a page.
func (p *codeup) Revoke(context.Context, App, Credential) error { return ErrNoRevoke }

// RevokeURL implements [Platform]: the page of the user's own tokens.
func (p *codeup) RevokeURL(string) string { return p.tokensURL() }

func (p *codeup) get(token secret.Text, path string) call {
	return call{address: p.api + path, auth: authHeader{"x-yunxiao-token", token}}
}
