package sandbox

import (
	"slices"
	"time"

	"bindery/shared/secret"
)

// codeupSeed is a token that is there from the start, with what a person is told of it.
type codeupSeed struct {
	token        CodeupToken
	organization string
	title        Words
	expect       Words
}

// The organizations that are there from the start.
const (
	codeupMain   = "sandbox-org-main"
	codeupSecond = "sandbox-org-second"
	codeupEmpty  = "sandbox-org-empty"
)

// seeds are the tokens that are there from the start.
func (c *codeup) seeds() []codeupSeed {
	full := append(CodeupMinimal(), CodeupUserInfo, CodeupOrganizations)
	without := func(p CodeupPermission) []CodeupPermission {
		isP := func(q CodeupPermission) bool { return p == q }
		return slices.DeleteFunc(slices.Clone(full), isP)
	}
	lacking := Words{"拒绝，并指出缺少的权限", "refused, naming the permission that is missing"}
	expired := codeupSeedToken("pt-sandbox-expired", "alice", full)
	expired.ExpiresAt = c.sandbox.options.Now().Add(-time.Hour)
	return append([]codeupSeed{
		{
			codeupSeedToken("pt-sandbox-good", "alice", full), "",
			Words{"可用", "good"},
			Words{"绑定成功", "bound"},
		},
		{
			codeupSeedToken("pt-sandbox-minimal", "alice", CodeupMinimal()), codeupMain,
			Words{"仅文档列出的六项权限", "the six documented permissions only"},
			Words{"无法自动识别组织，需要填写；绑定成功", "the organization must be named; bound"},
		},
		{
			codeupSeedToken("pt-sandbox-no-branches", "alice", without(CodeupBranches)), "",
			Words{"缺少“分支”权限", "without the branches permission"},
			lacking,
		},
		{
			codeupSeedToken("pt-sandbox-no-repositories", "alice", without(CodeupRepositories)), "",
			Words{"缺少“代码仓库”权限", "without the repositories permission"},
			lacking,
		},
		{
			expired, "",
			Words{"已过期", "expired"},
			Words{"拒绝：令牌已过期", "refused: the token has expired"},
		},
		{
			codeupSeedToken("pt-sandbox-revoked", "", nil), "",
			Words{"已删除", "deleted"},
			Words{"拒绝：令牌无效", "refused: the token is not valid"},
		},
	}, otherCodeupSeeds(full)...)
}

// otherCodeupSeeds are tokens of other users than alice.
func otherCodeupSeeds(full []CodeupPermission) []codeupSeed {
	return []codeupSeed{
		{
			codeupSeedToken("pt-sandbox-bob", "bob@sandbox.invalid", full), codeupSecond,
			Words{
				"另一用户：两个组织，在其中一个是普通成员",
				"another user: two organizations, no administrator in one",
			},
			Words{
				"绑定成功；选择 " + codeupMain + " 时提示不是管理员",
				"bound; with " + codeupMain + " a warning that he is no administrator",
			},
		},
		{
			codeupSeedToken("pt-sandbox-empty", "carol", full), codeupEmpty,
			Words{"组织中没有代码库", "an organization without a repository"},
			Words{"绑定成功；部分权限无法验证", "bound; some permissions can't be proved"},
		},
	}
}

// codeupSeedToken is a token that doesn't expire.
func codeupSeedToken(value, account string, permissions []CodeupPermission) CodeupToken {
	return CodeupToken{
		Value: secret.New(value), CloneAccount: account, Permissions: permissions,
	}
}

func (c *codeup) samples() []Sample {
	var all []Sample
	for _, s := range c.seeds() {
		username := s.token.CloneAccount
		if username == "" {
			username = "alice"
		}
		all = append(all, Sample{
			Platform: Codeup, Title: s.title, Username: username, Token: s.token.Value,
			Organization: s.organization, Expect: s.expect,
		})
	}
	return all
}

// seed fills an empty Codeup.
func (c *codeup) seed() {
	for _, u := range []CodeupUser{
		{
			CloneAccount: "alice", ID: "sandbox-user-alice", Username: "alice@sandbox.invalid",
			Name: "Alice 爱丽丝", Email: "alice@sandbox.invalid", LastOrganization: codeupMain,
		},
		{
			CloneAccount: "bob@sandbox.invalid", ID: "sandbox-user-bob", Username: "bob",
			Name: "Bob", Email: "bob@sandbox.invalid", LastOrganization: codeupSecond,
		},
		{
			CloneAccount: "carol", ID: "sandbox-user-carol", Username: "carol",
			Name: "Carol", Email: "carol@sandbox.invalid", LastOrganization: codeupEmpty,
		},
	} {
		c.users[u.CloneAccount] = u
	}
	for _, o := range codeupOrganizations() {
		c.organizations[o.ID] = o
	}
	c.join(codeupMain, "alice", true)
	c.join(codeupMain, "bob@sandbox.invalid", false)
	c.join(codeupSecond, "bob@sandbox.invalid", true)
	c.join(codeupEmpty, "carol", true)
	for _, s := range c.seeds() {
		if s.token.CloneAccount != "" {
			c.tokens[s.token.Value.Reveal()] = s.token
		}
	}
}

// codeupOrganizations are there from the start.
func codeupOrganizations() []CodeupOrganization {
	return []CodeupOrganization{
		{ID: codeupMain, Name: "沙箱主组织", Repositories: []CodeupRepository{
			{
				ID: 1001, Path: "hello", Branches: []string{"main", "feature/a"},
				Tags: []string{"v1.0.0"},
			},
			{ID: 1002, Path: "group/world", Branches: []string{"master"}},
		}},
		{ID: codeupSecond, Name: "Sandbox Second", Repositories: []CodeupRepository{
			{ID: 2001, Path: "second", Branches: []string{"main"}, Tags: []string{"v0.1"}},
		}},
		{ID: codeupEmpty, Name: "Sandbox Empty"},
	}
}
