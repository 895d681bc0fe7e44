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
	"bindery/shared/testkit"
)

// The tests in this file use an OAuth server of another project in the place of GitHub, so that
// they don't depend on what Bindery and its sandbox both assume.

// foreign is that server, and the user's browser at it.
type foreign struct {
	*world
	origin string
}

// newForeign starts the server; scopes are those that the user grants.
func newForeign(t *testing.T, scopes string) *foreign {
	t.Helper()
	requireServer(t)
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
	go func() { // the server would wait for a reader otherwise
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

// requireServer skips the test if the server is not installed.
func requireServer(t *testing.T) {
	t.Helper()
	testkit.Program(t, "node")
	if _, err := os.Stat("../../node_modules/oidc-provider"); err != nil {
		testkit.NoPackages(t)
	}
}

var errLed = errors.New("led back to Bindery")

// authorize follows the redirects from the authorize address through sign-in and consent, and
// returns the callback's address.
func (f *foreign) authorize(address string) string {
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
	back := f.authorize(b.authorizeURL(a))
	// It sends an issuer (RFC 9207), so this test covers the comparison.
	if queryOf(back).Get("iss") != f.origin {
		t.Error("the server sends no issuer, so nothing is compared")
	}
	end := b.callback(back).consented()
	r := f.confirm(a.id, end.confirmationCode).ok()
	f.boundTo(home, sandbox.GitHub, "octocat")
	if r.text("tokenExpiresAt") == "" || len(r.json()["scopes"].([]any)) != 1 {
		t.Errorf("bound: %s", r.body)
	}
	key := keyAt("cn-hangzhou", "cri-1", sandbox.GitHub)
	old := f.accessOf(key)
	if f.statusOf(old) != http.StatusOK {
		t.Error("the server doesn't take the token that it issued")
	}
	// A re-bind revokes only the old token; an unbind revokes the last.
	b = newBrowser(f.world)
	a = f.start(sandbox.GitHub)
	f.confirm(a.id, b.callback(f.authorize(b.authorizeURL(a))).consented().confirmationCode).ok()
	now := f.accessOf(key)
	if f.statusOf(old) != http.StatusUnauthorized || f.statusOf(now) != http.StatusOK {
		t.Error("the replaced token must be dead, the new one alive")
	}
	if got := f.unbind(sandbox.GitHub).json()["revoked"]; got != true {
		t.Errorf("revoked: %v, want true", got)
	}
	if f.statusOf(now) != http.StatusUnauthorized {
		t.Error("the unbound token lives on")
	}
}

// statusOf returns the status of the server's reply to a token.
func (f *foreign) statusOf(token secret.Text) int {
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
	victims := newBrowser(f.world).authorizeURL(f.start(sandbox.GitHub))
	stolen := queryOf(f.authorize(victims)).Get("code")
	thief := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	state := queryOf(thief.authorizeURL(a)).Get("state")
	thief.callback(callbackOf("github", "code", stolen, "state", state)).
		refused(problem.TokenRejected, a.id)
}

func TestA5_AForeignServersCodeIsRedeemedOnce(t *testing.T) {
	f := newForeign(t, "repo")
	b := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	back := f.authorize(b.authorizeURL(a))
	cookie := b.cookies()[0] + "=" + b.value()
	end := b.callback(back).consented()
	b.callback(back, func(r *request) { r.header["Cookie"] = cookie }).
		refused(problem.AuthorizationDone, a.id)
	f.confirm(a.id, end.confirmationCode).ok()
	// A server that saw the code twice would have ended the token by now (RFC 6749, 4.1.2).
	if f.statusOf(f.accessOf(keyAt("cn-hangzhou", "cri-1", sandbox.GitHub))) != http.StatusOK {
		t.Error("the code was redeemed twice")
	}
}

func TestAForeignServersPersonRefuses(t *testing.T) {
	f := newForeign(t, "gist") // and not repo
	b := newBrowser(f.world)
	a := f.start(sandbox.GitHub)
	b.callback(f.authorize(b.authorizeURL(a))).refused(problem.ConsentRefused, a.id)
	f.wantFailed(a, problem.ConsentRefused, "")
}
