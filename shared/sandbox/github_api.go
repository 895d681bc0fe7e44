package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/secret"
)

// githubDocs is what GitHub's errors point to.
const githubDocs = "https://docs.github.com/rest"

// fail answers with GitHub's form of an error.
func (g *github) fail(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, object{
		"message": message, "documentation_url": githubDocs, "status": strconv.Itoa(status),
	})
}

// user is who the token belongs to. Any token will do; its scopes are in a header.
func (g *github) user(w http.ResponseWriter, r *http.Request) {
	if r.UserAgent() == "" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("Forbidden: a User-Agent header is required\n"))
		return
	}
	c, fault := g.caller(bearer(r, "Bearer", "token"))
	switch fault {
	case bearerNone:
		g.fail(w, http.StatusUnauthorized, "Requires authentication")
		return
	case bearerUnknown, bearerEnded:
		g.fail(w, http.StatusUnauthorized, "Bad credentials")
		return
	case bearerGood:
	}
	h := w.Header()
	h.Set("X-OAuth-Scopes", strings.Join(c.scopes, ", "))
	h.Set("X-Accepted-OAuth-Scopes", "")
	h.Set("X-RateLimit-Limit", "5000")
	h.Set("X-RateLimit-Remaining", "4999")
	h.Set("X-RateLimit-Reset", strconv.FormatInt(g.now().Add(time.Hour).Unix(), 10))
	if !c.ends.IsZero() {
		ends := c.ends.UTC().Format("2006-01-02 15:04:05 UTC")
		h.Set("GitHub-Authentication-Token-Expiration", ends)
	}
	writeJSON(w, http.StatusOK, g.describe(r, c.oauthPerson))
}

// describe is a user in GitHub's form.
func (g *github) describe(r *http.Request, o oauthPerson) object {
	origin := g.sandbox.origin(r)
	return object{
		"login":      o.login,
		"id":         o.id,
		"node_id":    "U_sandbox" + strconv.FormatInt(o.id, 10),
		"avatar_url": origin + "/sandbox/avatars/" + o.login,
		"url":        origin + "/users/" + o.login,
		"html_url":   origin + "/" + o.login,
		"type":       o.kind,
		"site_admin": false,
		"name":       o.name,
		"email":      nil,
	}
}

// appCall reads a call about one token: Basic with the app's id and secret, and the token in a
// JSON body. It answers what is wrong.
func (g *github) appCall(w http.ResponseWriter, r *http.Request) (secret.Text, string, bool) {
	client := r.PathValue("client")
	id, clientSecret, _ := r.BasicAuth()
	app, ok := g.app(client)
	if !ok || id != client || !app.knows(clientSecret) {
		g.fail(w, http.StatusUnauthorized, "Bad credentials")
		return secret.Text{}, "", false
	}
	var body struct {
		AccessToken secret.Text `json:"access_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.AccessToken.Empty() {
		g.fail(w, http.StatusUnprocessableEntity, "Validation Failed")
		return secret.Text{}, "", false
	}
	return body.AccessToken, client, true
}

// checkToken says what a token is worth, and repeats it.
func (g *github) checkToken(w http.ResponseWriter, r *http.Request) {
	token, client, ok := g.appCall(w, r)
	if !ok {
		return
	}
	g.mu.Lock()
	a := g.access[digestOf(token.Reveal())]
	if a == nil || a.clientID != client || a.ended(g.now()) {
		g.mu.Unlock()
		g.fail(w, http.StatusNotFound, "Not Found")
		return
	}
	copied := *a
	app := g.apps[client]
	g.mu.Unlock()
	person, _ := g.person(copied.login)
	reply := object{
		"id":         copied.number,
		"token":      token.Reveal(),
		"scopes":     append([]string{}, copied.scopes...),
		"user":       g.describe(r, person),
		"app":        object{"name": app.Name, "client_id": client, "url": app.RedirectURI},
		"created_at": copied.born.UTC().Format(time.RFC3339),
		"expires_at": nil,
	}
	if !copied.ends.IsZero() {
		reply["expires_at"] = copied.ends.UTC().Format(time.RFC3339)
	}
	writeJSON(w, http.StatusOK, reply)
}

// deleteToken kills one token, and the refresh token that came with it.
func (g *github) deleteToken(w http.ResponseWriter, r *http.Request) {
	token, client, ok := g.appCall(w, r)
	if !ok {
		return
	}
	g.mu.Lock()
	a := g.access[digestOf(token.Reveal())]
	found := a != nil && a.clientID == client
	if found {
		g.end(digestOf(token.Reveal()))
	}
	g.mu.Unlock()
	if !found {
		g.fail(w, http.StatusNotFound, "Not Found")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// deleteGrant kills every token that the app has of the user, and the consent.
func (g *github) deleteGrant(w http.ResponseWriter, r *http.Request) {
	token, client, ok := g.appCall(w, r)
	if !ok {
		return
	}
	g.mu.Lock()
	a := g.access[digestOf(token.Reveal())]
	found := a != nil && a.clientID == client
	if found {
		g.endAll(a.login, client)
	}
	g.mu.Unlock()
	if !found {
		g.fail(w, http.StatusNotFound, "Not Found")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
