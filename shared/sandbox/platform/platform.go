// Package platform has what the sandbox's five platforms share: their names, the environment that
// they run in, their switches and samples, and the way in which they write replies.
package platform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"bindery/shared/sandbox/git"
	"bindery/shared/secret"
)

// Name names one of the five platforms.
type Name string

// The platforms.
const (
	Codeup    Name = "codeup"
	Gitee     Name = "gitee"
	GitHub    Name = "github"
	GitLab    Name = "gitlab"
	Bitbucket Name = "bitbucket"
)

// Words is a text in two languages.
type Words struct{ Chinese, English string }

// Text returns a text.
func Text(chinese, english string) Words { return Words{chinese, english} }

// Sample is something to try by hand: what to type, and what to expect.
type Sample struct {
	Platform Name
	Title    Words
	// Address is empty for a platform that has one address only.
	Address      string
	Username     string
	Token        secret.Text // empty for a platform that is bound by consent
	Organization string      // empty if it need not be named
	Expect       Words
}

// Env is what the sandbox gives to each platform.
type Env struct {
	// Now is the clock by which tokens expire.
	Now func() time.Time
	// URL is the sandbox's own origin for links. If it is empty the request's Host is used.
	URL string
	// Random is the source of new tokens.
	Random io.Reader
	// Git serves the repositories of all platforms.
	Git *git.Server
	// Pushed sends the deliveries that the platform makes of a push or of a change of a merge request,
	// in the background. Call it without holding a lock that the platform's Deliveries needs.
	Pushed func(Name, Push)
	// Send posts a delivery of a repository in the background. The channel gets the status of the
	// answer, 0 if there was none, after the platform's Delivered was called with it.
	Send func(name Name, repository string, out Outgoing) <-chan int
}

// Elsewhere returns a request for the links in a delivery, which answers no request.
func Elsewhere() *http.Request { return &http.Request{Host: "sandbox.invalid"} }

// Origin returns the sandbox's own origin, for links.
func (e *Env) Origin(r *http.Request) string {
	switch {
	case e.URL != "":
		return e.URL
	case r.TLS != nil:
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// NewSecret returns n random bytes in hex after the prefix. It panics if the random source fails.
func (e *Env) NewSecret(prefix string, n int) secret.Text {
	b := make([]byte, n)
	if _, err := io.ReadFull(e.Random, b); err != nil {
		panic(fmt.Sprintf("sandbox: no randomness: %v", err))
	}
	return secret.New(fmt.Sprintf("%s%x", prefix, b))
}

// MaxBody is the largest request body that is read, in bytes. No platform takes more.
const MaxBody = 1 << 20

// Epoch is the creation time of everything in the sandbox.
const Epoch = "2025-01-02T03:04:05Z"

// Object is a JSON object in a reply.
type Object map[string]any

// Encode returns v as JSON. Like the platforms' own it is not escaped for HTML.
func Encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("sandbox: encoding: %v", err))
	}
	return b.Bytes()
}

// WriteJSON writes v as the reply.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(Encode(v))
}

// Page is the part of a list that a request asks for: list[From:To].
type Page struct{ Number, Size, From, To int }

// PageOf reads the number of the page and its size, named by sizeParam, from the query. The
// default size is 20, the largest is 100.
func PageOf(r *http.Request, sizeParam string, length int) Page {
	positive := func(name string, absent, limit int) int {
		n, err := strconv.Atoi(r.URL.Query().Get(name))
		if err != nil || n < 1 {
			return absent
		}
		return min(n, limit)
	}
	p := Page{Number: positive("page", 1, 1<<20), Size: positive(sizeParam, 20, 100)}
	p.From = min((p.Number-1)*p.Size, length)
	p.To = min(p.From+p.Size, length)
	return p
}
