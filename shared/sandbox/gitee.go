package sandbox

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/secret"
)

// gitee is Gitee: client id and secret in the body, none needed to renew; errors as in RFC 6749;
// tokens of a day; refresh tokens for one use; no User-Agent, no answer. PKCE is ignored.
type gitee struct{ *oauthPlatform }

// newGitee makes the platform.
func newGitee(s *Sandbox) *gitee {
	g := &gitee{}
	g.oauthPlatform = newOAuthPlatform(s, oauthRules{
		platform:  Gitee,
		title:     "Gitee",
		paths:     []string{"/oauth/authorize", "/oauth/token", "/api/v5/"},
		settings:  "/oauth/applications",
		authorize: "/oauth/authorize",
		ticks:     true, needsRequest: true,
		redirectFits: func(registered, sent string) bool { return registered == sent },
		scopes:       askedGitee,
		settled:      asBefore,
		merge:        asTicked,
		mint: func() (access, refresh secret.Text) {
			return s.random("", 16), s.random("", 32)
		},
		accessLife: 24 * time.Hour,
	}, seededApp(Gitee), everybody(2000))
	g.mux.HandleFunc("POST /oauth/token", g.named(g.token))
	g.mux.HandleFunc("GET /api/v5/user", g.named(g.user))
	g.mux.HandleFunc("/api/v5/", g.named(func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, object{"message": "404 Not Found"})
	}))
	return g
}

// named refuses who doesn't say what program it is.
func (g *gitee) named(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() == "" {
			http.Error(w, "<html><body><h1>403 Forbidden</h1></body></html>", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

// oauthFailure is an error of a token endpoint (RFC 6749, 5.2).
type oauthFailure struct {
	status            int
	code, description string
}

// write answers with the failure.
func (f *oauthFailure) write(w http.ResponseWriter) {
	writeJSON(w, f.status, object{"error": f.code, "error_description": f.description})
}

// token is the token endpoint.
func (g *gitee) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	issued, failure := g.issueFor(r.PostForm)
	if failure != nil {
		failure.write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, object{
		"access_token":  issued.access.Reveal(),
		"token_type":    "bearer",
		"expires_in":    int(g.accessLife / time.Second),
		"refresh_token": issued.refresh.Reveal(),
		"scope":         strings.Join(issued.scopes, " "),
		"created_at":    issued.born.Unix(),
	})
}

// issueFor redeems a code or a refresh token.
func (g *gitee) issueFor(form url.Values) (oauthIssued, *oauthFailure) {
	g.mu.Lock()
	defer g.mu.Unlock()
	grant := form.Get("grant_type")
	switch grant {
	case "authorization_code":
		g.exchanges++
	case "refresh_token":
		g.refreshes++
	default:
		return oauthIssued{}, &oauthFailure{
			400, "unsupported_grant_type", "The grant type is not supported.",
		}
	}
	app, ok := g.apps[form.Get("client_id")]
	known := ok && app.knows(form.Get("client_secret"))
	anonymous := grant == "refresh_token" && !form.Has("client_id") && !form.Has("client_secret")
	if !known && !anonymous {
		return oauthIssued{}, &oauthFailure{
			401, "invalid_client", "Unknown client or wrong secret.",
		}
	}
	if grant == "refresh_token" {
		return g.renew(form.Get("refresh_token"), app.ClientID)
	}
	a, fault := g.redeem(app.ClientID, form)
	if fault != codeGood {
		return oauthIssued{}, &oauthFailure{
			400, "invalid_grant", "The code is invalid, too old, or for another address.",
		}
	}
	return g.issue(oauthPair{a.User, app.ClientID}, a.Scopes, true), nil
}

// renew uses up a refresh token. Access tokens live on. A client that isn't named is any. Hold mu.
func (g *gitee) renew(value, clientID string) (oauthIssued, *oauthFailure) {
	if clientID == "" {
		if r := g.refresh[digestOf(value)]; r != nil {
			clientID = r.clientID
		}
	}
	r, ok := g.findRefresh(clientID, value)
	if !ok {
		return oauthIssued{}, &oauthFailure{
			400, "invalid_grant", "The refresh token is invalid, has expired or was used before.",
		}
	}
	delete(g.refresh, digestOf(value))
	return g.issue(r.oauthPair, r.scopes, true), nil
}

// user is who the token belongs to, in the header or the query.
func (g *gitee) user(w http.ResponseWriter, r *http.Request) {
	value := bearer(r, "Bearer", "token")
	if value == "" {
		value = r.URL.Query().Get("access_token")
	}
	c, fault := g.caller(value)
	if fault != bearerGood {
		message := map[bearerFault]string{
			bearerNone:    "401 Unauthorized",
			bearerUnknown: "401 Unauthorized: Access token does not exist",
			bearerEnded:   "401 Unauthorized: Access token is expired",
		}[fault]
		writeJSON(w, http.StatusUnauthorized, object{"message": message})
		return
	}
	if !c.may("user_info") {
		writeJSON(w, http.StatusForbidden, object{
			"message": "403 Forbidden: scope user_info is missing",
		})
		return
	}
	origin := g.sandbox.origin(r)
	writeJSON(w, http.StatusOK, object{
		"id":         c.id,
		"login":      c.login,
		"name":       c.name,
		"avatar_url": origin + "/sandbox/avatars/" + c.login,
		"url":        origin + "/api/v5/users/" + c.login,
		"html_url":   origin + "/" + c.login,
		"type":       "User",
		"email":      nil,
	})
}
