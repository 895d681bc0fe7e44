package api_test

import (
	"testing"

	"bindery/shared/sandbox"
)

// calls are the exact ones to table and vault that a step makes at most platforms, and what
// GitHub's counting of tokens adds.
type calls = map[string]int

func sum(lists ...calls) calls {
	all := calls{}
	for _, list := range lists {
		for name, n := range list {
			all[name] += n
		}
	}
	return all
}

func TestEveryStepMakesItsCallsAndNoMore(t *testing.T) {
	for _, platform := range byConsent {
		t.Run(string(platform), func(t *testing.T) {
			w := newConsentWorld(t)
			gitHub := func(more calls) calls {
				if platform == sandbox.GitHub {
					return more
				}
				return nil
			}
			asked := func(what string, do func(), want int) {
				t.Helper()
				before := w.box.Count(platform)
				do()
				if got := w.box.Count(platform) - before; got != want {
					t.Errorf("%s asks the platform %d times, want %d", what, got, want)
				}
			}
			step := func(what string, platformCalls int, want calls, do func()) {
				t.Helper()
				asked(what, func() { w.wantCalls(what, w.counted(do), want) }, platformCalls)
			}
			var a attempt
			var confirmationCode, back string
			b := newBrowser(w)
			first := calls{
				"Authorization": 1, "Binding": 1, "SaveAuthorization": 1, "SaveIdentityEntry": 1,
				"SaveBinding": 1, "Get": 1, // the new token, whose owner is compared
			}
			step("start", 0, calls{"SaveAuthorization": 1}, func() { a = w.start(platform) })
			var address string
			step("go", 0, calls{"Authorization": 1, "SaveAuthorization": 1},
				func() { address = b.authorizeURL(a) })
			step("go again", 0, calls{"Authorization": 1}, func() { b.authorizeURL(a) })
			back = w.grant(a.platform, "alice", address, nil)
			callback := calls{"Authorization": 1, "SaveAuthorization": 2, "Put": 1}
			step("callback", 2,
				sum(callback, gitHub(calls{"SaveIdentityEntry": 1, "ListIdentityEntries": 1})),
				func() { confirmationCode = b.callback(back).consented().confirmationCode })
			step("the attempt", 0, calls{"Authorization": 1},
				func() { w.shown(a.id, confirmationCode).ok() })
			step("confirm", 0, sum(first, gitHub(calls{"DeleteIdentityEntry": 1})),
				func() { w.confirm(a.id, confirmationCode).ok() })
			step("confirm again", 0, calls{"Authorization": 1, "Binding": 1},
				func() { w.confirm(a.id, confirmationCode).ok() })
			a = w.start(platform)
			back = w.grant(a.platform, "alice", b.authorizeURL(a), nil)
			step("callback of a re-bind", 2,
				sum(callback, gitHub(calls{"SaveIdentityEntry": 1, "ListIdentityEntries": 1})),
				func() { confirmationCode = b.callback(back).consented().confirmationCode })
			// The new and the old token are compared, for the very same one must not be revoked; at
			// GitHub also with those of the identity's bindings, of which this is the one.
			again := sum(first, calls{"Get": 1, "SubscriptionEntries": 1})
			ended := 0
			if platform == sandbox.GitHub {
				ended = 1
			}
			step("confirm of a re-bind", ended, sum(again, gitHub(calls{
				"DeleteIdentityEntry": 1, "ListIdentityEntries": 1, "Binding": 1, "Get": 1,
			})), func() { w.confirm(a.id, confirmationCode).ok() })
			step("a garbage callback", 0, calls{}, func() {
				b.visit(callbackOf(a.platform, "state", "x", "code", "y"), true)
			})
			step("a stranger's callback", 0, calls{"Authorization": 1}, func() {
				newBrowser(w).visit(back, true)
			})
			back = w.grant(a.platform, "alice", b.authorizeURL(w.start(platform)), nil)
			step("a callback that ends the attempt", 0,
				calls{"Authorization": 1, "SaveAuthorization": 1}, func() {
					newBrowser(w).visit(back, true)
				})
		})
	}
}
