package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// browser is a user's browser. It stores cookies strictly by the rules. Bindery's origin is https
// for it, although the tests serve it over http.
type browser struct {
	w *world
	// off is set for a browser that stores no cookies.
	off bool

	mu  sync.Mutex
	jar []kept
	// given are all the Set-Cookie lines of the replies.
	given []string
}

func newBrowser(w *world) *browser { return &browser{w: w} }

// kept is a stored cookie.
type kept struct {
	http.Cookie
	ends time.Time
}

// origin is the origin that sets a cookie.
type origin struct {
	scheme, host string
}

func (o origin) trustworthy() bool {
	name, _, _ := strings.Cut(o.host, ":")
	return o.scheme == "https" || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// take stores a cookie, unless a browser would reject it (RFC 6265bis, 5.7).
func (b *browser) take(line string, from origin) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given = append(b.given, line)
	c, err := http.ParseSetCookie(line)
	if err != nil || b.off || c.Secure && !from.trustworthy() || c.Domain != "" {
		return
	}
	host := strings.HasPrefix(strings.ToLower(c.Name), "__host-")
	if host && (!c.Secure || c.Path != "/") ||
		c.SameSite == http.SameSiteNoneMode && !c.Secure {
		return
	}
	b.jar = slices.DeleteFunc(b.jar, func(old kept) bool {
		return old.Name == c.Name && old.Path == c.Path
	})
	if c.MaxAge < 0 {
		return
	}
	k := kept{Cookie: *c}
	if c.MaxAge > 0 {
		k.ends = b.w.clock.Now().Add(time.Duration(c.MaxAge) * time.Second)
	}
	b.jar = append(b.jar, k)
}

// show returns the cookies of a navigation; crossSite is set if a page of another site started it.
func (b *browser) show(u *url.URL, crossSite bool) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var shown []string
	for _, k := range b.jar {
		over := !k.ends.IsZero() && !b.w.clock.Now().Before(k.ends)
		strict := k.SameSite == http.SameSiteStrictMode
		insecure := k.Secure && !(origin{u.Scheme, u.Host}).trustworthy()
		inPath := k.Path == "/" || u.Path == k.Path ||
			strings.HasPrefix(u.Path, strings.TrimSuffix(k.Path, "/")+"/")
		if !over && !insecure && inPath && !(strict && crossSite) {
			shown = append(shown, k.Name+"="+k.Value)
		}
	}
	return strings.Join(shown, "; ")
}

// cookies returns the names of the stored cookies.
func (b *browser) cookies() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, k := range b.jar {
		names = append(names, k.Name)
	}
	return names
}

// value returns the value of the newest cookie.
func (b *browser) value() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.jar) == 0 {
		return ""
	}
	return b.jar[len(b.jar)-1].Value
}

// visit navigates to an address of Bindery; more changes the request.
func (b *browser) visit(address string, crossSite bool, more ...func(*request)) reply {
	b.w.t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Scheme+"://"+u.Host != publicURL {
		b.w.t.Fatal("the browser was sent to an address that isn't Bindery's")
	}
	r := request{method: "GET", path: u.RequestURI(), header: map[string]string{
		"Authorization": "", "Sec-Fetch-Mode": "navigate", "Cookie": b.show(u, crossSite),
		"Host": u.Host,
	}}
	for _, change := range more {
		change(&r)
	}
	answer := b.w.do(r)
	lines := answer.header.Values("Set-Cookie")
	if len(lines) > 1 {
		b.w.t.Errorf("a reply has %d Set-Cookie lines: some runtimes send one only", len(lines))
	}
	for _, line := range lines {
		b.take(line, origin{u.Scheme, u.Host})
	}
	b.rememberSecrets(answer)
	return answer
}

// rememberSecrets remembers the secrets of a reply, each of which has one place, and wants them in
// no other.
func (b *browser) rememberSecrets(r reply) {
	b.w.t.Helper()
	location := r.header.Get("Location")
	var state, verifier, confirmationCode string
	if i := strings.IndexByte(location, '#'); i >= 0 {
		fragment, _ := url.ParseQuery(location[i+1:])
		confirmationCode = fragment.Get("confirmationCode")
	} else if u, err := url.Parse(location); err == nil {
		state = u.Query().Get("state")
	}
	for _, line := range r.header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil && c.Value != "" {
			verifier = c.Value[strings.LastIndexByte(c.Value, '.')+1:]
		}
	}
	_, random, _ := strings.Cut(state, ".")
	for _, value := range []string{random, verifier, confirmationCode} {
		b.w.minted.add(value)
	}
	b.w.wantNoSecret("a reply's body", r.body)
	for name, values := range r.header {
		var own []string
		switch name {
		case "Location":
			own = []string{random, confirmationCode}
		case "Set-Cookie":
			own = []string{random, verifier}
		}
		b.w.wantNoSecret("the header "+name, []byte(strings.Join(values, "\n")), own...)
	}
}

// open opens an attempt's startUrl from the console, and returns the reply.
func (b *browser) open(a attempt, more ...func(*request)) reply {
	b.w.t.Helper()
	return b.visit(a.startURL, true, more...)
}

// authorizeURL opens an attempt's startUrl, and returns the platform's address that it redirects
// to.
func (b *browser) authorizeURL(a attempt) string {
	b.w.t.Helper()
	r := b.open(a)
	if r.status != http.StatusFound {
		b.w.t.Fatalf("go: got %d, want 302", r.status)
	}
	return r.header.Get("Location")
}

// openRefused opens an attempt's startUrl, and wants a redirect to the console.
func (b *browser) openRefused(a attempt) consoleRedirect {
	b.w.t.Helper()
	r := b.open(a)
	if r.status != http.StatusSeeOther {
		b.w.t.Fatalf("go: got %d, want 303", r.status)
	}
	return b.w.consoleRedirect(r.header.Get("Location"))
}

// callback opens a callback address, to which the platform has redirected.
func (b *browser) callback(callback string, more ...func(*request)) consoleRedirect {
	b.w.t.Helper()
	r := b.visit(callback, true, more...)
	if r.status != http.StatusSeeOther {
		b.w.t.Fatalf("callback: got %d %s, want 303", r.status, r.body)
	}
	if len(r.body) != 0 {
		b.w.t.Errorf("the callback's reply has a body of %d bytes", len(r.body))
	}
	return b.w.consoleRedirect(r.header.Get("Location"))
}

// odd marks a request that doesn't fit the contract.
func odd(r *request) { r.unlisted = true }

// queryOf returns the parameters of an address.
func queryOf(address string) url.Values {
	u, err := url.Parse(address)
	if err != nil {
		return url.Values{}
	}
	return u.Query()
}

// callbackOf returns a callback's address with these parameters, each as often as it is named.
func callbackOf(platform string, params ...string) string {
	query := url.Values{}
	for i := 0; i < len(params); i += 2 {
		query.Add(params[i], params[i+1])
	}
	return publicURL + "/v1/callback/" + platform + "?" + query.Encode()
}
