package api_test

import (
	"bufio"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
)

// The tests in this file take an OAuth server that others wrote, in the place of GitHub, so that
// Bindery and its sandbox can't share a wrong belief.

// foreign is that server, and a person's browser as far as it goes there.
type foreign struct {
	*world
	origin string
}

// newForeign starts it; scopes are what its person grants.
func newForeign(t *testing.T, scopes string) *foreign {
	t.Helper()
	needed(t)
	id, key := "bindery-at-a-foreign-server", "foreign-fake-client-secret-0123456789"
	command := exec.CommandContext(t.Context(), "node", "testdata/oidc-provider/server.mjs")
	command.Env = append(os.Environ(), "NODE_ENV=test", "SCOPES="+scopes,
		"REDIRECT_URI="+publicURL+"/v1/callback/github", "CLIENT_ID="+id, "CLIENT_SECRET="+key)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = command.Wait() })
	f := &foreign{}
	lines := bufio.NewScanner(out)
	for f.origin == "" && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://127.0.0.1:") {
			f.origin = lines.Text()
		}
	}
	if f.origin == "" {
		t.Fatal("the server has not started")
	}
	go func() { // else it would wait for its reader
		for lines.Scan() {
			continue
		}
	}()
	f.world = newConsentWorld(t, func(env map[string]string, w *world) {
		env["BINDERY_GITHUB_URL"], env["BINDERY_GITHUB_API_URL"] = f.origin, f.origin
		w.apps = appsOf(map[sandbox.Platform]sandbox.App{
			sandbox.GitHub: {ClientID: id, ClientSecrets: []secret.Text{secret.New(key)}},
		})
	})
	return f
}

// needed skips the test where what it takes is not installed.
func needed(t *testing.T) {
	t.Helper()
	_, err := os.Stat("../../node_modules/oidc-provider")
	if _, lookErr := exec.LookPath("node"); err == nil {
		err = lookErr
	}
	if err == nil {
		return
	}
	if os.Getenv("BINDERY_TEST_REQUIRE") == "all" {
		t.Fatal("oidc-provider or node is missing, and no test may be skipped: npm ci")
	}
	t.Skip("takes node and oidc-provider: npm ci")
}

var errLed = errors.New("led back to Bindery")

// goes is the person's way from the authorize address to the callback: sign-in, consent, and all
// redirects between.
func (f *foreign) goes(address string) string {
	f.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	var callback string
	client := http.Client{Jar: jar}
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), publicURL) {
			callback = next.URL.String()
			return errLed
		}
		if len(via) > 20 {
			return errors.New("it never ends")
		}
		return nil
	}
	resp, err := client.Get(address)
	if err == nil {
		_ = resp.Body.Close()
		f.t.Fatalf("the server answered %d in place of leading back", resp.StatusCode)
	}
	if callback == "" {
		f.t.Fatal("the server did not lead back") // the error would show the address
	}
	return callback
}

func TestAForeignServerIsBoundFromStartToEnd(t *testing.T) {
	f := newForeign(t, "repo")
	b := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	back := f.goes(b.depart(a))
	// It sends an issuer (RFC 9207), so here that is compared for once.
	if queryOf(back).Get("iss") != f.origin {
		t.Error("the server sends no issuer, so nothing is compared")
	}
	end := b.arrive(back).consented()
	r := f.confirm(a.id, end.finish).ok()
	f.boundTo(home, sandbox.GitHub, "octocat")
	if r.text("tokenExpiresAt") == "" || len(r.json()["scopes"].([]any)) != 1 {
		t.Errorf("bound: %s", r.body)
	}
	key := keyAt("cn-hangzhou", "cri-1", sandbox.GitHub)
	old := f.accessOf(key)
	if f.lives(old) != http.StatusOK {
		t.Error("the server doesn't take the token that it issued")
	}
	// A re-bind ends the old token alone; an unbind ends the last.
	b = newBrowser(f.world)
	a = f.start(sandbox.GitHub)
	f.confirm(a.id, b.arrive(f.goes(b.depart(a))).consented().finish).ok()
	now := f.accessOf(key)
	if f.lives(old) != http.StatusUnauthorized || f.lives(now) != http.StatusOK {
		t.Error("the replaced token must be dead, the new one alive")
	}
	if got := f.unbind(sandbox.GitHub).json()["revoked"]; got != true {
		t.Errorf("revoked: %v, want true", got)
	}
	if f.lives(now) != http.StatusUnauthorized {
		t.Error("the unbound token lives on")
	}
}

// lives is what the server answers to a token.
func (f *foreign) lives(token secret.Text) int {
	f.t.Helper()
	f.minted.add(token.Reveal())
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.origin+"/user", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestA9_AForeignServerRefusesACodeWithAnotherVerifier(t *testing.T) {
	f := newForeign(t, "repo")
	stolen := queryOf(f.goes(newBrowser(f.world).depart(f.start(sandbox.GitHub)))).Get("code")
	thief := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	state := queryOf(thief.depart(a)).Get("state")
	thief.arrive(callbackOf("github", "code", stolen, "state", state)).
		refused(problem.TokenRejected, a.id)
}

func TestA5_AForeignServersCodeIsRedeemedOnce(t *testing.T) {
	f := newForeign(t, "repo")
	b := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	back := f.goes(b.depart(a))
	cookie := b.cookies()[0] + "=" + b.value()
	end := b.arrive(back).consented()
	b.arrive(back, func(r *request) { r.header["Cookie"] = cookie }).
		refused(problem.AuthorizationDone, a.id)
	f.confirm(a.id, end.finish).ok()
	// A server that saw the code twice would have ended the token by now (RFC 6749, 4.1.2).
	if f.lives(f.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))) != http.StatusOK {
		t.Error("the code was redeemed twice")
	}
}

func TestAForeignServersPersonRefuses(t *testing.T) {
	f := newForeign(t, "gist") // and not repo
	b := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	b.arrive(f.goes(b.depart(a))).refused(problem.ConsentRefused, a.id)
	f.failed(a, problem.ConsentRefused, "")
}
