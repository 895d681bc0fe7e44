package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// year is the longest life that is believed.
const year = 365 * 24 * time.Hour

func readJSON(body string) (tokenReply, error) {
	return readTokenReply(http.Header{"Content-Type": {"application/json"}}, []byte(body))
}

func TestB8_ExpiresInOfEveryType(t *testing.T) {
	for raw, want := range map[string]time.Duration{
		`7200`:               2 * time.Hour,
		`7200.0`:             2 * time.Hour,
		`7.2e3`:              2 * time.Hour,
		`"7200"`:             2 * time.Hour,
		`" 7200.0 "`:         2 * time.Hour,
		`0.5`:                500 * time.Millisecond,
		`1e18`:               year,
		`"1e18"`:             year,
		`1e400`:              year,
		`99999999999999999`:  year,
		`31536000`:           year,
		`0`:                  0,
		`-1`:                 0,
		`-1e400`:             0,
		`""`:                 0,
		`"soon"`:             0,
		`"NaN"`:              0,
		`null`:               0,
		`true`:               0,
		`[7200]`:             0,
		`{"seconds": 7200}`:  0,
		`"2030-01-01T00:00"`: 0,
	} {
		reply, err := readJSON(`{"access_token": "a", "expires_in": ` + raw + `}`)
		if err != nil {
			t.Errorf("expires_in %s: %v", raw, err)
		}
		if reply.life != want {
			t.Errorf("expires_in %s is a life of %v, want %v", raw, reply.life, want)
		}
	}
}

func TestScopesOfEveryType(t *testing.T) {
	for raw, want := range map[string][]string{
		`"scope": "user_info projects hook"`:          {"user_info", "projects", "hook"},
		`"scope": "repo,gist"`:                        {"repo", "gist"},
		`"scope": "repo, gist"`:                       {"repo", "gist"},
		`"scopes": "account webhook"`:                 {"account", "webhook"},
		`"scope": ["a", "b c"]`:                       {"a", "b", "c"},
		`"scope": "a a,b"`:                            {"a", "b"},
		`"scope": "a", "scopes": "b"`:                 {"a", "b"},
		`"scope": ""`:                                 nil,
		`"scope": null`:                               nil,
		`"scope": 7`:                                  nil,
		`"scope": "ok 权限 \u0007"`:                     {"ok"},
		`"scope": "` + strings.Repeat("x", 101) + `"`: nil,
		`"x": 0`: nil,
	} {
		reply, err := readJSON(`{"access_token": "a", ` + raw + `}`)
		if err != nil || !slices.Equal(reply.scopes, want) {
			t.Errorf("%.40s gives the scopes %q and %v, want %q", raw, reply.scopes, err, want)
		}
	}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("s%d", i))
	}
	reply, err := readJSON(`{"access_token": "a", "scope": "` + strings.Join(many, " ") + `"}`)
	if err != nil || len(reply.scopes) != maxScopes {
		t.Errorf("of 1000 scopes %d are kept (%v), want %d", len(reply.scopes), err, maxScopes)
	}
}

func TestTokenReplyAsAForm(t *testing.T) {
	form := "access_token=a.b-c_d%7E&expires_in=28800&refresh_token=r&scope=repo%2Cgist"
	for kind, good := range map[string]bool{
		"application/x-www-form-urlencoded; charset=utf-8": true,
		"text/plain":       true,
		"text/html":        false,
		"application/json": false,
		"":                 false,
	} {
		reply, err := readTokenReply(http.Header{"Content-Type": {kind}}, []byte(form))
		if good != (err == nil) {
			t.Errorf("a form sent as %q: %v", kind, err)
			continue
		}
		if !good {
			continue
		}
		if reply.access.Reveal() != "a.b-c_d~" || reply.refresh.Reveal() != "r" ||
			reply.life != 8*time.Hour || !slices.Equal(reply.scopes, []string{"repo", "gist"}) {
			t.Errorf("a form sent as %q is read wrong: %+v", kind, reply)
		}
	}
}

func TestMalformedTokenReplies(t *testing.T) {
	long := strings.Repeat("a", maxTokensLength)
	for name, body := range map[string]string{
		"empty":           "",
		"a list":          `[{"access_token": "a"}]`,
		"text":            `"access_token"`,
		"torn":            `{"access_token": "a`,
		"two objects":     `{"access_token": "a"}{}`,
		"HTML":            `<html>access_token=a</html>`,
		"no token":        `{"token_type": "bearer"}`,
		"empty token":     `{"access_token": ""}`,
		"null token":      `{"access_token": null}`,
		"number as token": `{"access_token": 12345}`,
		"line break":      `{"access_token": "a\r\nX-Evil: 1"}`,
		"space":           `{"access_token": "a b"}`,
		"not ASCII":       `{"access_token": "ключ"}`,
		"odd refresh":     `{"access_token": "a", "refresh_token": "r\n"}`,
		"too long":        `{"access_token": "a` + long + `"}`,
		"too long as two": `{"access_token": "a", "refresh_token": "` + long + `"}`,
		"very deep":       strings.Repeat(`{"a":`, 20_000),
	} {
		if _, err := readJSON(body); err == nil {
			t.Errorf("%s is taken for a token reply", name)
		}
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if _, err := readTokenReply(form, []byte("access_token=%zzsecret")); err == nil ||
		strings.Contains(err.Error(), "zz") {
		t.Errorf("a torn form gives %v, want an error that doesn't quote it", err)
	}
}

func TestTokensMayBeLong(t *testing.T) {
	long := strings.Repeat("eyJ.-_", maxTokensLength/6)
	reply, err := readJSON(`{"access_token": "` + long + `", "refresh_token": null}`)
	if err != nil || reply.access.Reveal() != long || !reply.refresh.Empty() {
		t.Errorf("a token of %d bytes isn't read: %v", len(long), err)
	}
}

func TestAnErrorWinsOverAToken(t *testing.T) {
	for raw, want := range map[string]string{
		`"invalid_grant"`:   "invalid_grant",
		`{"message": "no"}`: unnamedFailure,
		`true`:              unnamedFailure,
		`""`:                "",
		`null`:              "",
	} {
		reply, err := readJSON(`{"access_token": "a", "error": ` + raw + `}`)
		if err != nil || reply.failure != want || reply.access.Empty() != (want != "") {
			t.Errorf("error %s is read as %q (%v), want %q", raw, reply.failure, err, want)
		}
	}
}
