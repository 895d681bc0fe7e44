// Package provider knows the five source code hosting platforms: how each is asked who a token
// belongs to and what it may do, how its tokens come, are renewed and revoked, and in which words
// it refuses. One file a platform, one interface for all.
//
// Every failure that a user or an operator can do something about is a problem of the catalogue;
// each platform's dialect sorts its answers into permanent, transient and the operator's own. Nothing here knows of bindings, records or Bindery's own HTTP.
//
// Every call goes out through package netguard: none follows a redirect, each names a User-Agent,
// and every reply is capped in size and time.
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

// Method is how a platform is bound.
type Method string

// The methods.
const (
	ByToken Method = "token" // the user pastes a personal access token
	ByOAuth Method = "oauth" // the user consents at the platform
)

// Description is what a console shows of a platform before anything is bound.
type Description struct {
	Name   string
	Title  string // the platform's own name: "GitHub"
	Method Method
	// Fields of the form, for a platform bound by token: "address", "username", "token",
	// "organization", "expiresAt". Those that may be left out are in Optional.
	Fields, Optional []string
	// Scopes are the permissions that are asked for, in the platform's own words.
	Scopes []string
	// Revocable says that the platform has a way to revoke a token.
	Revocable bool
	// TokenURL is where a user creates a token by hand, "" where it depends on the address.
	TokenURL string
}

// Platform is what all five can do. Methods may be called at once from many goroutines.
type Platform interface {
	Describe() Description

	// Check asks the platform, by real API calls with the token, who this is and what it may do.
	//
	// A token that was refused for good is [problem.TokenRejected], [problem.TokenExpired],
	// [problem.UserBlocked] or [problem.PermissionMissing]; for Codeup also
	// [problem.OrganizationUnknown] (no longer a member of it) and [problem.AddressNotListed].
	// Anything passing is one of the platform_… codes, with RetryAfter where the platform gave
	// one. It says nothing of a user name when the token is rejected.
	Check(ctx context.Context, cred Credential) (CheckResult, error)

	// Revoke ends this one token at the platform, never other tokens of the same user. A token
	// that is dead already is nil. [ErrNoRevoke] where the platform has no known way.
	Revoke(ctx context.Context, app App, cred Credential) error

	// RevokeURL is the page where the user can end the token by hand.
	RevokeURL(address string) string
}

// ErrNoRevoke says that a platform has no known way to revoke a token.
var ErrNoRevoke = errors.New("provider: the platform has no way to revoke a token")

// TokenPlatform is bound by a personal access token: Codeup, GitLab.
type TokenPlatform interface {
	Platform

	// Verify checks everything that a user submitted before anything is stored. Beyond [Platform]'s
	// Check: [problem.InputMalformed] (with the field), [problem.AddressRefused],
	// [problem.PortRefused], [problem.UsernameMismatch], [problem.OrganizationUnknown].
	//
	// A wrong token or password is sent at most once, for accounts get locked.
	//
	// Only Verify proves a user name: Check neither asks nor says anything of it, so a
	// [problem.UsernameUnverified] warning stays true until the next Verify.
	Verify(ctx context.Context, s Submission) (CheckResult, error)
}

// Submission is what a user typed.
type Submission struct {
	Address      string
	Username     string
	Token        secret.Text
	Organization string
	ExpiresAt    time.Time // zero: the user doesn't know
}

// Credential is a token that a binding holds, with what is needed to use it.
type Credential struct {
	Access       secret.Text
	Address      string // normalised; "" where the platform has one address only
	Username     string // the git user name
	Organization string
	Scopes       []string // granted, as the token reply told; empty if it did not
	// ExpiresAt is what is known of the token's end, zero if nothing is. A platform that can't be
	// asked returns it as it is and doesn't warn that nobody knows.
	ExpiresAt time.Time
}

// CheckResult is what the platform told.
type CheckResult struct {
	Identity Identity
	// Address is the platform's address in its normal form, "" where there is only one.
	Address string
	// Token is the token as it is to be stored, without the spaces, line breaks and "Bearer " that
	// were pasted with it. Only Verify sets it.
	Token secret.Text
	// GitUsername is what the platform's git server wants beside the token.
	GitUsername  string
	Organization string
	// Scopes are the permissions that are known to be granted, in the platform's own words.
	Scopes    []string
	ExpiresAt time.Time // zero: never, or not known
	// Warnings don't keep a binding from working: permissions that can't be proved, and so on.
	Warnings []*problem.Problem
}

// Identity is a user of the platform.
type Identity struct {
	// ID never changes and is never given to another user; Username may be both.
	ID         string
	Username   string
	Name       string
	AvatarURL  string
	ProfileURL string
}

// OAuthPlatform is bound by consent: Gitee, GitHub, Bitbucket.
type OAuthPlatform interface {
	Platform

	// AuthorizeURL is where the browser is sent (RFC 6749, 4.1.1). The PKCE challenge (RFC 7636,
	// S256) is sent to every platform, also to those not known to look at it.
	AuthorizeURL(app App, redirectURI, state, challenge string) string

	// Exchange redeems an authorization code, once (RFC 6749, 4.1.3). Failures:
	// [problem.TokenRejected] for a code that is refused, [problem.ClientRefused] when the
	// platform refuses every one of the app's secrets, else as Check.
	Exchange(ctx context.Context, app App, redirectURI string, code, verifier secret.Text) (
		Token, error,
	)

	// Refresh redeems a refresh token (RFC 6749, 6). A reply without a new refresh token keeps the
	// old one. [problem.TokenRevoked] if the platform says that the refresh token is dead;
	// [problem.ClientRefused] as above; anything else leaves the outcome unknown.
	Refresh(ctx context.Context, app App, refresh secret.Text) (Token, error)
}

// App is the operator's OAuth app at a platform.
type App struct {
	ClientID string `json:"clientId"`
	// ClientSecrets are tried in order, newest first, so that a secret can be changed without an
	// outage.
	ClientSecrets []secret.Text `json:"clientSecrets"`
}

// Token is what a platform issued.
type Token struct {
	Access    secret.Text
	Refresh   secret.Text // empty: none
	ExpiresAt time.Time   // zero: never
	Scopes    []string    // empty: the reply told none
}
