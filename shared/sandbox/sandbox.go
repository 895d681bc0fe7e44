// Package sandbox simulates the five platforms, Codeup, Gitee, GitHub, GitLab and Bitbucket, on
// one origin, for a laptop and for tests. It has the quirks of the real ones, and faults that can
// be switched on.
//
// It follows the vendors' documentation and recorded replies, and it shares no code with package
// provider: client and server are written separately, so that a wrong assumption shows. Its tokens
// are fixed and obviously fake. Nothing that is deployed links it.
//
// This package has what surrounds the platforms: routing, the log of requests, faults, and the
// page for a person. Each platform has a package of its own below this one; oauth is the part that
// Gitee, GitHub and Bitbucket share, git serves repositories, hooks sends the deliveries of
// webhooks, page has the templates.
package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/sandbox/bitbucket"
	"bindery/shared/sandbox/codeup"
	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/gitee"
	"bindery/shared/sandbox/github"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/sandbox/hooks"
	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// Platform names one of the five platforms.
type Platform = platform.Name

// The platforms.
const (
	Codeup    = platform.Codeup
	Gitee     = platform.Gitee
	GitHub    = platform.GitHub
	GitLab    = platform.GitLab
	Bitbucket = platform.Bitbucket
)

// App is an OAuth app that is registered at a platform.
type App = oauth.App

// Sample is something to try by hand.
type Sample = platform.Sample

// Options configure a sandbox.
type Options struct {
	// Now is the clock by which tokens expire.
	Now func() time.Time
	// URL is the sandbox's own origin, "http://127.0.0.1:8081", for the links in its replies. If
	// it is empty they are built from the request's Host.
	URL string
	// Random is the source of new tokens: crypto/rand.Reader, or a fixed one in a test.
	Random io.Reader
	// OnRequest, if set, is called with each request to a platform before it is answered, from
	// that request's goroutine. If it blocks it delays that request and no other.
	OnRequest func(Request)
	// EventsKey is the key by which the receiver of events at [ReceiverPath] verifies what it gets, as
	// Standard Webhooks writes one: base64, with or without "whsec_" before it. Without a key the
	// receiver refuses everything.
	EventsKey secret.Text
	// Transport sends the deliveries. Nil is one without a proxy.
	Transport http.RoundTripper
}

// Sandbox serves all platforms. Its methods may be called by several goroutines at once, also
// while it serves.
type Sandbox struct {
	// Platforms are the controls of Gitee, GitHub and Bitbucket.
	oauth.Platforms
	// The platforms, with their webhooks and merge requests.
	Codeup    *codeup.Server
	Gitee     *gitee.Server
	GitHub    *github.Server
	GitLab    *gitlab.Server
	Bitbucket *bitbucket.Server

	options   Options
	env       *platform.Env
	platforms []server // in the order of the console
	own       http.Handler
	closing   chan struct{}
	close     sync.Once
	git       git.Server
	sender    *hooks.Sender
	receiver  *receiver

	mu       sync.Mutex // guards what follows
	faults   map[Platform]Fault
	requests []*Request
	counts   map[Platform]int
}

// server is one of the platforms.
type server interface {
	http.Handler
	deliverer
	Name() Platform
	// Serves reports whether a path, without the origin, belongs to this platform.
	Serves(path string) bool
	// Samples lists what a person can try, and the outcome.
	Samples() []Sample
	// CloneURL returns the address of a repository.
	CloneURL(origin string) string
	ListSwitches() []platform.Switch
	SetSwitch(name string, on bool) bool
}

// New returns a sandbox with its users and tokens. It panics without a clock or a random source,
// and at a key that is not base64.
func New(o Options) *Sandbox {
	if o.Now == nil || o.Random == nil {
		panic("sandbox: Options.Now and Options.Random are needed")
	}
	s := &Sandbox{
		options: o,
		closing: make(chan struct{}),
		faults:  map[Platform]Fault{},
		counts:  map[Platform]int{},
	}
	s.env = &platform.Env{
		Now: o.Now, URL: strings.TrimSuffix(o.URL, "/"), Random: o.Random, Git: &s.git,
		Pushed: s.pushed, Send: s.send,
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	}
	s.sender = hooks.New(&http.Client{Transport: o.Transport}, o.Now)
	s.Codeup, s.GitLab = codeup.New(s.env), gitlab.New(s.env)
	s.Gitee, s.GitHub, s.Bitbucket = gitee.New(s.env), github.New(s.env), bitbucket.New(s.env)
	s.Platforms = oauth.Platforms{
		Gitee: s.Gitee.Platform, GitHub: s.GitHub.Platform, Bitbucket: s.Bitbucket.Platform,
	}
	s.platforms = []server{s.Codeup, s.Gitee, s.GitHub, s.GitLab, s.Bitbucket}
	s.receiver = newReceiver(o)
	s.own = s.ownRoutes()
	return s
}

// Close ends every request that a fault keeps waiting, ends the deliveries, and removes the
// repositories of git. Call it before closing the server. It may be called twice.
func (s *Sandbox) Close() {
	s.close.Do(func() {
		close(s.closing)
		s.sender.Close()
		s.git.Close()
	})
}

// ServeHTTP answers as the platform that the path belongs to, or with the sandbox's own pages.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Sandbox", "true")
	for _, p := range slices.Backward(s.platforms) { // Codeup last, which serves any git path
		if p.Serves(r.URL.Path) {
			s.logged(w, r, p.Name(), func(w http.ResponseWriter) {
				s.serveFault(w, r, p, s.takeFault(p.Name(), r.URL.Path))
			})
			return
		}
	}
	s.own.ServeHTTP(w, r)
}

// find returns a platform, nil if it doesn't exist.
func (s *Sandbox) find(name Platform) server {
	for _, p := range s.platforms {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// SetSwitch turns a switch on or off. It panics at a name that the platform doesn't have.
func (s *Sandbox) SetSwitch(name Platform, switchName string, on bool) {
	if p := s.find(name); p == nil || !p.SetSwitch(switchName, on) {
		panic(fmt.Sprintf("sandbox: %s has no switch %q", name, switchName))
	}
}

// Repository returns a repository that a platform has at a path, for the hashes of its commits
// before anything is pushed to it.
func Repository(name Platform, path string) git.Repository {
	return platform.NewRepository(name, path).Repository
}

// Samples lists what a person can try, in the order of the console. The tokens are fixed and fake,
// and meant to be shown.
func (s *Sandbox) Samples() []Sample {
	var all []Sample
	for _, p := range s.platforms {
		all = append(all, p.Samples()...)
	}
	return all
}

// tokenChanger is a platform of pasted tokens, which a person changes on the sandbox's page. The
// other platforms have a settings page for that.
type tokenChanger interface {
	TokenChanges() []platform.TokenChange
	TokenPath() string // of the page where users create tokens
	ChangeToken(value secret.Text, change string) bool
}
