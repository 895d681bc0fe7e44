// Package oauth is the side of OAuth that Gitee, GitHub and Bitbucket have in common in the
// sandbox: users, apps, consent pages, codes and tokens. What differs is in [Rules]; the routes of
// the token endpoint and the API are each platform's own.
package oauth

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// App is an OAuth app, which Bitbucket calls a consumer, as registered at a platform.
type App struct {
	Name     string // the name on the consent page; if empty the client id is shown
	ClientID string
	// ClientSecrets are all valid at the same time, as during a change of secret.
	ClientSecrets []secret.Text
	// RedirectURI is the registered callback address. Without it every authorization is refused.
	RedirectURI string
	// Scopes are the scopes of a Bitbucket consumer. The other platforms take the scopes from the
	// request.
	Scopes []string
	// ExpiringTokens makes GitHub's tokens expire after 8 hours, with a refresh token. The tokens
	// of the other two platforms always expire.
	ExpiringTokens bool
}

// clone returns a copy that shares no slice with a.
func (a App) clone() App {
	a.ClientSecrets, a.Scopes = slices.Clone(a.ClientSecrets), slices.Clone(a.Scopes)
	return a
}

// HasSecret reports whether the text is one of the app's secrets.
func (a App) HasSecret(text string) bool {
	return slices.ContainsFunc(a.ClientSecrets, secret.New(text).Equal)
}

// SeededApp returns the app that a platform has from the start. Its id and secret are fixed and
// obviously fake.
func SeededApp(name platform.Name) App {
	return App{
		Name:           "Bindery (sandbox)",
		ClientID:       "sandbox-" + string(name) + "-client-id",
		ClientSecrets:  []secret.Text{secret.New("sandbox-" + string(name) + "-fake-client-secret")},
		ExpiringTokens: true,
	}
}

// User is a user of a platform.
type User struct {
	Login, Name string
	ID          int64
	Type        string         // GitHub's type of account
	Unverified  bool           // has confirmed no e-mail address
	Expect      platform.Words // the outcome of a bind as this user
}

// Users returns the users that all three platforms have, with ids from base+1.
func Users(base int64) []User {
	binds := platform.Text("绑定成功。", "Binds.")
	return []User{
		{Login: "alice", Name: "Alice", ID: base + 1, Type: "User", Expect: binds},
		{Login: "bob", Name: "Bob", ID: base + 2, Type: "User", Expect: binds},
		{Login: "carol", Name: "卡罗尔", ID: base + 3, Type: "User", Expect: binds},
	}
}

// Rules are the differences between the three platforms.
type Rules struct {
	Platform platform.Name
	Title    string
	// Paths belong to this platform. A path that ends in a slash includes all paths below it.
	Paths         []string
	AuthorizePath string // the consent page
	SettingsPath  string // the page where a user revokes a consent
	Switches      []platform.Switch

	// UntickableScopes: the user may untick scopes on the consent page.
	UntickableScopes bool
	// EditableScopes: the user may remove scopes later.
	EditableScopes bool
	// ChecksPKCE: a challenge binds the code to its verifier. Otherwise it is only recorded.
	ChecksPKCE bool
	// StrictRequest: response_type and redirect_uri are mandatory.
	StrictRequest bool
	// RedirectFits reports whether the redirect_uri of a request fits the registered one.
	RedirectFits func(registered, sent string) bool
	// ReportsMismatch: the error of a redirect_uri that doesn't fit goes to the registered one.
	ReportsMismatch bool
	// Scopes returns the scopes that a request asks for, false if one of them doesn't exist.
	Scopes func(app App, param string, before []string) ([]string, bool)
	// MergeScopes adds a new consent to an earlier one. If it is nil the new one replaces it.
	MergeScopes func(before, ticked []string) []string

	// NewTokens returns the values of a new pair of tokens.
	NewTokens func() (access, refresh secret.Text)
	AccessTTL time.Duration
	// RefreshTTL is the life of a refresh token. 0: it never expires.
	RefreshTTL time.Duration
	// OptionalExpiry: tokens expire only if the app or the request says so.
	OptionalExpiry bool
	// GrantTypeOptional: a token request without a grant_type redeems a code.
	GrantTypeOptional bool
	// AnonymousRefresh: a refresh needs no client credentials.
	AnonymousRefresh bool
	// ReusesRefreshToken: a refresh returns the same refresh token. Otherwise it uses it up.
	ReusesRefreshToken bool
	// RefreshEndsAccess: a refresh ends the access token that came with the refresh token.
	RefreshEndsAccess bool
	// MaxTokens is how many tokens a user, app and set of scopes may have. 0: any number.
	MaxTokens int

	// GitUser is the user name that goes with a token for git. If it is empty any name is accepted.
	GitUser string
	// GitScope is the scope that a clone needs, PushScope the one that a push needs.
	GitScope, PushScope string
}

// Platform is a platform that is bound by consent. It keeps only digests of the codes, tokens and
// cookies that it issues. Its methods may be called by several goroutines at once.
type Platform struct {
	Rules
	*platform.Env
	*platform.Switches
	// Mux has the platform's routes. The platform's package adds its own before the first request.
	Mux   *http.ServeMux
	users []User

	mu        sync.Mutex // guards what follows
	apps      map[string]App
	sessions  map[digest]string // the signed-in user, by cookie
	consents  map[grant][]string
	codes     map[digest]*Authorization
	access    map[digest]*AccessToken
	refresh   map[digest]*refreshToken
	issued    int // number of access tokens, which orders them
	exchanges int
	refreshes int
	lag       int
}

// grant is a user and an app that the user has given scopes to.
type grant struct{ login, clientID string }

// digest stands for a value that isn't kept.
type digest [sha256.Size]byte

func digestOf(value string) digest { return sha256.Sum256([]byte(value)) }

// New returns a platform with its users and one app, and with the routes of its consent page, its
// settings page and git.
func New(env *platform.Env, rules Rules, app App, users []User) *Platform {
	p := &Platform{
		Rules:    rules,
		Env:      env,
		Switches: platform.NewSwitches(append(rules.Switches, platform.ManySwitch())...),
		Mux:      http.NewServeMux(),
		users:    users,
		apps:     map[string]App{app.ClientID: app},
		sessions: map[digest]string{},
		consents: map[grant][]string{},
		codes:    map[digest]*Authorization{},
		access:   map[digest]*AccessToken{},
		refresh:  map[digest]*refreshToken{},
	}
	p.Mux.HandleFunc(git.DemoFolder(string(rules.Platform)), p.serveGit)
	p.Mux.HandleFunc("GET "+rules.AuthorizePath, p.showConsent)
	p.Mux.HandleFunc("POST "+rules.AuthorizePath, p.takeConsent)
	p.Mux.HandleFunc("GET "+rules.SettingsPath, p.showSettings)
	p.Mux.HandleFunc("POST "+rules.SettingsPath, p.takeSettings)
	return p
}

// Name returns the platform's name.
func (p *Platform) Name() platform.Name { return p.Platform }

// Serves reports whether a path is one of the platform's.
func (p *Platform) Serves(path string) bool {
	if path == p.SettingsPath || strings.HasPrefix(path, git.DemoFolder(string(p.Platform))) {
		return true
	}
	return slices.ContainsFunc(p.Paths, func(own string) bool {
		return path == own || strings.HasSuffix(own, "/") && strings.HasPrefix(path, own)
	})
}

// ServeHTTP answers as the platform does.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !git.IsPath(r.URL.Path) {
		r.Body = http.MaxBytesReader(w, r.Body, platform.MaxBody)
	}
	p.Mux.ServeHTTP(w, r)
}

// Samples lists the users to sign in as.
func (p *Platform) Samples() []platform.Sample {
	var all []platform.Sample
	for _, u := range p.users {
		all = append(all, platform.Sample{
			Platform: p.Platform,
			Title:    platform.Text("登录为 "+u.Login, "Sign in as "+u.Login),
			Username: u.Login,
			Expect:   u.Expect,
		})
	}
	return all
}

// CloneURL returns the address of the platform's repository.
func (p *Platform) CloneURL(origin string) string {
	return origin + git.DemoFolder(string(p.Platform)) + "demo.git"
}

// App returns a registered app.
func (p *Platform) App(clientID string) (App, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.apps[clientID]
	return a, ok
}

// user returns the user with a login name.
func (p *Platform) user(login string) (User, bool) {
	i := slices.IndexFunc(p.users, func(u User) bool { return u.Login == login })
	if i < 0 {
		return User{}, false
	}
	return p.users[i], true
}

// Repositories returns the repositories that a user may read, by path.
func (p *Platform) Repositories(login string) []platform.Repository {
	var all []platform.Repository
	for _, path := range platform.Paths(login, p.On(platform.ManyRepositories)) {
		r := platform.NewRepository(p.Platform, path)
		r.Repository = p.Git.Current(r.Repository)
		all = append(all, r)
	}
	return all
}

// RepositoryURL returns the clone address of a repository. The folder tells the platforms apart,
// which share an origin here.
func (p *Platform) RepositoryURL(origin, path string) string {
	return origin + git.DemoFolder(string(p.Platform)) + path + ".git"
}

// serveGit serves demo.git, and the repositories that the user may read. A user's password of
// [platform.GitPassword] has every scope.
func (p *Platform) serveGit(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	caller, fault := p.Caller(password)
	wrongUser := user == "" || p.GitUser != "" && user != p.GitUser
	own, known := p.user(user)
	hasPassword := known && password == platform.GitPassword(user)
	if hasPassword {
		caller.User = own
	}
	if !hasPassword && (fault != nil || wrongUser) {
		git.RequireLogin(w, p.Title+" (sandbox)")
		return
	}
	if !hasPassword && !caller.Has(p.GitScope) {
		http.Error(w, "the token lacks the scope "+p.GitScope, http.StatusForbidden)
		return
	}
	path, _, _ := strings.Cut(
		strings.TrimPrefix(r.URL.Path, git.DemoFolder(string(p.Platform))), ".git/")
	repository, found := platform.FindRepository(p.Repositories(caller.Login),
		func(r platform.Repository) bool { return r.Path == path })
	if path == "demo" {
		repository = platform.Repository{Repository: git.Demo(string(p.Platform)), Path: path}
	} else if !found {
		http.Error(w, "Repository not found", http.StatusNotFound)
		return
	}
	p.ServeGit(w, r, p.Platform, repository, caller.Login, hasPassword || caller.Has(p.PushScope))
}
