// Package console is the web page where a person binds platforms: plain HTML, CSS and ES modules,
// embedded, without a framework or external files. The modules are served without their comments; a
// test compresses them beforehand.
//
// It serves files, and a small JSON configuration in the page, and knows nothing about bindings:
// the page itself calls the API, with a token that the person's browser obtained and that is never
// sent here.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
)

// packed has each file but index.html in Brotli and gzip, so that a function that starts compresses
// nothing.
//
//go:embed page packed
var embedded embed.FS

// Scope is the scope that the page requests. It doesn't permit reading credentials.
const Scope = "openid bindery.read bindery.write bindery.repositories"

// Options is the page's configuration.
type Options struct {
	// PublicURL is the origin of the functions that the page calls.
	PublicURL string
	// ConsoleURL is the page's own origin. If the page is opened at another origin, it shows this
	// one, because browsers let it call the functions only from here.
	ConsoleURL string
	// Issuer signs people in (OpenID Connect, authorization code with PKCE). Its discovery document
	// and its token endpoint must be on its own origin and allow the page's origin (CORS); the
	// redirect address to register is ConsoleURL with a slash.
	Issuer string
	// ClientID is the page's id as a public client of the issuer.
	ClientID string
	// Audience is the audience of the access token, sent as the parameter "audience", which some
	// issuers need and others ignore. It may be empty.
	Audience string
	// Dev signs in with the laptop's /dev/token instead, as any user.
	Dev bool
	// SandboxURL is the address of the fake platforms, "" for the real ones.
	SandboxURL string
}

// asset is one file that is ready to be served.
type asset struct {
	contentType string
	etag        string
	bodies      map[string][]byte // by Content-Encoding; "" is the file as it is
}

// versioned is a path with a version before the file's name.
var versioned = regexp.MustCompile(`^/([0-9a-f]{16})(/[^/]+)$`)

// Handler serves the page at "/" and its files next to it, to GET and HEAD. Every other path is
// 404. The page names its files with a version before them, so that browsers keep them without
// asking again; everything else is revalidated each time. A page that was loaded before a
// deployment gets the present file by its own version too.
func Handler(o Options) http.Handler {
	assets, version := load()
	assets["/"] = o.document(assets, version)
	policy := o.policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		protect(h, policy)
		at, caching := r.URL.Path, "no-cache"
		if parts := versioned.FindStringSubmatch(at); parts != nil {
			at = parts[2]
			if parts[1] == version {
				caching = "public, max-age=31536000, immutable"
			}
		}
		a, found := assets[at]
		if !found {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", caching)
		h.Set("Vary", "Accept-Encoding")
		coding := a.coding(r)
		etag := a.etag
		if coding != "" {
			h.Set("Content-Encoding", coding)
			etag += "-" + coding
		}
		h.Set("ETag", `"`+etag+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.bodies[coding]))
	})
}

// coding returns the smallest encoding that a request accepts. A part of a compressed file is of no
// use, so a request for one gets the file as it is.
func (a asset) coding(r *http.Request) string {
	for _, coding := range []string{"br", "gzip"} {
		if a.bodies[coding] != nil && r.Header.Get("Range") == "" && accepts(r, coding) {
			return coding
		}
	}
	return ""
}

// accepts reports whether a request's Accept-Encoding (RFC 9110, section 12.5.3) names the encoding
// without the weight 0.
func accepts(r *http.Request, coding string) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(one, ";")
		_, zero, _ := strings.Cut(weight, "=")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			return strings.Trim(zero, " 0.") != "" || strings.TrimSpace(zero) == ""
		}
	}
	return false
}

// contentTypes are fixed here, because the system's table differs between machines.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// load returns the embedded files by the paths at which they are served, and their version, which
// another version of any of them changes.
func load() (assets map[string]asset, version string) {
	assets = map[string]asset{}
	all := sha256.New()
	entries, err := embedded.ReadDir("page")
	if err != nil {
		panic("console: the embedded page is gone: " + err.Error())
	}
	for _, e := range entries {
		name := e.Name()
		body := read("page/" + name)
		if path.Ext(name) == ".js" {
			body = withoutComments(body)
		}
		a := newAsset(name, body)
		if name != "index.html" {
			a.addPacked("br", name+"."+a.etag+".br")
			a.addPacked("gzip", name+"."+a.etag+".gz")
		}
		assets["/"+name] = a
		_, _ = all.Write([]byte(name + a.etag)) // a hash takes everything
	}
	return assets, hex.EncodeToString(all.Sum(nil))[:16]
}

// withoutComments drops the lines of a module that are only a comment, a seventh of what is sent.
func withoutComments(module []byte) []byte {
	var code bytes.Buffer
	for line := range bytes.Lines(module) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("//")) {
			code.Write(line)
		}
	}
	return code.Bytes()
}

func read(name string) []byte {
	body, err := fs.ReadFile(embedded, name)
	if err != nil {
		panic("console: the embedded page is gone: " + err.Error())
	}
	return body
}

// addPacked adds the file in an encoding. The packed file has the hash of what it was made of in
// its name, so a file that has been edited since is served as it is.
func (a asset) addPacked(coding, name string) {
	if body, err := fs.ReadFile(embedded, "packed/"+name); err == nil {
		a.bodies[coding] = body
	}
}

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{
		contentType: contentTypes[path.Ext(name)],
		etag:        base64.RawURLEncoding.EncodeToString(sum[:16]),
		bodies:      map[string][]byte{"": body},
	}
}

// document takes index.html out of the assets and returns it with the configuration, and a version
// in each address.
func (o Options) document(assets map[string]asset, version string) asset {
	const name = "/index.html"
	text := string(assets[name].bodies[""])
	delete(assets, name)
	text = strings.NewReplacer(`href="/`, `href="/`+version+`/`, `src="/`, `src="/`+version+`/`).
		Replace(text)
	text = strings.Replace(text, "{{config}}", html.EscapeString(string(o.config())), 1)
	return newAsset(name, []byte(text))
}

type configJSON struct {
	PublicURL  string     `json:"publicUrl"`
	ConsoleURL string     `json:"consoleUrl"`
	SignIn     signInJSON `json:"signIn"`
	SandboxURL *string    `json:"sandboxUrl"`
}

type signInJSON struct {
	Kind     string `json:"kind"` // "dev" or "oidc"; the rest is for the latter
	Issuer   string `json:"issuer,omitempty"`
	ClientID string `json:"clientId,omitempty"`
	Scope    string `json:"scope,omitempty"`
	Audience string `json:"audience,omitempty"`
}

func (o Options) config() []byte {
	c := configJSON{PublicURL: o.PublicURL, ConsoleURL: o.ConsoleURL}
	c.SignIn = signInJSON{
		Kind: "oidc", Issuer: o.Issuer, ClientID: o.ClientID, Scope: Scope, Audience: o.Audience,
	}
	if o.Dev {
		c.SignIn = signInJSON{Kind: "dev"}
	}
	if o.SandboxURL != "" {
		c.SandboxURL = &o.SandboxURL
	}
	body, err := json.Marshal(c)
	if err != nil {
		panic("console: strings can't fail to become JSON: " + err.Error())
	}
	return body
}
