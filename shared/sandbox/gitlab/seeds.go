package gitlab

import (
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// seed is a token that is there from the start, with what the page says about it.
type seed struct {
	token         Token
	username      string // to type; empty: the token's user
	revoked       bool
	title, expect platform.Words
}

// seeds returns the tokens that are there from the start.
func (s *Server) seeds() []seed {
	token := func(value, username string, days int, scopes ...string) Token {
		return Token{
			Value: secret.New(value), Username: username, Scopes: scopes,
			ExpiresAt: s.Now().AddDate(0, 0, days),
		}
	}
	words := func(chinese, english string) platform.Words {
		return platform.Words{Chinese: chinese, English: english}
	}
	bound, lacksAPI := words("绑定成功", "bound"), words("拒绝，并指出缺少 api", "refused, naming api as missing")
	return []seed{
		{
			token: token("glpat-sandbox-alice-good", "alice", 300, "api"),
			title: words("可用", "good"), expect: bound,
		},
		{
			token: Token{
				Value: secret.New("glpat-sandbox-alice-forever"), Username: "alice",
				Scopes: []string{"api"},
			},
			title: words("永不过期", "never expires"), expect: bound,
		},
		{
			token:  token("glpat-sandbox-alice-soon", "alice", 5, "api"),
			title:  words("5 天后过期", "expires in 5 days"),
			expect: words("绑定成功，并显示即将过期", "bound, and shown as expiring"),
		},
		{
			token:  token("glpat-sandbox-alice-expired", "alice", -1, "api"),
			title:  words("已过期", "expired"),
			expect: words("拒绝：令牌已过期", "refused: the token has expired"),
		},
		{
			token: token("glpat-sandbox-alice-revoked", "alice", 300, "api"), revoked: true,
			title:  words("已吊销", "revoked"),
			expect: words("拒绝：令牌无效", "refused: the token is not valid"),
		},
		{
			token: token(
				"glpat-sandbox-alice-readonly", "alice", 300, "read_api", "read_repository",
			),
			title: words("只读，缺少 api 权限", "read-only, without the scope api"), expect: lacksAPI,
		},
		{
			token: token("glpat-sandbox-alice-userinfo", "alice", 300, "read_user"),
			title: words("仅 read_user 权限", "the scope read_user only"), expect: lacksAPI,
		},
		{
			token:    token("glpat-sandbox-bob-good", "bob", 300, "api"),
			username: "alice", title: words("bob 的令牌，用户名填 alice", "bob's token under alice's name"),
			expect: words("拒绝：用户名与令牌不符", "refused: the token is another user's"),
		},
		{
			token:  token("glpat-sandbox-mallory-blocked", "mallory", 300, "api"),
			title:  words("用户已被禁用", "a blocked user"),
			expect: words("拒绝：用户已被禁用", "refused: the user is blocked"),
		},
	}
}

// Samples lists the tokens that are there from the start.
func (s *Server) Samples() []platform.Sample {
	var all []platform.Sample
	for _, seed := range s.seeds() {
		username := seed.username
		if username == "" {
			username = seed.token.Username
		}
		all = append(all, platform.Sample{
			Platform: platform.GitLab, Title: seed.title, Address: s.URL + "/gitlab",
			Username: username, Token: seed.token.Value, Expect: seed.expect,
		})
	}
	return all
}

// seed fills an empty GitLab.
func (s *Server) seed() {
	for _, u := range []User{
		{Username: "alice", Name: "Alice 爱丽丝"}, {Username: "bob", Name: "Bob"},
	} {
		paths := platform.Paths(u.Username, false)
		u.Reads = paths[len(paths)-1:]
		u.Projects = append(paths[:len(paths)-1:len(paths)-1], "team/world", "team/sub/group/hello")
		s.AddUser(u)
	}
	s.AddUser(User{Username: "mallory", Name: "Mallory", State: "blocked"})
	for _, seed := range s.seeds() {
		s.addToken(seed.token, 0).revoked = seed.revoked
	}
}
