package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/auth"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func fetches(t *testing.T, i *issuer, want int32) {
	t.Helper()
	if got := i.fetches.Load(); got != want {
		t.Errorf("%d fetches of the keys, want %d", got, want)
	}
}

func TestD13_UnknownKeysCauseNoFetchStorm(t *testing.T) {
	i := newIssuer(t)
	good := sign(t, i.list("1", jose.ES256), i.claims(nil))
	v := i.verifier()
	ask(t, v, good, "", "")
	fetches(t, i, 1)

	storm := func() {
		var all sync.WaitGroup
		for n := range 50 {
			token := sign(t, newKey(fmt.Sprint("invented", n%7), jose.ES256), i.claims(nil))
			all.Go(func() { ask(t, v, token, problem.NotSignedIn, "") })
		}
		all.Wait()
	}
	storm()
	i.Advance(59 * time.Second)
	storm()
	fetches(t, i, 1)
	i.Advance(time.Second)
	storm()
	fetches(t, i, 2)
	i.answer(broken)
	i.Advance(time.Minute)
	storm()
	storm()
	fetches(t, i, 3)
	ask(t, v, good, "", "")
	fetches(t, i, 3)
}

func TestD13_ANewKeyIsFetchedOnceForAllWaitingCallers(t *testing.T) {
	i := newIssuer(t)
	old := i.list("1", jose.ES256)
	v := i.verifier()
	ask(t, v, sign(t, old, i.claims(nil)), "", "")
	i.Advance(2 * time.Minute)
	token := sign(t, i.list("2", jose.ES256), i.claims(nil))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { ask(t, v, token, "", "") })
	}
	all.Wait()
	fetches(t, i, 2)
}

func TestD13_AWrongSignatureOfAKnownKeyFetchesNothing(t *testing.T) {
	i := newIssuer(t)
	good := i.list("1", jose.ES256)
	v := i.verifier()
	ask(t, v, sign(t, good, i.claims(nil)), "", "")
	i.Advance(10 * time.Minute)
	ask(t, v, sign(t, newKey("1", jose.ES256), i.claims(nil)), problem.NotSignedIn, "")
	fetches(t, i, 1)
}

func TestATokenWithoutAKeyIDMayBeSignedWithANewKey(t *testing.T) {
	i := newIssuer(t)
	old := i.list("1", jose.ES256)
	v := i.verifier()
	ask(t, v, sign(t, old, i.claims(nil)), "", "")
	i.Advance(2 * time.Minute)
	fresh := i.list("2", jose.ES256)
	fresh.KeyID = ""
	ask(t, v, sign(t, fresh, i.claims(nil)), "", "")
	fetches(t, i, 2)
}

func TestD13_KeysAreFetchedAgainAfterAnHourAndTheOldOnesAreUsedIfThatFails(t *testing.T) {
	i := newIssuer(t)
	token := sign(t, i.list("1", jose.ES256), i.claims(nil))
	v := i.verifier()
	ask(t, v, token, "", "")
	i.Advance(59 * time.Minute)
	ask(t, v, token, "", "")
	fetches(t, i, 1)
	i.Advance(time.Minute)
	ask(t, v, token, "", "")
	fetches(t, i, 2)

	i.answer(broken)
	i.Advance(time.Hour)
	ask(t, v, token, "", "")
	ask(t, v, token, "", "")
	fetches(t, i, 3)
	i.Advance(24 * time.Hour)
	ask(t, v, token, "", "")
	fetches(t, i, 4)

	// The issuer is available again, and has removed the key.
	i.answer(nil)
	i.mu.Lock()
	i.keys = nil
	i.mu.Unlock()
	i.list("2", jose.ES256)
	i.Advance(time.Minute)
	ask(t, v, token, problem.NotSignedIn, "")
	fetches(t, i, 5)
}

func TestOldKeysAreUsedWhileNewOnesAreFetched(t *testing.T) {
	i := newIssuer(t)
	token := sign(t, i.list("1", jose.ES256), i.claims(nil))
	v := i.verifier()
	ask(t, v, token, "", "")
	asked, release := make(chan struct{}), make(chan struct{})
	i.answer(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	})
	i.Advance(time.Hour)
	var first sync.WaitGroup
	first.Go(func() { ask(t, v, token, "", "") })
	<-asked
	ask(t, v, token, "", "") // would block if it waited
	close(release)
	first.Wait()
}

func TestD13_WithoutKeysSigningInIsUnavailable(t *testing.T) {
	private, err := json.Marshal(newKey("1", jose.ES256))
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"an error":        broken,
		"no keys":         text(`{"keys":[]}`),
		"no key set":      text(`<html>`),
		"a private key":   text(`{"keys":[` + string(private) + `]}`),
		"a shared secret": text(`{"keys":[{"kty":"oct","kid":"1","k":"c2VjcmV0"}]}`),
		"another kind":    text(`{"keys":{}}`),
		"too long":        text(`{"keys":[],"more":"` + strings.Repeat("x", 256<<10) + `"}`),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"half a reply": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			i.answer(answer)
			token := sign(t, i.list("1", jose.ES256), i.claims(nil))
			v := i.verifier()
			ask(t, v, token, problem.SignInUnavailable, "")
			ask(t, v, token, problem.SignInUnavailable, "")
			fetches(t, i, 1)
			if i.redirect.Load() != 0 {
				t.Error("a redirect was followed")
			}
			i.answer(nil)
			i.Advance(5 * time.Second)
			ask(t, v, token, "", "")
			fetches(t, i, 2)
		})
	}
}

func TestAnIssuerThatCannotBeReachedIsNamedWithoutItsQuery(t *testing.T) {
	i := newIssuer(t)
	token := sign(t, newKey("1", jose.ES256), i.claims(nil))
	for _, address := range []string{"http://127.0.0.1:1/keys?key=canary-1", "http://[canary-1"} {
		v := auth.New(auth.Options{Issuer: i.url, Audience: "bindery", JWKSURL: address})
		_, err := v.Caller(context.Background(), with(token))
		testkit.WantProblem(t, "the caller", err, problem.SignInUnavailable, "")
		if err != nil && strings.Contains(err.Error(), "canary-1") {
			t.Error("the error shows the query")
		}
	}
}

func TestACancelledCallerDoesNotEndTheFetchOfTheOthers(t *testing.T) {
	i := newIssuer(t)
	token := sign(t, i.list("1", jose.ES256), i.claims(nil))
	asked, release := make(chan struct{}), make(chan struct{})
	i.answer(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-release
		i.answer(nil)
		http.Error(w, "once more", http.StatusInternalServerError)
	})
	v := i.verifier()
	ctx, leave := context.WithCancel(context.Background())
	var first sync.WaitGroup
	first.Go(func() {
		_, err := v.Caller(ctx, with(token))
		testkit.WantProblem(t, "the caller", err, problem.SignInUnavailable, "")
	})
	<-asked
	leave()
	first.Wait() // without the issuer's answer
	close(release)
	ask(t, v, token, problem.SignInUnavailable, "") // joins the fetch in progress, or gets its result
	fetches(t, i, 1)
	i.Advance(5 * time.Second)
	ask(t, v, token, "", "")
}

func broken(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no", http.StatusInternalServerError)
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}
