package api_test

import (
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/sandbox"
	sandboxbitbucket "bindery/shared/sandbox/bitbucket"
	sandboxgitlab "bindery/shared/sandbox/gitlab"
)

// A gate in front of the platform says nothing about the token: a check keeps the binding, and
// builds get the token.
func TestAGateInFrontOfThePlatformEndsNoBinding(t *testing.T) {
	for _, kind := range []sandbox.FaultKind{
		sandbox.FaultGate302, sandbox.FaultGate401, sandbox.FaultGate403, sandbox.FaultGate407,
	} {
		w := newWorld(t)
		w.put(home+"/gitlab", gitlab()).ok()
		w.put(home+"/codeup", codeup()).ok()
		for _, platform := range []sandbox.Platform{sandbox.GitLab, sandbox.Codeup} {
			w.box.SetFault(platform, sandbox.Fault{Kind: kind})
			path := home + "/" + string(platform)
			for range 3 {
				r := asking("POST", path+"/check", false)(w, "en").ok()
				if r.text("status") != "bound" && r.text("status") != "unreachable" {
					t.Errorf("%s, %s: the status is %s", platform, kind, r.text("status"))
				}
				if unsettled, _ := r.json()["checkProblem"].(map[string]any); unsettled["code"] !=
					string(problem.PlatformError) {
					t.Errorf("%s, %s: the check ended with %v", platform, kind, unsettled["code"])
				}
			}
			w.box.SetFault(platform, sandbox.Fault{Kind: sandbox.FaultNone})
			r := asking("POST", path+"/check", false)(w, "en").ok()
			if r.text("status") != "bound" || r.json()["checkProblem"] != nil {
				t.Errorf("%s, after %s: the status is %s", platform, kind, r.text("status"))
			}
		}
	}
}

// The same at the way back from the consent: the browser's person is told so, in both languages.
func TestAGateAtTheConsentIsNotTheUsersFault(t *testing.T) {
	for _, platform := range byConsent {
		for _, kind := range []sandbox.FaultKind{
			sandbox.FaultGate302, sandbox.FaultGate401, sandbox.FaultGate407,
		} {
			w := newConsentWorld(t)
			a, b := w.start(platform), newBrowser(w)
			back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
			w.box.SetFault(platform, sandbox.Fault{Kind: kind, Path: "/user"})
			b.callback(back)
			w.wantFailed(a, problem.PlatformError, "intercepted")
		}
	}
}

func TestAnOldGitLabIsBoundWithATypedExpiry(t *testing.T) {
	for _, version := range []int{0, 1, 4} {
		w := newWorld(t)
		w.box.GitLab.SetVersion(15, version)
		r := w.put(home+"/gitlab", gitlab("expiresAt", "2027-01-01T00:00:00Z")).ok()
		for _, warning := range r.list("warnings") {
			if warning["code"] == string(problem.ExpiryUnknown) {
				t.Errorf("15.%d: the expiry was typed, and is said to be unknown", version)
			}
		}
		if got := asking("POST", home+"/gitlab/check", false)(w, "en").ok(); got.text(
			"status") != "bound" {
			t.Errorf("15.%d: the status is %s", version, got.text("status"))
		}
	}
}

func TestCompressedRepliesAreRead(t *testing.T) {
	w := newWorld(t)
	w.box.SetFault(sandbox.GitLab, sandbox.Fault{Kind: sandbox.FaultGzip})
	w.box.SetFault(sandbox.Codeup, sandbox.Fault{Kind: sandbox.FaultGzip})
	w.put(home+"/gitlab", gitlab()).ok()
	w.put(home+"/codeup", codeup()).ok()
}

func TestDPoPKeepsTheToken(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.box.SetSwitch(sandbox.GitLab, sandboxgitlab.RequireDPoP, true)
	r := asking("POST", home+"/gitlab/check", false)(w, "en").ok()
	p, _ := r.json()["problem"].(map[string]any)
	if r.text("status") != "unauthorized" || p["reason"] != "dpop" {
		t.Errorf("got %s", r.body)
	}
	w.box.SetSwitch(sandbox.GitLab, sandboxgitlab.RequireDPoP, false)
	if r := asking("POST", home+"/gitlab/check", false)(w, "en").ok(); r.text("status") != "bound" {
		t.Errorf("got %s", r.body)
	}
}

func TestADeadRefreshTokenOfBitbucketIsRevoked(t *testing.T) {
	w := newBuildWorld(t)
	w.bindBy(sandbox.Bitbucket, "alice")
	w.box.SetSwitch(sandbox.Bitbucket, sandboxbitbucket.InvalidRequest, true)
	w.box.RevokeTokens(sandbox.Bitbucket, "alice")
	w.clock.Advance(2 * time.Hour)
	w.credentialAt(home+"/bitbucket", nil, w.build()).
		refused(problem.TokenRevoked, "revoked_at_platform")
}
