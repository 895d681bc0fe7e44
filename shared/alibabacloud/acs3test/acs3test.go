// Package acs3test verifies requests with Alibaba Cloud's signature of version 3, ACS3-HMAC-SHA256,
// as the cloud's services do. It is for the fake services of tests, and shares no code with the
// client that signs.
//
// It checks no permissions.
package acs3test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// authorization is the form of a signature; see the cloud's page "V3 request body and signature
// method".
var authorization = regexp.MustCompile(
	`^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$`,
)

// maxClockSkew is the largest accepted difference between a request's time and the real time.
const maxClockSkew = 15 * time.Minute

// Gate accepts requests that are signed with one set of credentials, or with those of another known
// caller. Its methods may be called at once from many goroutines.
type Gate struct {
	// Path matches the paths of the service's operations; nil matches only "/".
	Path *regexp.Regexp

	version string // of the service's interface

	mu             sync.Mutex // guards the fields below
	id, key, token string
	known          Known
	nonces         map[string]bool
}

// Known returns the key and the token of an access key's id; ok is false if there is no such access
// key.
type Known = func(id string) (key, token string, ok bool)

// New returns a gate for a service whose interface has this version. token must come with the
// credentials; "" is for credentials without a token.
func New(version, id, key, token string) *Gate {
	return &Gate{version: version, id: id, key: key, token: token, nonces: map[string]bool{}}
}

// SetCredentials changes the credentials from now on.
func (g *Gate) SetCredentials(id, key, token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.id, g.key, g.token = id, key, token
}

// Know also accepts, from now on, requests that are signed by known callers.
func (g *Gate) Know(known Known) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = known
}

// expected returns the credentials that a request must be signed with.
func (g *Gate) expected(r *http.Request) (id, key, token string) {
	id = r.Header.Get("X-Acs-Accesskey-Id")
	if g.known != nil {
		if key, token, ok := g.known(id); ok {
			return id, key, token
		}
	}
	return g.id, g.key, g.token
}

// Refusal is the error reply to a request.
type Refusal struct {
	Status        int
	Code, Message string
}

func refuse(status int, code, format string, args ...any) *Refusal {
	return &Refusal{status, code, fmt.Sprintf(format, args...)}
}

// mustSign returns the headers that a signature must cover.
func mustSign(r *http.Request) []string {
	names := []string{
		"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce",
		"x-acs-version",
	}
	for _, optional := range []string{"content-type", "x-acs-security-token"} {
		if r.Header.Get(optional) != "" {
			names = append(names, optional)
		}
	}
	return names
}

// Check returns nil for a request with this body that is well-formed, new, and signed with the
// credentials. A refusal of a signature quotes what was signed, including the token, as the cloud's
// does.
func (g *Gate) Check(r *http.Request, body []byte) *Refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, err := time.Parse("2006-01-02T15:04:05Z", r.Header.Get("X-Acs-Date"))
	nonce := r.Header.Get("X-Acs-Signature-Nonce")
	id, key, token := g.expected(r)
	switch {
	case r.Method != http.MethodPost || !g.serves(r.URL.Path):
		return refuse(http.StatusNotFound, "InvalidAction.NotFound", "not an operation's address")
	case r.Header.Get("X-Acs-Version") != g.version:
		return refuse(http.StatusBadRequest, "InvalidParameter", "another version of the interface")
	case err != nil || time.Since(at).Abs() > maxClockSkew:
		return refuse(http.StatusBadRequest, "IllegalTimestamp", "the time is missing or off")
	case len(nonce) < 16 || g.nonces[nonce]:
		return refuse(http.StatusBadRequest, "SignatureNonceUsed", "no nonce, or a used one")
	case r.Header.Get("X-Acs-Content-Sha256") != hexSum(body):
		return refuse(http.StatusBadRequest, "InvalidParameter", "the body isn't what was signed")
	case r.Header.Get("X-Acs-Security-Token") != token:
		return refuse(http.StatusBadRequest, "InvalidSecurityToken.Expired",
			"Specified SecurityToken is expired.")
	}
	g.nonces[nonce] = true
	return rightSignature(r, id, key)
}

func (g *Gate) serves(path string) bool {
	if g.Path == nil {
		return path == "/"
	}
	return g.Path.MatchString(path)
}

func rightSignature(r *http.Request, id, key string) *Refusal {
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return refuse(http.StatusBadRequest, "IncompleteSignature", "no signature, or another kind")
	}
	if parts[1] != id {
		return refuse(http.StatusNotFound, "InvalidAccessKeyId.NotFound",
			"Specified access key is not found: %s", parts[1])
	}
	names := strings.Split(parts[2], ";")
	for _, name := range mustSign(r) {
		if !slices.Contains(names, name) {
			return refuse(http.StatusBadRequest, "IncompleteSignature", "%s isn't signed", name)
		}
	}
	var text strings.Builder
	text.WriteString("POST\n" + r.URL.EscapedPath() + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		text.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	text.WriteString("\n" + parts[2] + "\n" + r.Header.Get("X-Acs-Content-Sha256"))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hexSum([]byte(text.String()))))
	if hex.EncodeToString(mac.Sum(nil)) != parts[3] {
		return refuse(http.StatusBadRequest, "SignatureDoesNotMatch",
			"Specified signature does not match our calculation: %s", text.String())
	}
	return nil
}

// canonicalQuery encodes each parameter as RFC 3986 requires, in order.
func canonicalQuery(query url.Values) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range query[name] {
			all = append(all, encode(name)+"="+encode(value))
		}
	}
	return strings.Join(all, "&")
}

func encode(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
