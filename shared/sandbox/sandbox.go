// Package sandbox is five pretend platforms for a laptop and for tests: Codeup, Gitee, GitHub,
// GitLab and Bitbucket, on one origin, with the quirks that the real ones have and with faults to
// switch on.
//
// It speaks what the vendors document and what others have read in the wild, and it shares no
// code with package provider: the one that asks and the one that answers are written apart, so
// that a wrong belief shows. Its tokens are fixed, obviously fake and good for nothing else.
// Nothing that is deployed links it.
//
// One file a platform; sandbox.go is the frame, faults.go what can go wrong on purpose, page.go
// what a person sees. Repositories hold just enough to be listed; one for each platform can be
// cloned, by git's own program (git.go).
package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bindery/shared/secret"
)

// Platform names one of the five.
type Platform string

// The platforms.
const (
	Codeup    Platform = "codeup"
	Gitee     Platform = "gitee"
	GitHub    Platform = "github"
	GitLab    Platform = "gitlab"
	Bitbucket Platform = "bitbucket"
)

// Options are what a sandbox is made with.
type Options struct {
	// Now is the clock by which tokens expire.
	Now func() time.Time
	// URL is the sandbox's own origin, "http://127.0.0.1:8081", for the links that it gives out.
	// If it is empty they are built from the request's Host.
	URL string
	// Random is where new tokens come from: crypto/rand.Reader, or something fixed in a test.
	Random io.Reader
	// OnRequest, if set, is called with each request to a platform before it is answered, from
	// that request's goroutine. It may block, which holds the request, and nothing else, up.
	OnRequest func(Request)
}

// Sandbox serves all platforms. Its methods may be called at once from many goroutines, also
// while it serves.
type Sandbox struct {
	options   Options
	platforms []platform // in the order of the console
	codeup    *codeup
	gitlab    *gitlab
	own       http.Handler
	pages     *template.Template
	closing   chan struct{}
	close     sync.Once
	git       gitServer

	mu       sync.Mutex // guards what follows
	faults   map[Platform]Fault
	switches map[Platform]map[string]bool
	requests []*Request
	counts   map[Platform]int
}

// platform is what the frame asks of each of the five.
type platform interface {
	http.Handler
	name() Platform
	// serves reports whether a path, without prefix or host, belongs to this platform.
	serves(path string) bool
	// samples are for a person: what to try, and what will come of it.
	samples() []Sample
	// switches are the platform's quirks that can be turned on and off, with their defaults.
	switches() []Switch
}

// New returns a sandbox with its users and tokens in place. It panics without a clock or a source
// of randomness.
func New(o Options) *Sandbox {
	if o.Now == nil || o.Random == nil {
		panic("sandbox: Options.Now and Options.Random are needed")
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	s := &Sandbox{
		options:  o,
		pages:    parsePages(),
		closing:  make(chan struct{}),
		faults:   map[Platform]Fault{},
		switches: map[Platform]map[string]bool{},
		counts:   map[Platform]int{},
	}
	s.own = s.ownPages()
	s.platforms = s.newPlatforms()
	for _, p := range s.platforms {
		s.switches[p.name()] = map[string]bool{}
		for _, w := range p.switches() {
			s.switches[p.name()][w.Name] = w.On
		}
	}
	return s
}

// Close ends every request that waits or goes on for ever because of a fault. Call it before
// closing the server. Twice is once.
//
// The repositories that git has cloned from are removed.
func (s *Sandbox) Close() {
	s.close.Do(func() {
		close(s.closing)
		s.git.close()
	})
}

// ServeHTTP answers for whichever platform the path belongs to, or with the sandbox's own page.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Sandbox", "true")
	i := slices.IndexFunc(s.platforms, func(p platform) bool { return p.serves(r.URL.Path) })
	if i < 0 {
		s.own.ServeHTTP(w, r)
		return
	}
	p := s.platforms[i]
	s.logged(w, r, p.name(), func(w http.ResponseWriter) {
		s.misbehave(w, r, p, s.takeFault(p.name(), r.URL.Path))
	})
}

// Switch is a quirk of a platform that can be turned on and off.
type Switch struct {
	Name string
	Text Words
	On   bool
}

// Words is a text in the two languages.
type Words struct{ Chinese, English string }

// SetSwitch turns a quirk on or off. It panics at a name that the platform doesn't have.
func (s *Sandbox) SetSwitch(p Platform, name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.switches[p][name]; !ok {
		panic(fmt.Sprintf("sandbox: %s has no switch %q", p, name))
	}
	s.switches[p][name] = on
}

// on reports whether a quirk is turned on.
func (s *Sandbox) on(p Platform, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.switches[p][name]
}

// Sample is something to try by hand: what to type, and what to expect.
type Sample struct {
	Platform Platform
	Title    Words
	// Address is empty where the platform has one only.
	Address      string
	Username     string
	Token        secret.Text // empty for a platform that is bound by consent
	Organization string      // empty if it needn't be named
	Expect       Words
}

// Samples lists what there is to try, in the order of the console. The tokens are fixed and
// fake: it is safe, and the point, to show them.
func (s *Sandbox) Samples() []Sample {
	var all []Sample
	for _, p := range s.platforms {
		all = append(all, p.samples()...)
	}
	return all
}

// origin is the sandbox's own, for links.
func (s *Sandbox) origin(r *http.Request) string {
	if s.options.URL != "" {
		return s.options.URL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// random returns a new text of n random bytes in hex after the prefix.
func (s *Sandbox) random(prefix string, n int) secret.Text {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.options.Random, b); err != nil {
		panic(fmt.Sprintf("sandbox: no randomness: %v", err))
	}
	return secret.New(fmt.Sprintf("%s%x", prefix, b))
}

// writeJSON answers with v. The platforms' replies are not escaped for HTML.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("sandbox: encoding a reply: %v", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// object is a JSON object in a reply.
type object map[string]any
