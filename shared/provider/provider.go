// Package provider implements the source code hosting platforms: how each is asked who a token
// belongs to and what it may do, how its tokens are issued, refreshed and revoked, and how its
// refusals are worded. Each platform has a file with its [Registration]; all have one interface.
//
// Every failure that a user or an operator can do something about is a problem of the catalogue;
// each platform's dialect sorts its answers into permanent, transient and the operator's own. The
// package knows nothing of bindings, records or Bindery's own HTTP.
//
// Every call is made through package netguard: none follows a redirect, each has a User-Agent, and
// every reply is limited in size and time.
package provider

import (
	"context"
	"errors"
	"time"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// The platforms' names.
const (
	Codeup    = "codeup"
	Gitee     = "gitee"
	GitHub    = "github"
	GitLab    = "gitlab"
	Bitbucket = "bitbucket"
)

// Method says how a platform is bound.
type Method string

// The methods.
const (
	ByToken Method = "token" // the user pastes a personal access token
	ByOAuth Method = "oauth" // the user consents at the platform
)

// Description describes a platform to a console, before anything is bound.
type Description struct {
	Name   string
	Title  string // the platform's own name: "GitHub"
	Method Method
	// Fields of the form, for a platform bound by token: "address", "username", "token",
	// "organization", "expiresAt". Those that may be empty are in Optional.
	Fields, Optional []string
	// Scopes are the requested permissions, in the platform's own words.
	Scopes []string
	// Revocable says that the platform has a way to revoke a token.
	Revocable bool
	// TokenURL is where a user creates a token by hand, "" where it depends on the address.
	TokenURL string
}

// Platform is what every platform does. Its methods may be called at once from many goroutines.
type Platform interface {
	Describe() Description

	// Check asks the platform, by real API calls with the token, whose token it is and what it may do.
	//
	// A permanently refused token is [problem.TokenRejected], [problem.TokenExpired],
	// [problem.UserBlocked] or [problem.PermissionMissing]; for Codeup also
	// [problem.OrganizationUnknown] (no longer a member of it) and [problem.AddressNotListed].
	// A transient failure is one of the platform_… codes, with RetryAfter where the platform gave
	// one. When the token is rejected, the problem says nothing about the user name.
	Check(ctx context.Context, cred Credential) (CheckResult, error)

	// Revoke revokes this one token at the platform, never other tokens of the same user. It
	// returns nil for a token that is no longer valid, and [ErrNoRevoke] where the platform has no
	// known way.
	Revoke(ctx context.Context, app App, cred Credential) error

	// RevokeURL returns the page where the user can end the token by hand.
	RevokeURL(address string) string
}

// ErrNoRevoke means that a platform has no known way to revoke a token.
var ErrNoRevoke = errors.New("provider: the platform has no way to revoke a token")

// TokenPlatform is bound by a personal access token: Codeup, GitLab.
type TokenPlatform interface {
	Platform

	// Verify checks everything that a user submitted before anything is stored. Beyond [Platform]'s
	// Check: [problem.InputMalformed] (with the field), [problem.AddressRefused],
	// [problem.PortRefused], [problem.UsernameMismatch], [problem.OrganizationUnknown].
	//
	// A wrong token or password is sent at most once, since platforms lock accounts.
	//
	// Only Verify proves a user name: Check neither asks for it nor reports on it, so a
	// [problem.UsernameUnverified] warning stays true until the next Verify.
	Verify(ctx context.Context, s Submission) (CheckResult, error)
}

// Submission is the user's input.
type Submission struct {
	Address      string
	Username     string
	Token        secret.Text
	Organization string
	ExpiresAt    time.Time // zero: not known to the user
}

// Credential is a binding's token, with what is needed to use it.
type Credential struct {
	Access       secret.Text
	Address      string // normalised; "" where the platform has one address only
	Username     string // the git user name
	Organization string
	Scopes       []string // granted, as in the token reply; empty if it had none
	// ExpiresAt is the token's known expiry, zero if none is known. A platform that can't be asked
	// for it returns a known one unchanged, and then doesn't warn that the expiry is unknown.
	ExpiresAt time.Time
}

// CheckResult is what a platform reported about a token.
type CheckResult struct {
	Identity Identity
	// Address is the platform's address in its normal form, "" where there is only one.
	Address string
	// Token is the token to store, without the spaces, line breaks and "Bearer " that were pasted
	// with it. Only Verify sets it.
	Token secret.Text
	// GitUsername is the user name that the platform's git server requires with the token.
	GitUsername  string
	Organization string
	// Scopes are the permissions that are known to be granted, in the platform's own words.
	Scopes    []string
	ExpiresAt time.Time // zero: never, or not known
	// Warnings don't prevent the binding from working: permissions that can't be proved, and so on.
	Warnings []*problem.Problem
}

// Identity is a user of the platform.
type Identity struct {
	// ID never changes and is never given to another user; a Username may change and may be given
	// to another user.
	ID         string
	Username   string
	Name       string
	AvatarURL  string
	ProfileURL string
}

// OAuthPlatform is bound by consent: Gitee, GitHub, Bitbucket.
type OAuthPlatform interface {
	Platform

	// AuthorizeURL returns the address that the browser is sent to (RFC 6749, 4.1.1). The PKCE
	// challenge (RFC 7636, S256) is sent to every platform, even where support isn't known.
	AuthorizeURL(app App, redirectURI, state, challenge string) string

	// Exchange redeems an authorization code, once (RFC 6749, 4.1.3). Failures:
	// [problem.TokenRejected] for a code that is refused, [problem.ClientRefused] when the
	// platform refuses every one of the app's secrets, else as Check.
	Exchange(ctx context.Context, app App, redirectURI string, code, verifier secret.Text) (
		Token, error,
	)

	// Refresh redeems a refresh token (RFC 6749, 6). A reply without a new refresh token keeps the
	// old one. [problem.TokenRevoked] if the platform says that the refresh token is no longer valid;
	// [problem.ClientRefused] as above; anything else leaves the outcome unknown.
	Refresh(ctx context.Context, app App, refresh secret.Text) (Token, error)
}

// App is the operator's OAuth app at a platform.
type App struct {
	ClientID string `json:"clientId"`
	// ClientSecrets are tried in order, newest first, so that a secret can be replaced without an
	// outage.
	ClientSecrets []secret.Text `json:"clientSecrets"`
}

// Token is the token pair that a platform issued.
type Token struct {
	Access    secret.Text
	Refresh   secret.Text // empty: none
	ExpiresAt time.Time   // zero: never
	Scopes    []string    // empty: the reply had none
}
