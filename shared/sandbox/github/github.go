// Package github is the sandbox's GitHub, as an OAuth app sees it. The token endpoint answers 200
// to everything, in a form unless JSON is asked for. Scopes are joined by commas, PKCE is S256.
// Tokens expire after 8 hours if the app says so, with a refresh token that is used up. A user,
// app and set of scopes has at most ten tokens.
package github

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"bindery/shared/sandbox/oauth"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// The switches of GitHub.
const (
	LongTokens  = "long-tokens"
	HourlyLimit = oauth.HourlyLimit
	// SingleSignOn hides the repositories of an organization until the user signs in to it.
	SingleSignOn = "single-sign-on"
)

// Server is a GitHub. Its methods may be called by several goroutines at once.
type Server struct {
	*oauth.Platform
	platform.Merges
	hooks platform.Hooks[hook]
}

// New returns a GitHub with its users and its app.
func New(env *platform.Env) *Server {
	s := &Server{}
	s.Platform = oauth.New(env, oauth.Rules{
		Platform: platform.GitHub,
		Title:    "GitHub",
		Paths: []string{
			"/login/oauth/", "/user", "/user/repos", "/repositories/", "/repos/", "/applications/",
		},
		SettingsPath:     "/settings/applications",
		AuthorizePath:    "/login/oauth/authorize",
		Switches:         switches(),
		UntickableScopes: true, EditableScopes: true, ChecksPKCE: true, ReportsMismatch: true,
		OptionalExpiry: true, GrantTypeOptional: true, RefreshEndsAccess: true,
		RedirectFits: isBelow,
		Scopes:       requestedScopes,
		MergeScopes:  addScopes,
		NewTokens:    s.newTokens,
		AccessTTL:    8 * time.Hour,
		RefreshTTL:   15811200 * time.Second,
		MaxTokens:    10,
		GitScope:     "repo",
		PushScope:    "repo",
	}, oauth.SeededApp(platform.GitHub), users())
	s.Mux.HandleFunc("POST /login/oauth/access_token", s.token)
	s.Mux.HandleFunc("GET /user", s.user)
	s.repositoryRoutes()
	s.hookRoutes()
	s.Mux.HandleFunc("POST /applications/{client}/token", s.checkToken)
	s.Mux.HandleFunc("DELETE /applications/{client}/token", s.deleteToken)
	s.Mux.HandleFunc("DELETE /applications/{client}/grant", s.deleteToken)
	return s
}

func users() []oauth.User {
	return append(oauth.Users(1000),
		oauth.User{
			Login: "acme-org", Name: "Acme", ID: 1011, Type: "Organization",
			Expect: platform.Text("组织账号，只能绑定个人账号。",
				"An organization; only personal accounts can be bound."),
		},
		oauth.User{
			Login: "acme-bot", Name: "Acme Bot", ID: 1012, Type: "Bot",
			Expect: platform.Text("机器人账号，只能绑定个人账号。",
				"A bot; only personal accounts can be bound."),
		},
		oauth.User{
			Login: "newcomer", Name: "New", ID: 1013, Type: "User", Unverified: true,
			Expect: platform.Text("邮箱未验证，GitHub 不签发令牌。",
				"Has no verified e-mail address: GitHub issues no token."),
		},
	)
}

func switches() []platform.Switch {
	return []platform.Switch{
		{Name: LongTokens, Text: platform.Text("签发约 520 个字符、含点和连字符的令牌。",
			"Issues tokens of 520 characters, with dots and dashes.")},
		{Name: HourlyLimit, Text: platform.Text("一小时内签发十个令牌后，再次显示授权页面。",
			"After ten tokens in an hour the consent page is shown again.")},
		{Name: SingleSignOn, Text: platform.Text("组织 docs 要求单点登录，隐藏其代码仓库。",
			"The organization docs requires single sign-on, and its repository is hidden.")},
	}
}

// newTokens returns the values of two tokens with GitHub's prefixes.
func (s *Server) newTokens() (access, refresh secret.Text) {
	refresh = s.NewSecret("ghr_", 38)
	if !s.On(LongTokens) {
		return s.NewSecret("gho_", 18), refresh
	}
	// Like the signed tokens that GitHub introduced for apps: three parts, 520 characters.
	long := s.NewSecret("gho_", 18).Reveal() + "." + s.NewSecret("", 190).Reveal() + "-" +
		s.NewSecret("", 20).Reveal() + "." + s.NewSecret("", 28).Reveal()
	return secret.New(long + "x"), refresh
}

// isBelow is GitHub's rule for a redirect_uri: the registered address or one below its path.
func isBelow(registered, sent string) bool {
	want, err := url.Parse(registered)
	if err != nil {
		return false
	}
	got, err := url.Parse(sent)
	if err != nil || got.Scheme != want.Scheme || got.Host != want.Host ||
		got.User != nil || got.Fragment != "" {
		return false
	}
	directory := strings.TrimSuffix(want.Path, "/") + "/"
	return got.Path == want.Path || strings.HasPrefix(path.Clean(got.Path)+"/", directory)
}

// token is the token endpoint. Client id and secret are in the body; the status is always 200.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	form := r.PostForm
	issued, fault := s.Token(form.Get("client_id"), form.Get("client_secret"), form)
	reply := s.tokenReply(issued)
	if fault != "" {
		code, description := tokenError(fault)
		reply = platform.Object{
			"error":             code,
			"error_description": description,
			"error_uri": "https://docs.github.com/apps/managing-oauth-apps/" +
				"troubleshooting-oauth-app-access-token-request-errors/#" +
				strings.ReplaceAll(code, "_", "-"),
		}
	}
	w.Header().Set("Cache-Control", "max-age=0, private, must-revalidate")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		platform.WriteJSON(w, http.StatusOK, reply)
		return
	}
	values := url.Values{}
	for name, value := range reply {
		values.Set(name, fmt.Sprint(value))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	_, _ = fmt.Fprint(w, values.Encode())
}

// tokenError returns GitHub's code and description of a fault.
func tokenError(fault oauth.Fault) (code, description string) {
	switch fault {
	case oauth.UnknownClient:
		return "incorrect_client_credentials", "The client_id or the client_secret is incorrect."
	case oauth.RedirectMismatch:
		return "redirect_uri_mismatch", "The redirect_uri is not the one of the authorization."
	case oauth.UnverifiedUser:
		return "unverified_user_email", "The user has no verified primary e-mail address."
	case oauth.InvalidRefreshToken:
		return "bad_refresh_token", "The refresh token is incorrect or has expired."
	case oauth.UnsupportedGrantType:
		return "unsupported_grant_type", "The grant type is not supported."
	default:
		return "bad_verification_code", "The code is incorrect or has expired."
	}
}

// tokenReply describes what was issued.
func (s *Server) tokenReply(t oauth.Issued) platform.Object {
	o := platform.Object{
		"access_token": t.Access.Reveal(),
		"token_type":   "bearer",
		"scope":        strings.Join(t.Scopes, ","),
	}
	if !t.Refresh.Empty() {
		o["expires_in"] = int(s.AccessTTL / time.Second)
		o["refresh_token"] = t.Refresh.Reveal()
		o["refresh_token_expires_in"] = int(s.RefreshTTL / time.Second)
	}
	return o
}
