package provider

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

const (
	selfPath = "/api/v4/personal_access_tokens/self"
	userPath = "/api/v4/user"

	notGitLab = "not_the_platform"
)

// gitLabReplies are those of a server that knows the token.
func gitLabReplies() map[string]canned {
	return map[string]canned{
		selfPath: {body: `{"id":5,"name":"bindery","revoked":false,"active":true,
			"scopes":["api","read_user"],"user_id":42,"expires_at":"2026-06-30"}`},
		userPath: {body: `{"id":42,"username":"Alice","name":"Alice 爱丽丝","state":"active",
			"avatar_url":"https://gitlab.example.com/a.png",
			"web_url":"https://gitlab.example.com/alice"}`},
	}
}

func submit(address string) Submission {
	return Submission{Address: address, Username: "alice", Token: secret.New(canaryToken)}
}

func gitLabCredential(address string) Credential {
	return Credential{Access: secret.New(canaryToken), Address: address, Username: "Alice"}
}

func TestGitLabVerifyTakesTwoCalls(t *testing.T) {
	s := newTokenSite(t, gitLabReplies())
	in := submit(s.URL + "/")
	in.Username, in.Token = " ALICE ", secret.New("Bearer "+canaryToken+"\n")
	in.ExpiresAt = noon.AddDate(0, 0, 5) // the server knows better
	f, err := s.gitLab().Verify(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := Identity{
		ID: "42", Username: "Alice", Name: "Alice 爱丽丝",
		AvatarURL:  "https://gitlab.example.com/a.png",
		ProfileURL: "https://gitlab.example.com/alice",
	}
	if f.Identity != want || f.GitUsername != "Alice" || f.Address != s.URL {
		t.Errorf("found %+v, %q at %q", f.Identity, f.GitUsername, f.Address)
	}
	if end := time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC); !f.ExpiresAt.Equal(end) {
		t.Errorf("the token ends %v, want the begin of that day, %v", f.ExpiresAt, end)
	}
	if f.Token.Reveal() != canaryToken {
		t.Error("the token to be stored isn't the one that was verified")
	}
	same(t, "scopes", f.Scopes, []string{"api", "read_user"})
	same(t, "calls", s.paths(), []string{"GET " + selfPath, "GET " + userPath})
	for _, call := range s.calls {
		if call.header.Get("Private-Token") != canaryToken {
			t.Errorf("%s was called without the token", call.path)
		}
	}
}

func TestC13_AGitLabWithoutTLSGetsAWarning(t *testing.T) {
	s := newTokenSite(t, gitLabReplies())
	f, err := s.gitLab().Verify(t.Context(), submit(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "warnings", warned(f), []string{"token_in_the_clear"})

	tls := &gitLab{Environment{
		Guard: s.secure(t), Now: func() time.Time { return noon },
	}.guarded(gitLabDialect())}
	f, err = tls.Verify(t.Context(), submit("https://example.com"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "warnings", warned(f), nil)
}

func TestGitLabUnderASubPath(t *testing.T) {
	replies := map[string]canned{}
	for path, reply := range gitLabReplies() {
		replies["/tools/gitlab"+path] = reply
	}
	s := newTokenSite(t, replies)
	f, err := s.gitLab().Verify(t.Context(), submit(s.URL+"/tools/gitlab/"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Address != s.URL+"/tools/gitlab" {
		t.Errorf("the address is %q", f.Address)
	}
	page := s.gitLab().RevokeURL(f.Address)
	if page != s.URL+"/tools/gitlab/-/user_settings/personal_access_tokens" {
		t.Errorf("the page is %q", page)
	}
}

func TestGitLabRefusals(t *testing.T) {
	token := func(fields string) canned { return canned{body: `{"id":5,` + fields + `}`} }
	user := func(fields string) canned { return canned{body: `{"id":42,` + fields + `}`} }
	page := func(status int) canned {
		return canned{status: status, kind: "text/html", body: "<html>"}
	}
	unauthorized := canned{status: 401, body: `{"message":"401 Unauthorized"}`}
	ended := canned{status: 401, body: `{"error":"invalid_token",
		"error_description":"Token was revoked. You have to re-authorize from the user."}`}
	noScope := canned{status: 403, body: `{"error":"insufficient_scope"}`}
	blocked := canned{status: 403, body: `{"message":"Your account has been blocked."}`}
	const (
		over     = `"active":false,"scopes":["api"],"expires_at":"2026-03-01"`
		inactive = `"active":false,"scopes":["api"],"expires_at":null`
		revoked  = `"revoked":true,` + inactive
		reader   = `"active":true,"scopes":["read_api","read_repository"]`
		granular = `"active":true,"scopes":["granular"]`
		banned   = `"username":"alice","state":"banned"`
		injected = `"username":"a\nmachine b","state":"active"`
	)
	for _, tt := range []struct {
		name, path string
		reply      canned
		code       problem.Code
		reason     string
		calls      int
	}{
		{"wrong token", userPath, unauthorized, problem.TokenRejected, "", 1},
		{"revoked", selfPath, token(revoked), problem.TokenRejected, "revoked", 2},
		{"revoked meanwhile", selfPath, ended, problem.TokenRejected, "revoked", 2},
		{"expired", selfPath, token(over), problem.TokenExpired, "", 2},
		{"inactive", selfPath, token(inactive), problem.TokenRejected, "", 2},
		{"reader", selfPath, token(reader), problem.PermissionMissing, "", 2},
		{"fine-grained", selfPath, token(granular), problem.PermissionMissing, "fine_grained", 2},
		{"scope", selfPath, noScope, problem.PermissionMissing, "", 2},
		{"scope of user", userPath, noScope, problem.PermissionMissing, "", 1},
		{"state", userPath, user(banned), problem.UserBlocked, "banned", 1},
		{"blocked", userPath, blocked, problem.UserBlocked, "blocked", 1},
		{"page", selfPath, page(200), problem.PlatformError, notGitLab, 2},
		{"page for 404", selfPath, page(404), problem.PlatformError, notGitLab, 2},
		{"JSON", selfPath, canned{body: `{"a":"b"}`}, problem.PlatformError, notGitLab, 2},
		{"no user", userPath, canned{status: 404, body: `{}`}, problem.PlatformError, notGitLab, 1},
		{"injected", userPath, user(injected), problem.PlatformError, notGitLab, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTokenSite(t, with(gitLabReplies(), tt.path, tt.reply))
			f, err := s.gitLab().Verify(t.Context(), submit(s.URL))
			testkit.WantProblem(t, "Verify", err, tt.code, tt.reason)
			if tt.code == problem.PermissionMissing && tt.reason == "" &&
				problem.Of(err).Params["missing"] != "api" {
				t.Errorf("missing is %q", problem.Of(err).Params["missing"])
			}
			if f.Identity != (Identity{}) {
				t.Error("a refused token has an identity")
			}
			if n := len(s.paths()); n != tt.calls {
				t.Errorf("the token was sent %d times, want %d", n, tt.calls)
			}
			_, err = s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
			testkit.WantProblem(t, "Check", err, tt.code, tt.reason)
			keepsQuiet(t, err)
		})
	}
}

func TestGitLabComparesTheUserName(t *testing.T) {
	s := newTokenSite(t, gitLabReplies())
	in := submit(s.URL)
	in.Username = "alice@example.com"
	_, err := s.gitLab().Verify(t.Context(), in)
	testkit.WantProblem(t, "Verify", err, problem.UsernameMismatch, "")
	// A user who was renamed keeps the binding.
	cred := gitLabCredential(s.URL)
	cred.Username = "formerly"
	f, err := s.gitLab().Check(t.Context(), cred)
	if err != nil || f.GitUsername != "Alice" {
		t.Errorf("found %q, %v", f.GitUsername, err)
	}
}

func TestD10_ARejectedTokenSaysNothingAboutTheUserName(t *testing.T) {
	rejected := canned{status: 401, body: `{"message":"401 Unauthorized"}`}
	s := newTokenSite(t, with(gitLabReplies(), userPath, rejected))
	said := map[string]bool{}
	for _, name := range []string{"alice", "mallory"} {
		in := submit(s.URL)
		in.Username = name
		_, err := s.gitLab().Verify(t.Context(), in)
		testkit.WantProblem(t, name, err, problem.TokenRejected, "")
		words := problem.Of(err).In(problem.English)
		said[err.Error()+words.Title+words.Detail+words.Remedy] = true
	}
	if len(said) != 1 {
		t.Error("the refusal depends on the user name")
	}
}

func TestAnOlderGitLabIsAcceptedWithWarnings(t *testing.T) {
	for name, reply := range map[string]canned{
		"15.1 to 15.4":     {status: 401, body: `{"message":"401 Unauthorized"}`},
		"an administrator": {status: 404, body: `{"message":"404 Token Not Found"}`},
		"15.0":             {status: 404, body: `{"error":"404 Not Found"}`},
		"older":            {status: 405, body: `{"error":"405 Not Allowed"}`},
		"oldest":           {status: 404, kind: "text/plain", body: ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTokenSite(t, with(gitLabReplies(), selfPath, reply))
			f, err := s.gitLab().Verify(t.Context(), submit(s.URL))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "warnings", warned(f), []string{
				"token_in_the_clear", "permission_not_provable no_answer api", "expiry_unknown",
			})
			if len(f.Scopes) > 0 || !f.ExpiresAt.IsZero() {
				t.Errorf("found the scopes %q and the end %v", f.Scopes, f.ExpiresAt)
			}

			in := submit(s.URL)
			in.ExpiresAt = noon.AddDate(0, 1, 0)
			f, err = s.gitLab().Verify(t.Context(), in)
			if err != nil || !f.ExpiresAt.Equal(in.ExpiresAt) {
				t.Errorf("the end is %v, %v", f.ExpiresAt, err)
			}
			same(t, "warnings", warned(f), []string{
				"token_in_the_clear", "permission_not_provable no_answer api",
			})
		})
	}
}

func TestGitLabExpiries(t *testing.T) {
	for told, want := range map[string]struct {
		end      time.Time
		warnings int
	}{
		`null`:                   {},
		`"2026-06-30"`:           {end: time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)},
		`"2026-06-30T02:00:00Z"`: {end: time.Date(2026, 6, 30, 2, 0, 0, 0, time.UTC)},
		`"next summer"`:          {warnings: 1},
	} {
		s := newTokenSite(t, with(gitLabReplies(), selfPath, canned{
			body: `{"id":5,"active":true,"scopes":["api"],"expires_at":` + told + `}`,
		}))
		cred := gitLabCredential(s.URL)
		cred.ExpiresAt = noon // what was known before gives way
		f, err := s.gitLab().Check(t.Context(), cred)
		if err != nil || !f.ExpiresAt.Equal(want.end) || len(f.Warnings) != 1+want.warnings {
			t.Errorf("%s: the end is %v with %q, %v", told, f.ExpiresAt, warned(f), err)
		}
	}
}

// What a reply holds goes into the record, the history and the log.
func TestD1_AServerThatReturnsTheTokenIsNotGitLab(t *testing.T) {
	for path, body := range map[string]string{
		userPath: `{"id":42,"username":"alice","name":"` + canaryToken + `","state":"active"}`,
		selfPath: `{"id":5,"active":true,"scopes":["api","` + canaryToken + `"]}`,
	} {
		replies := gitLabReplies()
		replies[path] = canned{body: body}
		s := newTokenSite(t, replies)
		_, err := s.gitLab().Verify(t.Context(), submit(s.URL))
		if p := problem.Of(err); p.Code != problem.PlatformError || p.Reason != notGitLab {
			t.Errorf("%s: got %s %s, want %s %s", path, p.Code, p.Reason,
				problem.PlatformError, notGitLab)
		}
	}
}

func TestGitLabScopesAreBounded(t *testing.T) {
	told := `"api","` + strings.Repeat("x", 201) + `","a\nb"` + strings.Repeat(`,"y"`, 1000)
	s := newTokenSite(t, with(gitLabReplies(), selfPath, canned{
		body: `{"id":5,"active":true,"scopes":[` + told + `]}`,
	}))
	f, err := s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
	if err != nil || len(f.Scopes) != 32 || f.Scopes[0] != "api" || f.Scopes[1] != "y" {
		t.Errorf("%d scopes are kept, %v", len(f.Scopes), err)
	}
}

func TestGitLabRefusesBeforeItCalls(t *testing.T) {
	s := newTokenSite(t, gitLabReplies())
	good := submit(s.URL)
	for field, change := range map[string]func(*Submission){
		"address":   func(in *Submission) { in.Address = " " },
		"username":  func(in *Submission) { in.Username = "a:b" },
		"token":     func(in *Submission) { in.Token = secret.New("canary canary") },
		"expiresAt": func(in *Submission) { in.ExpiresAt = noon },
	} {
		in := good
		change(&in)
		_, err := s.gitLab().Verify(t.Context(), in)
		reasons := map[string]string{"address": "required", "expiresAt": "past"}
		reason := reasons[field]
		if reason == "" {
			reason = "characters"
		}
		wantMalformed(t, err, field, reason)
	}
	in := good
	in.Address = "http://192.168.1.1"
	_, err := s.gitLab().Verify(t.Context(), in)
	if !problem.Is(err, problem.AddressRefused) {
		t.Errorf("a private address: got %v", err)
	}
	in.Address = "https://gitlab.example.com:8443"
	_, err = s.gitLab().Verify(t.Context(), in)
	if !problem.Is(err, problem.PortRefused) {
		t.Errorf("a port: got %v", err)
	}
	same(t, "calls", s.paths(), nil)
}

func TestGitLabRevokesTheTokenItself(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   problem.Code // "" is success
	}{
		"revoked":      {204, ``, ""},
		"dead already": {401, `{"message":"401 Unauthorized"}`, ""},
		"expired":      {401, `{"error":"invalid_token","error_description":"Token is expired."}`, ""},
		"a gateway":    {401, `{"message":"Missing API key found in request"}`, problem.PlatformError},
		"down":         {502, ``, problem.PlatformError},
		"scope":        {403, `{"error":"insufficient_scope"}`, problem.PermissionMissing},
		"old":          {404, `{}`, "none"},
		"not allowed":  {405, `{}`, "none"},
	} {
		s := newTokenSite(t, map[string]canned{
			http.MethodDelete + " " + selfPath: {status: tt.status, body: tt.body},
		})
		err := s.gitLab().Revoke(t.Context(), App{}, gitLabCredential(s.URL))
		switch tt.want {
		case "":
			if err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		case "none":
			if !errors.Is(err, ErrNoRevoke) {
				t.Errorf("%s: got %v, want ErrNoRevoke", name, err)
			}
		default:
			if !problem.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %s", name, err, tt.want)
			}
		}
		same(t, name, s.paths(), []string{"DELETE " + selfPath})
	}
}

// A check asks no user, so the name that git gets is the server's.
func TestD9_AUserNameOfAServerThatNoUserCouldEnterIsRefused(t *testing.T) {
	for _, name := range []string{`a\nmachine b`, `alice:secret`, `a b`, `a\u202eb`} {
		replies := gitLabReplies()
		replies[userPath] = canned{body: `{"id":42,"username":"` + name + `","state":"active"}`}
		s := newTokenSite(t, replies)
		_, err := s.gitLab().Check(t.Context(), gitLabCredential(s.URL))
		if !problem.Is(err, problem.PlatformError) {
			t.Errorf("%s: got %v, want %s", name, err, problem.PlatformError)
		}
	}
}

// TestAGitLabCheckUsesOneConnection checks it for a token that is accepted and for one that is
// refused, and that the connection is closed when the check has ended.
func TestAGitLabCheckUsesOneConnection(t *testing.T) {
	refused := with(gitLabReplies(), userPath, canned{
		status: 401, body: `{"message":"401 Unauthorized"}`,
	})
	for _, replies := range []map[string]canned{gitLabReplies(), refused} {
		opened, closed := make(chan struct{}, 10), make(chan struct{}, 10)
		s := &tokenSite{replies: replies}
		s.Server = httptest.NewUnstartedServer(s)
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				opened <- struct{}{}
			case http.StateClosed:
				closed <- struct{}{}
			}
		}
		s.Start()
		t.Cleanup(s.Close)
		_, _ = s.gitLab().Verify(t.Context(), submit(s.URL))
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Error("a connection is open after the check")
		}
		testkit.Want(t, "connections", len(opened), 1)
	}
}
