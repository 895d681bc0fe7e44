package sandbox

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/secret"
)

// App is an OAuth app, or as Bitbucket says a consumer, that somebody registered at a platform.
type App struct {
	Name     string // what the consent page calls it; "" shows the client id
	ClientID string
	// ClientSecrets are all good at the same time, as during a change of secret.
	ClientSecrets []secret.Text
	// RedirectURI is the registered callback address. Without one every authorization is refused.
	RedirectURI string
	// Scopes are the tick boxes of a Bitbucket consumer. The other platforms take the scopes from
	// the request.
	Scopes []string
	// ExpiringTokens makes GitHub's tokens end after 8 hours, with a refresh token. The other two
	// platforms' always end.
	ExpiringTokens bool
}

// knows reports whether the text is one of the app's secrets.
func (a App) knows(text string) bool {
	return slices.ContainsFunc(a.ClientSecrets, secret.New(text).Equal)
}

// oauthRules are what the three platforms do differently on the way to a code and a token.
type oauthRules struct {
	platform Platform
	title    string
	// paths of this platform; one that ends in a slash stands for all below it.
	paths     []string
	authorize string // the path of the consent page
	settings  string // the path of the page where a user takes a consent back
	// ticks: the user may untick scopes.
	ticks bool
	// edits: the user may take scopes back later.
	edits bool
	// checksPKCE: a challenge binds the code to its verifier. Else it is noted and ignored.
	checksPKCE bool
	// needsRequest: response_type and redirect_uri must be sent.
	needsRequest bool
	// redirectFits reports whether the redirect_uri of a request goes with the registered one.
	redirectFits func(registered, sent string) bool
	// reportsMismatch: a redirect_uri that doesn't fit is told to the registered one.
	reportsMismatch bool
	// scopes are those that a request asks for; false if one of them doesn't exist.
	scopes func(app App, param string, before []string) ([]string, bool)
	// settled reports whether an earlier consent makes the page unnecessary.
	settled func(before, asked []string) bool
	// merge makes one of an earlier consent and what was ticked now.
	merge func(before, ticked []string) []string
	// mint makes the two tokens' values.
	mint        func() (access, refresh secret.Text)
	accessLife  time.Duration
	refreshLife time.Duration // 0: never ends
	// most is how many tokens one user, app and set of scopes may have; 0: any number.
	most int
}

// oauthPlatform is a platform that is bound by consent: its people, apps, codes and tokens. It
// keeps the digest of what it issues, not the thing itself.
type oauthPlatform struct {
	oauthRules
	sandbox *Sandbox
	people  []oauthPerson
	mux     *http.ServeMux

	mu        sync.Mutex // guards what follows
	apps      map[string]App
	sessions  map[digest]string // who is signed in, by cookie
	consents  map[oauthPair][]string
	codes     map[digest]*Authorization
	access    map[digest]*oauthAccess
	refresh   map[digest]*oauthRefresh
	issued    int // counts tokens, to tell the oldest
	exchanges int
	refreshes int
	lag       int
}

// oauthPair is a user and an app.
type oauthPair struct{ login, clientID string }

// digest stands for a value that isn't kept.
type digest [sha256.Size]byte

// digestOf is the digest of a code, token or cookie.
func digestOf(value string) digest { return sha256.Sum256([]byte(value)) }

// newOAuthPlatform makes a platform with its people and its one app. The caller adds its routes.
func newOAuthPlatform(s *Sandbox, rules oauthRules, app App, people []oauthPerson) *oauthPlatform {
	p := &oauthPlatform{
		oauthRules: rules,
		sandbox:    s,
		people:     people,
		mux:        http.NewServeMux(),
		apps:       map[string]App{app.ClientID: app},
		sessions:   map[digest]string{},
		consents:   map[oauthPair][]string{},
		codes:      map[digest]*Authorization{},
		access:     map[digest]*oauthAccess{},
		refresh:    map[digest]*oauthRefresh{},
	}
	p.mux.HandleFunc(gitOf(rules.platform), p.serveGit)
	p.mux.HandleFunc("GET "+rules.authorize, p.showConsent)
	p.mux.HandleFunc("POST "+rules.authorize, p.takeConsent)
	p.mux.HandleFunc("GET "+rules.settings, p.showSettings)
	p.mux.HandleFunc("POST "+rules.settings, p.takeSettings)
	return p
}

// name is the platform's.
func (p *oauthPlatform) name() Platform { return p.platform }

// serves reports whether a path is one of the platform's.
func (p *oauthPlatform) serves(path string) bool {
	if path == p.settings || strings.HasPrefix(path, gitOf(p.platform)) {
		return true
	}
	return slices.ContainsFunc(p.paths, func(own string) bool {
		return path == own || strings.HasSuffix(own, "/") && strings.HasPrefix(path, own)
	})
}

// ServeHTTP answers as the platform does.
func (p *oauthPlatform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p.mux.ServeHTTP(w, r)
}

// switches: none, unless the platform has some.
func (p *oauthPlatform) switches() []Switch { return nil }

// samples are the people that one can sign in as.
func (p *oauthPlatform) samples() []Sample {
	var all []Sample
	for _, person := range p.people {
		all = append(all, Sample{
			Platform: p.platform,
			Title:    Words{"登录为 " + person.login, "Sign in as " + person.login},
			Username: person.login,
			Expect:   person.expect,
		})
	}
	return all
}

// now is the sandbox's clock.
func (p *oauthPlatform) now() time.Time { return p.sandbox.options.Now() }

// app returns a registered app.
func (p *oauthPlatform) app(clientID string) (App, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.apps[clientID]
	return a, ok
}

// oauthPerson is a user of the three platforms.
type oauthPerson struct {
	login, name string
	id          int64
	kind        string // GitHub's type of account
	unverified  bool   // has not confirmed an e-mail address
	expect      Words  // of signing in as this user
}

// person finds a user.
func (p *oauthPlatform) person(login string) (oauthPerson, bool) {
	i := slices.IndexFunc(p.people, func(o oauthPerson) bool { return o.login == login })
	if i < 0 {
		return oauthPerson{}, false
	}
	return p.people[i], true
}

// everybody are the users that all three platforms have. A platform's ids begin after first.
func everybody(first int64) []oauthPerson {
	fine := Words{"绑定成功。", "Binds."}
	return []oauthPerson{
		{login: "alice", name: "Alice", id: first + 1, kind: "User", expect: fine},
		{login: "bob", name: "Bob", id: first + 2, kind: "User", expect: fine},
		{login: "carol", name: "卡罗尔", id: first + 3, kind: "User", expect: fine},
	}
}

// seededApp is the app that every platform has from the beginning. Its values are fixed and
// obviously fake.
func seededApp(p Platform) App {
	return App{
		Name:           "Bindery (sandbox)",
		ClientID:       "sandbox-" + string(p) + "-client-id",
		ClientSecrets:  []secret.Text{secret.New("sandbox-" + string(p) + "-fake-client-secret")},
		ExpiringTokens: true,
	}
}

// uuid is a person's at Bitbucket.
func (o oauthPerson) uuid() string {
	return fmt.Sprintf("{%08x-0000-4000-8000-5a4d0b0c0000}", o.id)
}
