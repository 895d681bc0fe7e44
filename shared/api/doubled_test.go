package api_test

import (
	"strings"
	"testing"

	"bindery/shared/problem"
)

// Function Compute and its router join the values of a doubled parameter by a comma.
func TestA23_ParametersThatWereJoinedByACommaClaimNothing(t *testing.T) {
	w := newConsentWorld(t)
	for _, platform := range byConsent {
		b := newBrowser(w)
		a := w.start(platform)
		back := w.grant(a.platform, "alice", b.authorizeURL(a), nil)
		for _, name := range []string{"code", "state", "error", "iss"} {
			for _, second := range []string{"b", "", queryOf(back).Get(name)} {
				query := queryOf(back)
				query.Set(name, query.Get(name)+","+second)
				at, _, _ := strings.Cut(back, "?")
				b.callback(at+"?"+query.Encode(), odd).refused(problem.InputMalformed, "")
			}
		}
		if got := w.box.Exchanges(platform); got != 0 {
			t.Errorf("%s: %d exchanges, want 0", platform, got)
		}
		w.stage(a.id, "redirected")
		b.callback(back).consented()
	}
}

func TestA23_AQueryParameterThatWasJoinedByACommaIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, r := range []request{
		{method: "GET", path: "/v1/bindings?cursor=a%2Cb"},
		{method: "GET", path: "/v1/bindings?status=bound,bound"},
		{method: "GET", path: "/v1/bindings?platform=gitlab,gitlab"},
		{method: "GET", path: home + "/gitlab/history?cursor=a,b"},
		{method: "PUT", path: home + "/gitlab?revoke=true,false", body: gitlab()},
		{method: "DELETE", path: home + "/gitlab?revoke=true,true"},
	} {
		r.unlisted = true // to the validator, cursors are any text
		w.do(r).refused(problem.InputMalformed, "doubled")
	}
}
