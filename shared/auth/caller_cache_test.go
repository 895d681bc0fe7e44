package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/auth"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// flipped returns the token with another character in one of its three parts.
func flipped(token string, part int) string {
	parts := strings.Split(token, ".")
	middle := len(parts[part]) / 2
	other := byte('A')
	if parts[part][middle] == other {
		other = 'B'
	}
	parts[part] = parts[part][:middle] + string(other) + parts[part][middle+1:]
	return strings.Join(parts, ".")
}

func TestD13_ATokenLikeACachedOneIsVerified(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	token := sign(t, key, i.claims(nil))
	stolen := newKey("1", jose.ES256) // another private key with the same id
	for _, v := range i.coldAndWarm(t, token) {
		for part := range 3 {
			ask(t, v, flipped(token, part), problem.NotSignedIn, "")
		}
		ask(t, v, sign(t, stolen, i.claims(nil)), problem.NotSignedIn, "")
		signature := token[strings.LastIndex(token, "."):]
		other := sign(t, stolen, i.claims(map[string]any{"account": "beta"}))
		ask(t, v, other[:strings.LastIndex(other, ".")]+signature, problem.NotSignedIn, "")
	}
}

func TestD13_ACachedTokenIsRefusedAtItsExpiry(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	v := i.verifier()
	token := sign(t, key, i.claims(map[string]any{"exp": i.Now().Add(30 * time.Second).Unix()}))
	ask(t, v, token, "", "")
	i.Advance(30*time.Second - 1)
	ask(t, v, token, "", "")
	i.Advance(1)
	ask(t, v, token, problem.NotSignedIn, "expired")
}

func TestD13_ACachedCallerEndsWithTheKeyOfItsToken(t *testing.T) {
	i := newIssuer(t)
	token := sign(t, i.list("1", jose.ES256), i.claims(nil))
	v := i.verifier()
	ask(t, v, token, "", "")
	replace := func(id string) jose.JSONWebKey {
		i.mu.Lock()
		i.keys = nil
		i.mu.Unlock()
		return i.list(id, jose.ES256)
	}

	// The keys are an hour old.
	i.Advance(time.Hour - 1)
	ask(t, v, token, "", "") // is cached for a minute
	second := replace("2")
	i.Advance(1)
	ask(t, v, token, problem.NotSignedIn, "")
	fetches(t, i, 2)

	// Another caller has a newer key.
	i.Advance(time.Minute - 1)
	token = sign(t, second, i.claims(nil))
	ask(t, v, token, "", "")
	third := replace("3")
	i.Advance(1)
	ask(t, v, sign(t, third, i.claims(nil)), "", "")
	fetches(t, i, 3)
	ask(t, v, token, problem.NotSignedIn, "")
}

func TestD13_ACachedCallerIsThatOfItsToken(t *testing.T) {
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	v := i.verifier()
	const callers = 2500 // more than the cache has room for
	var tokens []string
	for n := range callers {
		tokens = append(tokens, sign(t, key, i.claims(map[string]any{
			"sub": fmt.Sprint("user", n), "account": fmt.Sprint("account", n),
			"instances": []string{fmt.Sprint("r/", n)},
		})))
	}
	for range 2 {
		for n, token := range tokens {
			got, err := v.Caller(context.Background(), with(token))
			if err != nil {
				t.Fatal(err)
			}
			testkit.Want(t, "the subject", got.Subject, fmt.Sprint("user", n))
			testkit.Want(t, "the account", got.Account, fmt.Sprint("account", n))
			testkit.Want(t, "sees its instance", got.Sees("r", fmt.Sprint(n)), true)
			testkit.Want(t, "sees the next instance", got.Sees("r", fmt.Sprint(n+1)), false)
		}
	}
}

// requests returns a warm verifier and requests: with a token that it has cached, and with as many
// tokens as wanted that it has never seen.
func requests(t testing.TB, unseen int) (*auth.Verifier, *http.Request, []*http.Request) {
	t.Helper()
	i := newIssuer(t)
	key := i.list("1", jose.ES256)
	v := i.verifier()
	cached := with(sign(t, key, i.claims(nil)))
	if _, err := v.Caller(context.Background(), cached); err != nil {
		t.Fatal(err)
	}
	var others []*http.Request
	for n := range unseen {
		others = append(others, with(sign(t, key, i.claims(map[string]any{"jti": fmt.Sprint(n)}))))
	}
	return v, cached, others
}

// The allocation is the token's bytes, which are hashed. To verify the token takes a hundred.
func TestACachedCallerCostsNoVerification(t *testing.T) {
	v, cached, _ := requests(t, 0)
	got := testing.AllocsPerRun(100, func() {
		if _, err := v.Caller(context.Background(), cached); err != nil {
			t.Fatal(err)
		}
	})
	testkit.Want(t, "allocations", got, 1)
}

func BenchmarkCaller(b *testing.B) {
	v, cached, unseen := requests(b, 4000) // twice the cache's room: each is gone when it returns
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Caller(context.Background(), cached); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verified", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if _, err := v.Caller(context.Background(), unseen[n%len(unseen)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
