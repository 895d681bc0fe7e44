package binding_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"bindery/shared/binding/ledger"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// grant is a token pair of a platform: an access token, and a refresh token for one use.
type grant struct {
	number      int
	consent     int // the number of its consent
	ends        time.Time
	refreshable bool
	dead        bool // the access token is refused
	stored      bool // it has reached the vault
	losable     bool // something happened after which it may be lost
	madeAt      time.Time
	by          *process // the process that got it
}

func (g *grant) access() string  { return fmt.Sprintf("fake-access-%d", g.number) }
func (g *grant) refresh() string { return fmt.Sprintf("fake-refresh-%d", g.number) }

// rotating is a platform that ends the old refresh token with each refresh. Its API is GitHub's. It
// has one user, and one connection for each call.
type rotating struct {
	now  func() time.Time
	life time.Duration
	// spares: a refresh leaves the old access token valid, as at Bitbucket.
	spares bool
	// reuses: the refresh token never changes, as Bitbucket documents it.
	reuses bool

	mu      sync.Mutex // guards the fields below
	grants  []*grant
	revoked bool // the user has revoked the consent
	renewed int  // calls that were answered with a new token
	refused int  // calls that were refused permanently
}

// issue makes a grant. The caller holds mu, or nothing else uses the platform.
func (r *rotating) issue(consent int, left time.Duration) *grant {
	g := &grant{
		number: len(r.grants) + 1, consent: consent, refreshable: true,
		ends: r.now().Add(left), madeAt: time.Now(),
	}
	r.grants = append(r.grants, g)
	return g
}

// consent returns the first token of a new consent, with this life left.
func (r *rotating) consent(left time.Duration) provider.Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.issue(len(r.grants)+1, left)
	return provider.Token{
		Access: secret.New(g.access()), Refresh: secret.New(g.refresh()), ExpiresAt: g.ends,
		Scopes: []string{"repo"},
	}
}

// revokeConsent revokes the user's consent.
func (r *rotating) revokeConsent() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revoked = true
	for _, g := range r.grants {
		g.dead, g.refreshable = true, false
	}
}

// find returns the grant of an access token or a refresh token.
func (r *rotating) find(token string) *grant {
	for _, g := range r.grants {
		if token == g.access() || token == g.refresh() {
			return g
		}
	}
	return nil
}

// noteStored records that a token has reached the vault.
func (r *rotating) noteStored(bundle ledger.TokenBundle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.find(bundle.Token.Access.Reveal()); g != nil {
		g.stored = true
	}
}

// liveGrant returns the newest grant of a token's consent, nil if the consent has ended.
func (r *rotating) liveGrant(access secret.Text) *grant {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.find(access.Reveal())
	var newest *grant
	for _, g := range r.grants {
		if of != nil && g.consent == of.consent && g.refreshable {
			newest = g
		}
	}
	return newest
}

// answer is the reply to a call: a status and JSON. made is the grant that the call made.
func (r *rotating) answer(call *http.Request, body []byte) (status int, reply any, made *grant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case call.URL.Path == "/login/oauth/access_token":
		form, _ := url.ParseQuery(string(body))
		return r.renew(form.Get("refresh_token"))
	case call.Method == http.MethodDelete:
		var in struct {
			AccessToken string `json:"access_token"`
		}
		_ = json.Unmarshal(body, &in)
		if g := r.find(in.AccessToken); g != nil && !g.dead {
			g.dead, g.refreshable = true, false
			return http.StatusNoContent, nil, nil
		}
		return http.StatusNotFound, nil, nil
	}
	token := strings.TrimPrefix(call.Header.Get("Authorization"), "Bearer ")
	if g := r.find(token); g == nil || g.dead || !g.ends.After(r.now()) {
		return http.StatusUnauthorized, map[string]string{"message": "Bad credentials"}, nil
	}
	return http.StatusOK, map[string]any{"login": "alice", "id": 1001, "type": "User"}, nil
}

// renew uses a refresh token up. The caller holds mu.
func (r *rotating) renew(token string) (int, any, *grant) {
	old := r.find(token)
	if old == nil || !old.refreshable {
		r.refused++
		return http.StatusOK, map[string]string{"error": "bad_refresh_token"}, nil
	}
	r.renewed++
	g := r.issue(old.consent, r.life)
	reply := map[string]any{
		"access_token": g.access(), "scope": "repo", "expires_in": int(r.life.Seconds()),
		"refresh_token": g.refresh(),
	}
	if r.reuses {
		reply["refresh_token"] = token
		g.refreshable, g.stored = false, true
		return http.StatusOK, reply, g
	}
	old.refreshable, old.dead = false, !r.spares
	return http.StatusOK, reply, g
}

// callFault replaces the platform's answer to a call, before or after the platform handles it. With
// status 1 there is no answer.
type callFault struct{ before, after int }

// dial connects a process to the platform. wait is called before a call is handled and before it is
// answered, and returns the fault.
func (r *rotating) dial(of *process, wait func(call string) callFault) dialer {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }()
			r.serve(theirs, of, wait)
		}()
		return ours, nil
	}
}

func (r *rotating) serve(conn net.Conn, of *process, wait func(call string) callFault) {
	call, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	body, err := io.ReadAll(call.Body)
	if err != nil {
		return
	}
	name := call.Method + " " + call.URL.Path
	wrong := wait(name)
	if wrong.before > 0 {
		_ = write(conn, wrong.before, nil)
		return
	}
	status, reply, made := r.answer(call, body)
	delivered := false
	defer func() {
		if made != nil && !delivered {
			r.mu.Lock()
			defer r.mu.Unlock()
			made.losable = true
		}
	}()
	if made != nil {
		made.by = of
	}
	wrong = wait(name + " answered")
	if wrong.after > 0 {
		_ = write(conn, wrong.after, nil)
		return
	}
	delivered = write(conn, status, reply) == nil
}

// write sends one reply, and none for status 1.
func write(conn net.Conn, status int, reply any) error {
	if status == 1 {
		return nil
	}
	var body []byte
	if reply != nil {
		body, _ = json.Marshal(reply)
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\n"+
		"X-OAuth-Scopes: repo\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		status, len(body), body)
	return err
}
