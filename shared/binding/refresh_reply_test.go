package binding_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"bindery/shared/binding/credential"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// documented is how long a token is valid, as the platforms document it.
var documented = map[string]time.Duration{
	provider.Gitee: 24 * time.Hour, provider.GitHub: gitHubLife, provider.Bitbucket: 2 * time.Hour,
}

// newExpired returns a harness with an instance bound to a platform, whose token has expired. The
// platform answers every refresh with these fields.
func newExpired(t *testing.T, platform string, fields map[string]any) *harness {
	t.Helper()
	b := newHarness(t)
	b.shortenWaits()
	b.bound("i-1", platform)
	b.clock().Advance(documented[platform] + time.Minute)
	b.answers(http.StatusOK, fields)
	return b
}

func (b *harness) askAt(platform string) (credential.Credential, error) {
	return b.Credentials.Credential(context.Background(), credential.Request{
		By: user, Instance: registry("i-1"), Platform: platform, MinimumLife: credential.MinimumLife,
	})
}

func TestB7_AReplyWithoutARefreshTokenKeepsTheOldAndWithoutALifeUsesTheDocumented(t *testing.T) {
	for platform, life := range documented {
		b := newExpired(t, platform, map[string]any{"access_token": "next", "token_type": "bearer"})
		bundle, err := b.fetch(b.row("i-1", platform))
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.askAt(platform)
		testkit.Want(t, platform+": error", err, nil)
		testkit.Want(t, platform+": the new token", c.Token.Equal(secret.New("next")), true)
		testkit.Want(t, platform+": its end", c.ExpiresAt,
			b.clock().Now().Add(life).Truncate(time.Second))
		rec := b.row("i-1", platform)
		testkit.Want(t, platform+": renewable", rec.Token.Refreshable, true)
		next, err := b.fetch(rec)
		testkit.Want(t, platform+": error", err, nil)
		testkit.Want(t, platform+": the refresh token",
			next.Token.Refresh.Equal(bundle.Token.Refresh), true)
	}
}

func TestB8_WhateverExpiresInSaysTheTokenIsKeptWithABelievableEnd(t *testing.T) {
	const unsaid = time.Duration(0)
	for said, life := range map[any]time.Duration{
		"7200": 2 * time.Hour, 7200.0: 2 * time.Hour, 1e18: 365 * 24 * time.Hour,
		-5: unsaid, 0: unsaid, "": unsaid, "soon": unsaid, true: unsaid,
	} {
		for platform, usual := range documented {
			t.Run(fmt.Sprint(platform, " says ", said), func(t *testing.T) {
				t.Parallel()
				b := newExpired(t, platform, map[string]any{
					"access_token": "next", "refresh_token": "and-next", "expires_in": said,
				})
				c, err := b.askAt(platform)
				testkit.Want(t, "error", err, nil)
				testkit.Want(t, "the new token", c.Token.Equal(secret.New("next")), true)
				ends := b.clock().Now().Add(cmp.Or(life, usual))
				testkit.Want(t, "its end", c.ExpiresAt, ends.Truncate(time.Second))
			})
		}
	}
}
