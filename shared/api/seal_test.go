package api_test

import (
	"strings"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

// TestB15_ThroughHTTPAForgedRowGivesNoToken: account beta's row, which an attacker has written,
// names the secret of acme's binding. A build, a check and an unbind of beta's get nothing, acme's
// token stays, and the problem says what to do in both languages.
func TestB15_ThroughHTTPAForgedRowGivesNoToken(t *testing.T) {
	w := newBuildWorld(t)
	acme := keyAt("cn-hangzhou", "cri-1", sandbox.GitHub)
	access := w.accessOf(acme)
	rec, err := w.lost.Binding(t.Context(), acme)
	if err != nil {
		t.Fatal(err)
	}
	rec.Key, rec.Version = binding.Key{
		Account: "beta", Region: "cn-hangzhou", Instance: "cri-beta", Platform: acme.Platform,
	}, ""
	if _, err := w.lost.SaveBinding(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	w.credentialAt(gitHub, nil, w.build()).ok() // acme's token is in the memory of the process

	path := at("cn-hangzhou", "cri-beta") + "/github"
	for language, of := range map[string]problem.Language{
		"zh-CN": problem.Chinese, "en": problem.English,
	} {
		r := w.do(request{
			method: "POST", path: path + "/credential", as: w.build("account", "beta"),
			header: map[string]string{"Accept-Language": language},
		}).refused(problem.TokenMismatch, "")
		readsWell(t, r.json(), of)
	}
	beta := w.issuer.token(t, map[string]any{"account": "beta"})
	w.do(request{method: "POST", path: path + "/check", as: beta}).
		refused(problem.TokenMismatch, "")
	r := w.do(request{method: "DELETE", path: path + "?revoke=true", as: beta}).ok()
	if r.json()["revoked"] != false {
		t.Error("the unbind has revoked the token of another binding")
	}
	if got := strings.Count(w.log.String(), `"alarm":"token_mismatch"`); got != 4 {
		t.Errorf("got %d alarms, want one for each call", got)
	}
	if !w.box.Lives(sandbox.GitHub, access) {
		t.Error("acme's token is dead")
	}
	w.credentialAt(gitHub, nil, w.build()).ok()
}
