// Package acs3test checks requests as Alibaba Cloud's services do that are signed in the cloud's
// version 3, ACS3-HMAC-SHA256: for the pretend services of tests. It shares no code with the client
// that signs.
//
// Nobody's right to do a thing is checked.
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

// authorization is how a request is signed; see the cloud's page "V3 request body and signature
// method".
var authorization = regexp.MustCompile(
	`^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$`,
)

// clockSkew is how far a request's time may be off.
const clockSkew = 15 * time.Minute

// Gate lets through what is signed with one set of credentials, or with those of anybody who is
// known. Its methods may be called at once from many goroutines.
type Gate struct {
	// Path is where the service's operations are; nil is "/" alone.
	Path *regexp.Regexp

	version string // of the service's interface

	mu             sync.Mutex // guards what follows
	id, key, token string
	known          Known
	nonces         map[string]bool
}

// Known finds the key and the token that belong to an access key's id; ok is false where there is
// no such access key.
type Known = func(id string) (key, token string, ok bool)

// New makes a gate for a service with this version of its interface. token is what must come with
// the credentials, "" for nothing.
func New(version, id, key, token string) *Gate {
	return &Gate{version: version, id: id, key: key, token: token, nonces: map[string]bool{}}
}

// SetCredentials changes the credentials from now on.
func (g *Gate) SetCredentials(id, key, token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.id, g.key, g.token = id, key, token
}

// Know lets through, from now on, what is signed by any of those too.
func (g *Gate) Know(known Known) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = known
}

// expected are the credentials that a request must be signed with.
func (g *Gate) expected(r *http.Request) (id, key, token string) {
	id = r.Header.Get("X-Acs-Accesskey-Id")
	if g.known != nil {
		if key, token, ok := g.known(id); ok {
			return id, key, token
		}
	}
	return g.id, g.key, g.token
}

// Refusal is the answer to a request that doesn't get through.
type Refusal struct {
	Status        int
	Code, Message string
}

func refuse(status int, code, format string, args ...any) *Refusal {
	return &Refusal{status, code, fmt.Sprintf(format, args...)}
}

// mustSign are the headers that a signature must cover.
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

// Check is nil for a request with this body that is well-formed, new, and signed with the
// credentials. A refusal of a signature quotes what was signed, the token in it, as the cloud's
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
	case err != nil || time.Since(at).Abs() > clockSkew:
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

// canonicalQuery writes each parameter as RFC 3986 has it, in order.
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
