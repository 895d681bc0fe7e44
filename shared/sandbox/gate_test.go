package sandbox_test

import (
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/sandbox/gitlab"
)

func TestAGateAnswersInThePlatformsPlace(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	for kind, want := range map[sandbox.FaultKind]int{
		sandbox.FaultGate302: 302, sandbox.FaultGate401: 401, sandbox.FaultGate403: 403,
		sandbox.FaultGate407: 407,
	} {
		for _, p := range []sandbox.Platform{sandbox.GitLab, sandbox.GitHub} {
			s.SetFault(p, sandbox.Fault{Kind: kind})
		}
		for _, path := range []string{"/api/v4/user", "/user"} {
			got := call(t, noBody("GET", origin+path), privateText("glpat-sandbox-alice-good"))
			if got.status != want {
				t.Errorf("%s, %s: got %d, want %d", kind, path, got.status, want)
			}
		}
	}
}

func TestAGzippedReplyIsThePlatformsOwn(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultGzip})
	// The test's client asks for gzip by itself and unpacks it.
	got := call(t, noBody("GET", origin+"/api/v4/user"), privateText("glpat-sandbox-alice-good"))
	if got.status != 200 || got.field(t, "username") != "alice" {
		t.Errorf("got %d, %s", got.status, got.body)
	}
}

func TestGitLabMayRequireDPoP(t *testing.T) {
	s, origin := open(t, sandbox.Options{})
	s.SetSwitch(sandbox.GitLab, gitlab.RequireDPoP, true)
	user := noBody("GET", origin+"/api/v4/user")
	got := call(t, user, privateText("glpat-sandbox-alice-good"))
	if got.status != 401 || got.field(t, "error") != "dpop_error" {
		t.Errorf("got %d, %s", got.status, got.body)
	}
	got = call(t, noBody("GET", origin+"/api/v4/user"), privateText("glpat-sandbox-alice-revoked"))
	if got.status != 401 || got.field(t, "error") != "invalid_token" {
		t.Errorf("a revoked token: got %d, %s", got.status, got.body)
	}
}
