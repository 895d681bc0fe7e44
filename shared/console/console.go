// Package console is the web page where a person binds platforms: plain HTML, CSS and ES modules,
// embedded, without a framework, a build step or external files.
//
// It serves files and a small JSON configuration, and knows nothing about bindings: the page itself
// calls the API, with a token that the person's browser obtained and that is never sent here.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page
var page embed.FS

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
	body        []byte
	compressed  []byte // the body in gzip
}

// Handler serves the page at "/", its files next to it and /config.json, to GET and HEAD. Every
// other path is 404. Browsers may cache everything but must revalidate it each time.
func Handler(o Options) http.Handler {
	assets := load()
	assets["/config.json"] = newAsset("application/json", o.config())
	policy := o.policy()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header(), policy)
		a, found := assets[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("Vary", "Accept-Encoding")
		body, etag := a.body, a.etag
		if acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			body, etag = a.compressed, strings.TrimSuffix(a.etag, `"`)+`-gzip"`
		}
		h.Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}

// acceptsGzip reports whether a request's Accept-Encoding (RFC 9110, section 12.5.3) names gzip
// without the weight 0. A part of a compressed file is of no use, so a request for one gets none.
func acceptsGzip(r *http.Request) bool {
	if r.Header.Get("Range") != "" {
		return false
	}
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		_, zero, _ := strings.Cut(weight, "=")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
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

// load returns the embedded files by the paths at which they are served.
func load() map[string]asset {
	assets := map[string]asset{}
	entries, err := page.ReadDir("page")
	if err != nil {
		panic("console: the embedded page is gone: " + err.Error())
	}
	for _, e := range entries {
		body, err := fs.ReadFile(page, "page/"+e.Name())
		if err != nil {
			panic("console: the embedded page is gone: " + err.Error())
		}
		at := "/" + e.Name()
		if e.Name() == "index.html" {
			at = "/"
		}
		assets[at] = newAsset(contentTypes[path.Ext(e.Name())], body)
	}
	return assets
}

func newAsset(contentType string, body []byte) asset {
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return asset{contentType: contentType, etag: etag, body: body, compressed: compress(body)}
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic("console: gzip has no such level: " + err.Error())
	}
	_, _ = w.Write(body) // a Buffer takes everything
	_ = w.Close()
	return out.Bytes()
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
