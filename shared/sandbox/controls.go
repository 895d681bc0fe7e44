package sandbox

import (
	"net/http"
	"slices"
	"time"

	"bindery/shared/secret"
)

// ager is a platform of pasted tokens, on which a person can let things happen to a token on the
// sandbox's page. The other platforms have a page of settings for that.
type ager interface {
	// age does one of the deeds to a token; false if it knows no such token.
	age(value secret.Text, do string) bool
	// deeds are what can be done.
	deeds() []deed
}

// deed is something that can happen to a token.
type deed struct {
	Name string
	Text Words
}

// The deeds. What the platform would never do by itself has a way back, so that a recovery can be
// seen.
const (
	deedRevoke  = "revoke"
	deedExpire  = "expire"
	deedSoon    = "soon"
	deedNarrow  = "narrow"
	deedRestore = "restore"
)

func tokenDeeds() []deed {
	return []deed{
		{deedRevoke, Words{"吊销", "revoke"}},
		{deedExpire, Words{"立即过期", "end now"}},
		{deedSoon, Words{"5 天后过期", "end in 5 days"}},
		{deedNarrow, Words{"收回权限", "take rights away"}},
		{deedRestore, Words{"恢复原状", "as it was"}},
	}
}

// soon is how long a token lives that is made to end soon.
const soon = 5 * 24 * time.Hour

// postToken lets something happen to a token: {platform, token, do}.
func (s *Sandbox) postToken(w http.ResponseWriter, r *http.Request) {
	in, ok := s.readForm(w, r)
	if !ok {
		return
	}
	for _, p := range s.platforms {
		can, ok := p.(ager)
		if ok && p.name() == Platform(in["platform"]) && can.age(secret.New(in["token"]), in["do"]) {
			finish(w, r)
			return
		}
	}
	http.Error(w, "sandbox: no such token, or nothing to be done to it", http.StatusBadRequest)
}

func (g *gitlab) deeds() []deed { return tokenDeeds() }

func (g *gitlab) age(value secret.Text, do string) bool {
	if do == deedRevoke {
		g.revoke(value)
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t, now := g.tokens[value.Reveal()], g.sandbox.options.Now()
	switch {
	case t == nil:
		return false
	case do == deedExpire:
		t.ExpiresAt = now
	case do == deedSoon:
		t.ExpiresAt = now.Add(soon)
	case do == deedNarrow:
		t.Scopes = []string{"read_api"}
	case do == deedRestore:
		for _, seed := range g.seeds() {
			if seed.token.Value.Equal(value) {
				t.GitLabToken, t.revoked = seed.token, seed.revoked
				return true
			}
		}
		return false
	default:
		return false
	}
	return true
}

// deeds of Codeup lack one: its API doesn't tell when a token ends.
func (c *codeup) deeds() []deed {
	return slices.DeleteFunc(tokenDeeds(), func(d deed) bool { return d.Name == deedSoon })
}

func (c *codeup) age(value secret.Text, do string) bool {
	if do == deedRevoke {
		c.revoke(value)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t, there := c.tokens[value.Reveal()]
	switch {
	case do == deedRestore:
		for _, seed := range c.seeds() {
			if seed.token.Value.Equal(value) && seed.token.CloneAccount != "" {
				c.tokens[value.Reveal()] = seed.token
				return true
			}
		}
		return false
	case !there:
		return false
	case do == deedExpire:
		t.ExpiresAt = c.sandbox.options.Now()
	case do == deedNarrow:
		t.Permissions = slices.DeleteFunc(slices.Clone(t.Permissions),
			func(p CodeupPermission) bool { return p == CodeupRepositories })
	default:
		return false
	}
	c.tokens[value.Reveal()] = t
	return true
}

// cloneURL is where git finds a platform's repository.
func (s *Sandbox) cloneURL(p Platform, origin string) string {
	switch p {
	case Codeup:
		return origin + "/" + codeupMain + "/hello.git"
	case GitLab:
		return origin + "/gitlab/alice/hello.git"
	}
	return origin + gitOf(p) + "demo.git"
}

// settingsPath is the page where a user takes a consent back, "" where there is none.
func settingsPath(p platform) string {
	if o, ok := p.(interface{ self() *oauthPlatform }); ok {
		return o.self().settings
	}
	return ""
}
