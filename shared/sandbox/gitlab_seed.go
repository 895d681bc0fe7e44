package sandbox

import (
	"bindery/shared/secret"
)

// gitlabSeed is a token that is there from the start, with what a person is told of it.
type gitlabSeed struct {
	token    GitLabToken
	username string // to type; empty: the token's user
	revoked  bool
	title    Words
	expect   Words
}

// seeds are the tokens that are there from the start.
func (g *gitlab) seeds() []gitlabSeed {
	now := g.sandbox.options.Now()
	token := func(value, username string, days int, scopes ...string) GitLabToken {
		return GitLabToken{
			Value: secret.New(value), Username: username, Scopes: scopes,
			ExpiresAt: now.AddDate(0, 0, days),
		}
	}
	forever := GitLabToken{
		Value: secret.New("glpat-sandbox-alice-forever"), Username: "alice",
		Scopes: []string{"api"},
	}
	return []gitlabSeed{
		{
			token: token("glpat-sandbox-alice-good", "alice", 300, "api"),
			title: Words{"可用", "good"}, expect: Words{"绑定成功", "bound"},
		},
		{
			token: forever,
			title: Words{"永不过期", "never expires"}, expect: Words{"绑定成功", "bound"},
		},
		{
			token:  token("glpat-sandbox-alice-soon", "alice", 5, "api"),
			title:  Words{"5 天后过期", "expires in 5 days"},
			expect: Words{"绑定成功，并显示即将过期", "bound, and shown as expiring"},
		},
		{
			token:  token("glpat-sandbox-alice-expired", "alice", -1, "api"),
			title:  Words{"已过期", "expired"},
			expect: Words{"拒绝：令牌已过期", "refused: the token has expired"},
		},
		{
			token: token("glpat-sandbox-alice-revoked", "alice", 300, "api"), revoked: true,
			title:  Words{"已吊销", "revoked"},
			expect: Words{"拒绝：令牌无效", "refused: the token is not valid"},
		},
		{
			token: token(
				"glpat-sandbox-alice-readonly", "alice", 300, "read_api", "read_repository",
			),
			title:  Words{"只读，缺少 api 权限", "read-only, without the scope api"},
			expect: Words{"拒绝，并指出缺少 api", "refused, naming api as missing"},
		},
		{
			token:  token("glpat-sandbox-alice-userinfo", "alice", 300, "read_user"),
			title:  Words{"仅 read_user 权限", "the scope read_user only"},
			expect: Words{"拒绝，并指出缺少 api", "refused, naming api as missing"},
		},
		{
			token:    token("glpat-sandbox-bob-good", "bob", 300, "api"),
			username: "alice", title: Words{"bob 的令牌，用户名填 alice", "bob's token under alice's name"},
			expect: Words{"拒绝：用户名与令牌不符", "refused: the token is another user's"},
		},
		{
			token:  token("glpat-sandbox-mallory-blocked", "mallory", 300, "api"),
			title:  Words{"用户已被禁用", "a blocked user"},
			expect: Words{"拒绝：用户已被禁用", "refused: the user is blocked"},
		},
	}
}

func (g *gitlab) samples() []Sample {
	var all []Sample
	for _, s := range g.seeds() {
		username := s.username
		if username == "" {
			username = s.token.Username
		}
		all = append(all, Sample{
			Platform: GitLab, Title: s.title, Address: g.sandbox.options.URL + "/gitlab",
			Username: username, Token: s.token.Value, Expect: s.expect,
		})
	}
	return all
}

// seed fills an empty GitLab.
func (g *gitlab) seed() {
	g.addUser(GitLabUser{
		Username: "alice", Name: "Alice 爱丽丝", Projects: []string{"alice/hello", "team/world"},
	})
	g.addUser(GitLabUser{Username: "bob", Name: "Bob", Projects: []string{"team/world"}})
	g.addUser(GitLabUser{Username: "mallory", Name: "Mallory", State: "blocked"})
	for _, s := range g.seeds() {
		g.addToken(s.token, 0).revoked = s.revoked
	}
}
