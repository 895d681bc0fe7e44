package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/binding/credential"
)

// Credential adds the route that hands a build the credential for its git client.
func Credential(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/instances/{region}/{instance}/bindings/{platform}/credential",
		a.signedIn(ScopeCredential, limited(a.credentialLimiter, a.credential)))
}

// maxMinimumLife is the longest life of a token that a build may ask for, in seconds. No platform
// issues a token for more than a day.
const maxMinimumLife = 24 * 60 * 60

type credentialRequestJSON struct {
	MinimumLifeSeconds *int `json:"minimumLifeSeconds"`
}

// credentialJSON and the lines of [gitCredential] are the only replies that hold a token.
type credentialJSON struct {
	Username  string     `json:"username"`
	Token     string     `json:"token"`
	ExpiresAt *time.Time `json:"expiresAt"`
}

func (a *API) credential(ctx context.Context, c call) (answer, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	forGit, err := isGitFormat(c)
	if err != nil {
		return answer{}, err
	}
	repository, err := parameter(c, "repository")
	if err != nil {
		return answer{}, err
	}
	life, err := minimumLife(c)
	if err != nil {
		return answer{}, err
	}
	given, err := a.credentials.Credential(ctx, credential.Request{
		By: c.user(), Instance: i, Platform: platform, MinimumLife: life, Repository: repository,
	})
	if err != nil {
		return answer{}, err
	}
	if forGit {
		return gitCredential(given)
	}
	return answer{body: credentialJSON{
		Username:  given.Username,
		Token:     given.Token.Reveal(), // the caller has bindery.credential
		ExpiresAt: optionalTime(given.ExpiresAt),
	}}, nil
}

// isGitFormat reports whether the caller asks for the lines that git reads from a helper.
func isGitFormat(c call) (bool, error) {
	switch format, err := parameter(c, "format"); {
	case err != nil:
		return false, err
	case format == "":
		return false, nil
	case format == "git":
		return true, nil
	}
	return false, malformed("format", "")
}

// gitCredential replies in git's credential protocol (gitcredentials(7), git-credential(1)). git
// forgets a cached password at password_expiry_utc. A line break in a value would be a line of its
// own, such as another host.
func gitCredential(given credential.Credential) (answer, error) {
	token := given.Token.Reveal() // the caller has bindery.credential
	if strings.ContainsAny(given.Username+token, "\r\n\x00") {
		return answer{}, errors.New("the user name or the token has a line break")
	}
	lines := "username=" + given.Username + "\npassword=" + token + "\n"
	if !given.ExpiresAt.IsZero() {
		lines += "password_expiry_utc=" + strconv.FormatInt(given.ExpiresAt.Unix(), 10) + "\n"
	}
	return answer{raw: []byte(lines), contentType: plainText}, nil
}

// minimumLife returns the minimum life that the body asks for. The body may be empty.
func minimumLife(c call) (time.Duration, error) {
	if c.ContentLength == 0 {
		return credential.MinimumLife, nil
	}
	var body credentialRequestJSON
	if err := decode(c, &body); err != nil {
		return 0, err
	}
	if body.MinimumLifeSeconds == nil {
		return credential.MinimumLife, nil
	}
	seconds := *body.MinimumLifeSeconds
	if seconds < 0 || seconds > maxMinimumLife {
		return 0, malformed("minimumLifeSeconds", "")
	}
	return time.Duration(seconds) * time.Second, nil
}
