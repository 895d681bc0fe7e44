package github

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// fail writes an error in GitHub's form.
func fail(w http.ResponseWriter, status int, message string) {
	platform.WriteJSON(w, status, platform.Object{
		"message": message, "documentation_url": "https://docs.github.com/rest",
		"status": strconv.Itoa(status),
	})
}

// authenticate returns the caller, and writes the headers that every reply has. It answers a call
// without a valid token.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) (oauth.Caller, bool) {
	if r.UserAgent() == "" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("Forbidden: a User-Agent header is required\n"))
		return oauth.Caller{}, false
	}
	c, err := s.Caller(oauth.Bearer(r, "Bearer", "token"))
	switch {
	case errors.Is(err, oauth.ErrNoToken):
		fail(w, http.StatusUnauthorized, "Requires authentication")
		return c, false
	case err != nil:
		fail(w, http.StatusUnauthorized, "Bad credentials")
		return c, false
	}
	h := w.Header()
	h.Set("X-OAuth-Scopes", strings.Join(c.Scopes, ", "))
	h.Set("X-Accepted-OAuth-Scopes", "")
	h.Set("X-RateLimit-Limit", "5000")
	h.Set("X-RateLimit-Remaining", "4999")
	h.Set("X-RateLimit-Reset", strconv.FormatInt(s.Now().Add(time.Hour).Unix(), 10))
	if !c.ExpiresAt.IsZero() {
		h.Set("GitHub-Authentication-Token-Expiration",
			c.ExpiresAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return c, true
}

// user returns the user of the token. It needs no scope; the token's scopes are in a header.
func (s *Server) user(w http.ResponseWriter, r *http.Request) {
	if c, ok := s.authenticate(w, r); ok {
		platform.WriteJSON(w, http.StatusOK, s.describe(r, c.User))
	}
}

// describe describes a user, with what GitHub shows of one to a token without the scope user.
func (s *Server) describe(r *http.Request, u oauth.User) platform.Object {
	origin := s.Origin(r)
	user := platform.Object{
		"login":          u.Login,
		"id":             u.ID,
		"node_id":        "U_sandbox" + strconv.FormatInt(u.ID, 10),
		"avatar_url":     origin + "/sandbox/avatars/" + u.Login,
		"url":            origin + "/users/" + u.Login,
		"html_url":       origin + "/" + u.Login,
		"type":           u.Type,
		"user_view_type": "public",
		"site_admin":     false,
		"name":           u.Name,
		"created_at":     platform.Epoch,
		"updated_at":     platform.Epoch,
	}
	for _, list := range []string{
		"events", "followers", "following", "gists", "organizations", "received_events", "repos",
		"starred", "subscriptions",
	} {
		user[list+"_url"] = origin + "/users/" + u.Login + "/" + list
	}
	for _, empty := range []string{
		"gravatar_id", "company", "blog", "location", "email", "hireable", "bio",
	} {
		user[empty] = nil
	}
	for _, count := range []string{"public_repos", "public_gists", "followers", "following"} {
		user[count] = 0
	}
	return user
}

// readToken reads a call about one token: the app's id and secret by Basic, and the token in a
// JSON body. It answers a call that is wrong.
func (s *Server) readToken(w http.ResponseWriter, r *http.Request) (secret.Text, bool) {
	client := r.PathValue("client")
	id, clientSecret, _ := r.BasicAuth()
	app, ok := s.App(client)
	if !ok || id != client || !app.HasSecret(clientSecret) {
		fail(w, http.StatusUnauthorized, "Bad credentials")
		return secret.Text{}, false
	}
	var body struct {
		AccessToken secret.Text `json:"access_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.AccessToken.Empty() {
		fail(w, http.StatusUnprocessableEntity, "Validation Failed")
		return secret.Text{}, false
	}
	return body.AccessToken, true
}

// checkToken describes a token, with its value.
func (s *Server) checkToken(w http.ResponseWriter, r *http.Request) {
	token, ok := s.readToken(w, r)
	if !ok {
		return
	}
	client := r.PathValue("client")
	a, user, ok := s.Find(client, token.Reveal())
	if !ok {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	app, _ := s.App(client)
	reply := platform.Object{
		"id":     a.Number,
		"token":  token.Reveal(),
		"scopes": a.Scopes,
		"user":   s.describe(r, user),
		"app": platform.Object{
			"name": app.Name, "client_id": client, "url": app.RedirectURI,
		},
		"created_at": a.IssuedAt.UTC().Format(time.RFC3339),
		"expires_at": nil,
	}
	if !a.ExpiresAt.IsZero() {
		reply["expires_at"] = a.ExpiresAt.UTC().Format(time.RFC3339)
	}
	platform.WriteJSON(w, http.StatusOK, reply)
}

// deleteToken revokes a token and its refresh token or, under /grant, the app's consent and every
// token that the app has of the user.
func (s *Server) deleteToken(w http.ResponseWriter, r *http.Request) {
	token, ok := s.readToken(w, r)
	if !ok {
		return
	}
	all := strings.HasSuffix(r.URL.Path, "/grant")
	if !s.Revoke(r.PathValue("client"), token.Reveal(), all) {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
