// Package console is the page where a person binds platforms: plain HTML, CSS and ES modules,
// embedded, without a framework, a build step or anything from elsewhere.
//
// It serves files and one small JSON of configuration, and knows nothing of bindings: the page
// itself calls the API, with a token that the person's browser got and that never comes here.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed page
var page embed.FS

// Scope is what the page signs in for. It hands out no credentials.
const Scope = "openid bindery.read bindery.write"

// Options are what the page is told.
type Options struct {
	// PublicURL is the origin of the functions, which the page calls.
	PublicURL string
	// ConsoleURL is the page's own origin. Opened at another, the page says where to go, since
	// nothing would let it call the functions.
	ConsoleURL string
	// Issuer signs people in (OpenID Connect, authorization code with PKCE). Its discovery document
	// and its token endpoint must be on its own origin and allow the page's origin (CORS); the
	// redirect address to register is ConsoleURL with a slash.
	Issuer string
	// ClientID is the page's, as a public client of the issuer.
	ClientID string
	// Audience is whom the access token is for, sent as the parameter "audience", which some issuers
	// need and the others ignore. May be empty.
	Audience string
	// Dev signs in by the laptop's /dev/token instead, as anybody.
	Dev bool
	// SandboxURL is where the pretend platforms are, "" if the platforms are the real ones.
	SandboxURL string
}

// asset is one file, ready to be served.
type asset struct {
	contentType string
	etag        string
	body        []byte
}

// Handler serves the page at "/", its files beside it and /config.json, to GET and HEAD. Every
// other path is 404. Browsers may keep everything but must ask each time whether it is the same.
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
		h.Set("ETag", a.etag)
		h.Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
	})
}

// contentTypes are set here, for the machine's own table differs from one to the next.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// load reads the embedded files by the paths that they are served at.
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
	return asset{contentType: contentType, etag: etag, body: body}
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
