package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

func TestA14_AHostHeaderChangesNoReply(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	for _, path := range []string{
		"/healthz", "/v1/platforms", "/v1/instances", home, home + "/gitlab/history",
		"/v1/bindings", "/v1//platforms", "/v1/./platforms", "/nowhere",
	} {
		ask := func(header map[string]string) string {
			r := w.do(request{method: "GET", path: path, unlisted: true, header: header})
			r.header.Del("Date")
			return fmt.Sprint(r.status, r.header, string(withoutID(r)))
		}
		want := ask(nil)
		for _, name := range []string{"Host", "X-Forwarded-Host", "Forwarded", "X-Original-Host"} {
			if got := ask(map[string]string{name: "evil.example"}); got != want {
				t.Errorf("%s with %s: got\n%s\nwant\n%s", path, name, got, want)
			}
		}
	}
}

// withoutID returns the body without the request's id, which differs in every reply.
func withoutID(r reply) []byte {
	var fields map[string]any
	if json.Unmarshal(r.body, &fields) != nil {
		return r.body
	}
	delete(fields, "requestId")
	text, _ := json.Marshal(fields)
	return text
}

func TestA15_AnInstanceOfAnotherAccountIsOneThatDoesNotExist(t *testing.T) {
	w := newWorld(t)
	beta := w.issuer.token(t, map[string]any{"account": "beta"})
	narrowed := w.issuer.token(t, map[string]any{"instances": "cn-shanghai/cri-1"})
	w.do(request{
		method: "PUT", path: at("cn-hangzhou", "cri-beta") + "/gitlab", as: beta, body: gitlab(),
	}).ok()
	w.put(home+"/gitlab", gitlab()).ok()
	w.box.ResetLog()
	w.table.reset(nil)
	for _, call := range []request{
		{method: "GET"},
		{method: "GET", path: "/gitlab/history"},
		{method: "GET", path: "/gogs/history", odd: true},
		{method: "PUT", path: "/gitlab", body: gitlab()},
		{method: "PUT", path: "/gitlab?revoke=x", body: "{", odd: true},
		{method: "PUT", path: "/gogs", body: gitlab(), odd: true},
		{method: "DELETE", path: "/gitlab"},
		{method: "DELETE", path: "/gitlab", header: map[string]string{"If-Match": "*"}},
		{method: "POST", path: "/gitlab/check"},
	} {
		answer := func(as, region, id string) string {
			there := call
			there.as, there.path = as, at(region, id)+call.path
			r := w.do(there).refused(problem.InstanceUnknown, "")
			r.header.Del("Date")
			r.header.Del("Content-Length") // the length of the request's id differs
			return fmt.Sprint(r.status, r.header, string(withoutID(r)))
		}
		want := answer("", "cn-hangzhou", "no-such")
		for _, other := range []struct{ as, region, id string }{
			{"", "cn-hangzhou", "cri-beta"},
			{beta, "cn-hangzhou", "cri-1"},
			{narrowed, "cn-hangzhou", "cri-1"},
			{narrowed, "cn-hangzhou", "cri-beta"},
			{narrowed, "cn-shanghai/cri-1", "x"},
		} {
			if got := answer(other.as, other.region, other.id); got != want {
				t.Errorf("%s %s at %s: got\n%s\nwant\n%s", call.method, call.path, other.id, got, want)
			}
		}
	}
	if n := w.box.Count(sandbox.GitLab); n != 0 || len(w.table.made()) != 0 {
		t.Errorf("the platform was asked %d times, the table %v", n, w.table.made())
	}
}

// Every fault of the sandbox, at the first call and at a later one, before and after the platform
// has acted. The harness looks for the tokens in replies, the log and the storage.
func TestD1_NoFaultOfAPlatformShowsAToken(t *testing.T) {
	w := newWorld(t)
	faults := 0
	for _, kind := range sandbox.FaultKinds() {
		for _, path := range []string{"", "/user", "/webhooks", ".git/"} {
			for _, after := range []bool{false, true} {
				f := sandbox.Fault{
					Kind: kind, Path: path, After: after, Latency: time.Millisecond,
				}
				w.box.SetFault(sandbox.Codeup, f)
				w.box.SetFault(sandbox.GitLab, f)
				w.put(home+"/codeup", codeup())
				w.put(home+"/gitlab", gitlab("address", "http://gitlab.example/gitlab"))
				w.box.SetFault(sandbox.GitLab, f)
				w.do(request{method: "DELETE", path: home + "/gitlab?revoke=true"})
				w.box.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultNone})
				w.clock.Advance(10 * time.Second) // the limit of binds
				faults++
			}
		}
	}
	w.clock.Advance(time.Hour)
	w.sweep()
	if w.get(home + "/gitlab/history").ok(); faults < 90 {
		t.Errorf("only %d faults were tried", faults)
	}
	if w.log.String() == "" {
		t.Error("nothing was logged")
	}
}

// The request has a token in every place where it doesn't belong.
func TestD1_AMisplacedTokenIsNotShownEither(t *testing.T) {
	w := newWorld(t)
	const token = "glpat-sandbox-misplaced"
	for _, changes := range [][]any{
		{"address", "https://" + token + "@gitlab.example"},
		{"address", "https://gitlab.example/?private_token=" + token},
		{"username", token},
		{"username", token + ":x"},
		{"token", token + " x"},
		{"expiresAt", token},
	} {
		w.do(request{
			method: "PUT", path: home + "/gitlab", body: gitlab(changes...),
			odd: changes[0] == "expiresAt",
		})
	}
	w.do(request{method: "PUT", path: home + "/codeup", body: codeup("organization", token+"/")})
	w.do(request{
		method: "PUT", path: home + "/gitlab", body: `{"token":"` + token + `"`, odd: true,
	})
	w.do(request{method: "GET", path: "/v1/bindings?cursor=" + token})
	w.do(request{method: "GET", path: "/v1/bindings?status=" + token, odd: true})
	w.do(request{method: "GET", path: home, as: token, odd: true})
	w.do(request{method: "GET", path: "/v1/" + token, unlisted: true})
	w.do(request{
		method: "DELETE", path: home + "/gitlab", header: map[string]string{"If-Match": token},
	})
}

func TestD8_APastedTokenIsTrimmedAndTheRestRefused(t *testing.T) {
	w := newWorld(t)
	const good = "glpat-sandbox-alice-good"
	for _, pasted := range []string{
		" " + good, good + "\n", "\t" + good + "\r\n", "Bearer " + good, " bearer  " + good + " ",
	} {
		w.put(home+"/gitlab", gitlab("token", pasted)).ok()
		if got := w.stored("gitlab"); !got.Equal(secret.New(good)) {
			t.Error("what was pasted around the token is stored with it")
		}
	}
	w.box.ResetLog()
	for _, pasted := range []string{
		good + "\r\nX-Injected: yes", good + "\x00", "glpat sandbox", good + "\u00a0x", "令牌",
		"glpat-sandbox-\u202egood", "glpat-sandbox-\u2028good",
	} {
		w.put(home+"/gitlab", gitlab("token", pasted)).refused(problem.InputMalformed, "characters")
		w.put(home+"/codeup", codeup("token", pasted)).refused(problem.InputMalformed, "characters")
	}
	for _, empty := range []string{"", " ", "\n"} {
		w.put(home+"/gitlab", gitlab("token", empty)).refused(problem.InputMalformed, "required")
		w.clock.Advance(time.Minute)
	}
	if n := w.box.Count(sandbox.GitLab) + w.box.Count(sandbox.Codeup); n != 0 {
		t.Errorf("%d calls were made with a token that can't be one", n)
	}
}

// stored returns the token that a binding's record references.
func (w *world) stored(platform string) secret.Text {
	w.t.Helper()
	rec, err := w.lost.Binding(w.t.Context(), binding.Key{
		Account: "acme", Region: "cn-hangzhou", Instance: "cri-1", Platform: platform,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	kept, err := w.secrets.Get(w.t.Context(), vault.SecretName(rec.Token.Secret), 1)
	if err != nil {
		w.t.Fatal(err)
	}
	var fields map[string]string
	if json.Unmarshal([]byte(kept.Reveal()), &fields) != nil {
		w.t.Fatal("what is in the vault isn't JSON")
	}
	return secret.New(fields["access_token"])
}

func TestD9_AUserNameThatWouldBreakGitsCredentialsIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{
		"alice:x", "alice\nmachine evil", "alice\r", "al ice", "alice\x00", "a\u2028b", ":",
	} {
		for platform, body := range map[string]map[string]any{
			"gitlab": gitlab("username", name), "codeup": codeup("username", name),
		} {
			r := w.put(home+"/"+platform, body)
			if strings.TrimSpace(name) == "alice" {
				r.ok() // spaces around a name are removed
				continue
			}
			r.refused(problem.InputMalformed, "characters")
		}
	}
	w.box.ResetLog()
	w.clock.Advance(time.Minute)
	// These are escaped. Codeup's clone accounts have such names.
	for _, name := range []string{"alice@x", "alice/x", "alice?x#y", "../alice", "alice%2f"} {
		w.put(home+"/gitlab", gitlab("username", name)).refused(problem.UsernameMismatch, "")
	}
	w.put(home+"/codeup", codeup("username", "bob@sandbox.invalid", "token", "pt-sandbox-bob",
		"organization", "sandbox-org-second")).ok()
	for _, r := range w.box.Requests() {
		if strings.Contains(r.Path, "alice") || strings.Contains(r.Path, "bob") {
			t.Errorf("a user name is in the path %s", r.Path)
		}
	}
}

// Only a caller that has a valid token learns whether a name belongs to it.
func TestD10_ARejectedTokenSaysNothingOfTheName(t *testing.T) {
	w := newWorld(t)
	for platform, body := range map[string]func(...any) map[string]any{
		"gitlab": gitlab, "codeup": codeup,
	} {
		bad := "pt-sandbox-wrong"
		if platform == "gitlab" {
			bad = "glpat-sandbox-wrong"
		}
		answer := func(name string) string {
			r := w.put(home+"/"+platform, body("username", name, "token", bad))
			return string(withoutID(r.refused(problem.TokenRejected, "")))
		}
		if right, wrong := answer("alice"), answer("nobody"); right != wrong {
			t.Errorf("%s: got\n%s\nfor a user, and for a name without a user\n%s", platform, right, wrong)
		}
	}
	if n := w.box.Codeup.WrongPasswords("alice"); n != 0 {
		t.Errorf("%d wrong passwords were tried for alice's clone account", n)
	}
	w.put(home+"/gitlab", gitlab("username", "nobody")).refused(problem.UsernameMismatch, "")
}

func TestD12_TheThirtyFirstBindInAMinuteIsRefusedAndOthersAreNot(t *testing.T) {
	w := newWorld(t)
	try := func(as string) reply {
		return w.do(request{
			method: "PUT", path: home + "/gitlab", as: as, body: "{}", odd: true,
		})
	}
	for range 30 {
		try("").refused(problem.InputMalformed, "required")
	}
	r := try("").refused(problem.TooManyCalls, "")
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 60 {
		t.Fatalf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	for _, claims := range []map[string]any{{"sub": "ben"}, {"account": "beta"}} {
		if r := try(w.issuer.token(t, claims)); r.status == http.StatusTooManyRequests {
			t.Errorf("%v is held to ann's cap", claims)
		}
	}
	w.get(home).ok() // a read isn't counted
	w.clock.Advance(time.Duration(wait) * time.Second)
	try("").refused(problem.InputMalformed, "required")
	try("").refused(problem.TooManyCalls, "")
	w.clock.Advance(time.Minute)
	w.put(home+"/gitlab", gitlab()).ok()
}

// TestD11_AMistypedTaskRevokesNothing: an account that is not understood would mean all accounts.
func TestD11_AMistypedTaskRevokesNothing(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	for _, input := range []string{
		`{"name":"revoke","platform":"gitlab","confirm":"GitLab"}`,
		`{"name":"revoke","platform":"gitlab","confirm":"yes"}`,
		`{"name":"revoke","platform":"gitlab","acount":"beta","confirm":"gitlab"}`,
		`{"name":"revoke","platform":"gitlab","account":"beta","confirm":"gitlab","force":true}`,
	} {
		if out, err := w.api.Task(t.Context(), json.RawMessage(input)); err == nil {
			t.Errorf("%s: got %v, want an error", input, out)
		}
	}
	w.put(home+"/gitlab", gitlab()).ok() // the platform still takes the token
	if got := w.binding(home, "gitlab")["status"]; got != "bound" {
		t.Errorf("the binding is %v, want bound", got)
	}
	right := json.RawMessage(`{"name":"revoke","platform":"gitlab","confirm":"gitlab"}`)
	if _, err := w.api.Task(t.Context(), right); err != nil {
		t.Fatal(err)
	}
	w.put(home+"/gitlab", gitlab()).refused(problem.TokenRejected, "revoked")
}

// TestD12_BindsStartsAndChecksShareALimit: each of them makes calls to a platform.
func TestD12_BindsStartsAndChecksShareALimit(t *testing.T) {
	all := map[string]request{
		"bind":  {method: "PUT", path: home + "/gitlab", body: "{}", odd: true},
		"start": {method: "POST", path: "/v1/authorizations", body: "{}", odd: true},
		"check": {method: "POST", path: home + "/gitlab/check"},
	}
	for name, r := range all {
		w := newWorld(t)
		for n := range 30 {
			if w.do(r).status == http.StatusTooManyRequests {
				t.Fatalf("%s number %d is refused", name, n+1)
			}
		}
		for other, r := range all {
			if got := w.do(r); got.status != http.StatusTooManyRequests {
				t.Errorf("a %s after 30 calls of %s: got %d %s", other, name, got.status, got.body)
			}
		}
	}
}

// A denied change has an audit line with the caller and the action; a denied read and a request
// without a valid token have none.
func TestDeniedChangesAreAudited(t *testing.T) {
	w := newWorld(t)
	reader := w.issuer.token(t, map[string]any{"scope": "bindery.read"})
	w.do(request{method: "PUT", path: home + "/gitlab", as: reader, body: gitlab()}).
		refused(problem.ScopeMissing, "")
	w.do(request{method: "DELETE", path: home + "/gitlab", as: reader}).
		refused(problem.ScopeMissing, "")
	w.put(home+"/gitlab", gitlab("username", "bob")).refused(problem.UsernameMismatch, "")
	w.do(request{method: "GET", path: home, as: w.issuer.token(t, map[string]any{"scope": ""})}).
		refused(problem.ScopeMissing, "")
	w.do(request{method: "PUT", path: home + "/gitlab", as: "x.y.z", body: gitlab()}).
		refused(problem.NotSignedIn, "")
	var got []string
	for _, line := range w.log.Records(t, "audit") {
		user, _ := line["user"].(map[string]any)
		got = append(got, fmt.Sprint(line["action"], " ", line["outcome"], " ", line["account"], " ",
			line["region"], " ", line["instance"], " ", line["platform"], " ", user["subject"]))
	}
	const route = "/v1/instances/{region}/{instance}/bindings/{platform}"
	want := []string{
		"PUT " + route + " scope_missing acme cn-hangzhou cri-1 gitlab ann",
		"DELETE " + route + " scope_missing acme cn-hangzhou cri-1 gitlab ann",
		"PUT " + route + " username_mismatch acme cn-hangzhou cri-1 gitlab ann",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
