package codeup

import (
	"cmp"
	"slices"
	"time"

	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// seed is a token that is there from the start, with what the page says about it.
type seed struct {
	token         Token
	organization  string // to type; empty if it need not be named
	title, expect platform.Words
}

// The organizations that are there from the start.
const (
	mainOrg   = "sandbox-org-main"
	secondOrg = "sandbox-org-second"
	emptyOrg  = "sandbox-org-empty"
)

// newSeed returns a seed whose token doesn't expire.
func newSeed(
	value, account string, permissions []Permission, organization string,
	title, expect platform.Words,
) seed {
	return seed{
		token: Token{
			Value: secret.New(value), CloneAccount: account, Permissions: permissions,
		},
		organization: organization,
		title:        title,
		expect:       expect,
	}
}

// seeds returns the tokens that are there from the start. A token without an account is unknown to
// Codeup, as a deleted one is.
func (s *Server) seeds() []seed {
	full := append(Minimal(), UserInfo, Organizations, Commits, Files, MergeRequests)
	without := func(p Permission) []Permission {
		return slices.DeleteFunc(slices.Clone(full), func(q Permission) bool { return p == q })
	}
	lacking := platform.Text("拒绝，并指出缺少的权限", "refused, naming the permission that is missing")
	expired := newSeed("pt-sandbox-expired", "alice", full, "",
		platform.Text("已过期", "expired"),
		platform.Text("拒绝：令牌已过期", "refused: the token has expired"))
	expired.token.ExpiresAt = s.Now().Add(-time.Hour)
	return []seed{
		newSeed("pt-sandbox-good", "alice", full, "",
			platform.Text("可用", "good"),
			platform.Text("绑定成功", "bound")),
		newSeed("pt-sandbox-minimal", "alice", Minimal(), mainOrg,
			platform.Text("仅文档列出的六项权限", "the six documented permissions only"),
			platform.Text("无法自动识别组织，需要填写；绑定成功", "the organization must be named; bound")),
		newSeed("pt-sandbox-no-branches", "alice", without(Branches), "",
			platform.Text("缺少“分支”权限", "without the branches permission"), lacking),
		newSeed("pt-sandbox-no-repositories", "alice", without(Repositories), "",
			platform.Text("缺少“代码仓库”权限", "without the repositories permission"), lacking),
		newSeed("pt-sandbox-webhooks-read", "alice", append(without(Hooks), HooksRead), "",
			platform.Text("WebHook 权限仅只读", "the webhooks permission for reading only"),
			platform.Text("绑定成功；不能订阅", "bound; can't subscribe to a repository")),
		expired,
		newSeed("pt-sandbox-revoked", "", nil, "",
			platform.Text("已删除", "deleted"),
			platform.Text("拒绝：令牌无效", "refused: the token is not valid")),
		newSeed("pt-sandbox-bob", "bob@sandbox.invalid", full, secondOrg,
			platform.Text("另一用户：两个组织，在其中一个是普通成员",
				"another user: two organizations, no administrator in one"),
			platform.Text("绑定成功；选择 "+mainOrg+" 时提示不是管理员",
				"bound; with "+mainOrg+" a warning that the user is no administrator")),
		newSeed("pt-sandbox-empty", "carol", full, emptyOrg,
			platform.Text("组织中没有代码库", "an organization without a repository"),
			platform.Text("绑定成功；部分权限无法验证", "bound; some permissions can't be proved")),
	}
}

// seeded returns a repository whose path decides what is in it. Without an id it gets one that
// follows from the path.
func seeded(organization, path string, id int64) Repository {
	of := platform.NewRepository(platform.Codeup, organization+"/"+path)
	return Repository{
		ID: cmp.Or(id, of.ID), Path: path, Archived: of.Archived,
		Branches: of.Branches, Tags: of.Tags, Annotated: of.Annotated,
	}
}

// Samples lists the tokens that are there from the start.
func (s *Server) Samples() []platform.Sample {
	var all []platform.Sample
	for _, seed := range s.seeds() {
		username := seed.token.CloneAccount
		if username == "" {
			username = "alice"
		}
		all = append(all, platform.Sample{
			Platform: platform.Codeup, Title: seed.title, Username: username,
			Token: seed.token.Value, Organization: seed.organization, Expect: seed.expect,
		})
	}
	return all
}

// seed fills an empty Codeup.
func (s *Server) seed() {
	for _, u := range []User{
		{
			CloneAccount: "alice", ID: "sandbox-user-alice", Username: "alice@sandbox.invalid",
			Name: "Alice 爱丽丝", Email: "alice@sandbox.invalid", LastOrganization: mainOrg,
		},
		{
			CloneAccount: "bob@sandbox.invalid", ID: "sandbox-user-bob", Username: "bob",
			Name: "Bob", Email: "bob@sandbox.invalid", LastOrganization: secondOrg,
		},
		{
			CloneAccount: "carol", ID: "sandbox-user-carol", Username: "carol",
			Name: "Carol", Email: "carol@sandbox.invalid", LastOrganization: emptyOrg,
		},
	} {
		s.AddUser(u)
	}
	s.AddOrganization(Organization{ID: mainOrg, Name: "沙箱主组织", Repositories: []Repository{
		seeded(mainOrg, "hello", 1001),
		{ID: 1002, Path: "group/world", Branches: []string{"master"}},
		seeded(mainOrg, "group/archive", 1003), seeded(mainOrg, "group/branches", 1004),
		seeded(mainOrg, "group/empty", 1005), seeded(mainOrg, "group/twins", 1006),
		seeded(mainOrg, platform.ReadOnly, 1007),
	}})
	s.AddOrganization(Organization{ID: secondOrg, Name: "Sandbox Second", Repositories: []Repository{
		{ID: 2001, Path: "second", Branches: []string{"main"}, Tags: []string{"v0.1"}},
	}})
	s.AddOrganization(Organization{ID: emptyOrg, Name: "Sandbox Empty"})
	s.Join(mainOrg, "alice", true)
	s.Join(mainOrg, "bob@sandbox.invalid", false)
	s.Join(secondOrg, "bob@sandbox.invalid", true)
	s.Join(emptyOrg, "carol", true)
	for _, seed := range s.seeds() {
		if seed.token.CloneAccount != "" {
			s.AddToken(seed.token)
		}
	}
}
