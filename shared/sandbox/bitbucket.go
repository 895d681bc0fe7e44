package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"bindery/shared/secret"
)

// bitbucket is Bitbucket Cloud: HTTP Basic at the token endpoint, the scopes of the consumer under
// the key "scopes", tokens of two hours, one refresh token for good, and no list across
// workspaces any more. PKCE is ignored.
type bitbucket struct{ *oauthPlatform }

// BitbucketOmitRefresh is a switch: a renewal's reply has no refresh token.
const BitbucketOmitRefresh = "omit-refresh-token"

// newBitbucket makes the platform.
func newBitbucket(s *Sandbox) *bitbucket {
	b := &bitbucket{}
	app := seededApp(Bitbucket)
	app.Scopes = []string{"account", "repository", "webhook"}
	b.oauthPlatform = newOAuthPlatform(s, oauthRules{
		platform:  Bitbucket,
		title:     "Bitbucket",
		paths:     []string{"/site/oauth2/", "/2.0/"},
		settings:  "/account/settings/app-authorizations/",
		authorize: "/site/oauth2/authorize",
		redirectFits: func(registered, sent string) bool {
			return strings.HasPrefix(sent, registered)
		},
		scopes:  fromConsumer,
		settled: asBefore,
		merge:   asTicked,
		mint: func() (access, refresh secret.Text) {
			// It ends in characters that a careless form or URL would spoil.
			return secret.New(s.random("", 42).Reveal() + "_-=="), s.random("", 9)
		},
		accessLife: 2 * time.Hour,
	}, app, everybody(3000))
	b.mux.HandleFunc("POST /site/oauth2/access_token", b.token)
	b.mux.HandleFunc("GET /2.0/user", b.user)
	for _, path := range []string{
		"/2.0/repositories", "/2.0/workspaces",
		"/2.0/user/permissions/repositories", "/2.0/user/permissions/workspaces",
	} {
		b.mux.HandleFunc("GET "+path, b.gone)
	}
	b.mux.HandleFunc("/2.0/", func(w http.ResponseWriter, _ *http.Request) {
		b.fail(w, http.StatusNotFound, object{"message": "Resource not found"})
	})
	return b
}

// switches are Bitbucket's.
func (b *bitbucket) switches() []Switch {
	return []Switch{{Name: BitbucketOmitRefresh, Text: Words{
		"刷新时不返回 refresh_token。", "The reply to a refresh has no refresh_token.",
	}}}
}

// fail answers with Bitbucket's form of an error.
func (b *bitbucket) fail(w http.ResponseWriter, status int, failure object) {
	writeJSON(w, status, object{"type": "error", "error": failure})
}

// gone answers for what was taken away in 2026 (CHANGE-2770).
func (b *bitbucket) gone(w http.ResponseWriter, _ *http.Request) {
	b.fail(w, http.StatusGone, object{
		"message": "This resource was removed: it listed across workspaces (CHANGE-2770).",
		"data": object{
			"announcement_url": "https://developer.atlassian.com/cloud/bitbucket/changelog/" +
				"#CHANGE-2770",
		},
	})
}

// token is the token endpoint.
func (b *bitbucket) token(w http.ResponseWriter, r *http.Request) {
	id, clientSecret, _ := r.BasicAuth()
	// RFC 6749, 2.3.1: both are form-encoded before they go into the header.
	id, _ = url.QueryUnescape(id)
	clientSecret, _ = url.QueryUnescape(clientSecret)
	_ = r.ParseForm()
	grant := r.PostForm.Get("grant_type")
	issued, failure := b.issueFor(id, clientSecret, r.PostForm)
	if failure != nil {
		failure.write(w)
		return
	}
	reply := object{
		"access_token": issued.access.Reveal(),
		"token_type":   "bearer",
		"expires_in":   int(b.accessLife / time.Second),
		"scopes":       strings.Join(issued.scopes, " "),
		"state":        grant,
	}
	if grant != "refresh_token" || !b.sandbox.on(Bitbucket, BitbucketOmitRefresh) {
		reply["refresh_token"] = issued.refresh.Reveal()
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, reply)
}

// issueFor redeems a code or a refresh token.
func (b *bitbucket) issueFor(id, clientSecret string, form url.Values) (
	oauthIssued, *oauthFailure,
) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch form.Get("grant_type") {
	case "authorization_code":
		b.exchanges++
	case "refresh_token":
		b.refreshes++
	default:
		return oauthIssued{}, &oauthFailure{400, "invalid_grant", "Unsupported grant type"}
	}
	app, ok := b.apps[id]
	if !ok || !app.knows(clientSecret) {
		return oauthIssued{}, &oauthFailure{
			401, "unauthorized_client", "The client's id and secret are missing or wrong.",
		}
	}
	if form.Get("grant_type") == "refresh_token" {
		value := form.Get("refresh_token")
		r, ok := b.findRefresh(id, value)
		if !ok {
			return oauthIssued{}, &oauthFailure{400, "invalid_grant", "Invalid refresh_token"}
		}
		return b.issueAccess(r.oauthPair, r.scopes, secret.New(value)), nil
	}
	a, fault := b.redeem(id, form)
	if fault != codeGood {
		return oauthIssued{}, &oauthFailure{400, "invalid_grant", "The code is not valid."}
	}
	return b.issue(oauthPair{a.User, id}, a.Scopes, true), nil
}

// user is who the token belongs to.
func (b *bitbucket) user(w http.ResponseWriter, r *http.Request) {
	c, fault := b.caller(bearer(r, "Bearer"))
	if fault != bearerGood {
		message := "The access token is missing or unknown."
		if fault == bearerEnded {
			message = "Access token expired. Use your refresh token to obtain a new access token."
		}
		b.fail(w, http.StatusUnauthorized, object{"message": message})
		return
	}
	w.Header().Set("X-OAuth-Scopes", strings.Join(c.scopes, ", "))
	w.Header().Set("X-Accepted-OAuth-Scopes", "account")
	if !c.may("account") {
		b.fail(w, http.StatusForbidden, object{
			"message": "The token lacks a scope that this needs.",
			"detail": object{
				"required": []string{"account"}, "granted": slices.Concat([]string{}, c.scopes),
			},
		})
		return
	}
	origin := b.sandbox.origin(r)
	writeJSON(w, http.StatusOK, object{
		"type":         "user",
		"uuid":         c.uuid(),
		"account_id":   "557058:" + c.login,
		"nickname":     c.login,
		"display_name": c.name,
		"links": object{
			"self":   object{"href": origin + "/2.0/users/" + url.PathEscape(c.uuid())},
			"html":   object{"href": origin + "/" + url.PathEscape(c.uuid())},
			"avatar": object{"href": origin + "/sandbox/avatars/" + c.login},
		},
	})
}
