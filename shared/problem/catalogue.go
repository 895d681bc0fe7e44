package problem

import "maps"

// Code names a problem for programs. Codes are part of the API: they never change their meaning.
type Code string

// The caller's request.
const (
	InputMalformed     Code = "input_malformed"
	BodyTooLarge       Code = "body_too_large"
	MediaTypeUnknown   Code = "media_type_unknown"
	RouteUnknown       Code = "route_unknown"
	MethodNotAllowed   Code = "method_not_allowed"
	NotSignedIn        Code = "not_signed_in"
	ScopeMissing       Code = "scope_missing"
	InstanceUnknown    Code = "instance_unknown"
	PlatformUnknown    Code = "platform_unknown"
	MethodMismatch     Code = "method_mismatch"
	NotBound           Code = "not_bound"
	Conflict           Code = "conflict"
	PreconditionFailed Code = "precondition_failed"
	TooManyCalls       Code = "too_many_calls"
	Overloaded         Code = "overloaded"
)

// Bindery itself.
const (
	StorageUnavailable Code = "storage_unavailable"
	SignInUnavailable  Code = "sign_in_unavailable"
	InstancesUnknown   Code = "instances_unavailable"
	TokenMismatch      Code = "token_mismatch"
	Internal           Code = "internal"
)

// The platform's address, and the platform.
const (
	AddressRefused       Code = "address_refused"
	PortRefused          Code = "port_refused"
	CertificateUntrusted Code = "certificate_untrusted"
	PlatformUnreachable  Code = "platform_unreachable"
	PlatformError        Code = "platform_error"
	PlatformRateLimited  Code = "platform_rate_limited"
)

// What the platform says about a token.
const (
	TokenRejected       Code = "token_rejected"
	TokenExpired        Code = "token_expired"
	UserBlocked         Code = "user_blocked"
	PermissionMissing   Code = "permission_missing"
	UsernameMismatch    Code = "username_mismatch"
	OrganizationUnknown Code = "organization_unknown"
	AddressNotListed    Code = "address_not_listed"
	TokenRevoked        Code = "token_revoked"
	RevocationFailed    Code = "revocation_failed"
)

// Binding by OAuth.
const (
	PlatformNotConfigured Code = "platform_not_configured"
	ConsentRefused        Code = "consent_refused"
	AnotherBrowser        Code = "another_browser"
	CookiesBlocked        Code = "cookies_blocked"
	AuthorizationExpired  Code = "authorization_expired"
	AuthorizationDone     Code = "authorization_done"
	AuthorizationUnknown  Code = "authorization_unknown"
	NotANavigation        Code = "not_a_navigation"
	AnotherUser           Code = "another_user"
	AnotherInstance       Code = "another_instance"
	NotAPersonalAccount   Code = "not_a_personal_account"
	TooManyTokens         Code = "too_many_tokens"
	ClientRefused         Code = "client_refused"
)

// Warnings: a binding that works may carry them.
const (
	TokenInTheClear       Code = "token_in_the_clear"
	ExpiryUnknown         Code = "expiry_unknown"
	PermissionNotProvable Code = "permission_not_provable"
	NotAdministrator      Code = "not_administrator"
	UsernameUnverified    Code = "username_unverified"
	ManyTokens            Code = "many_tokens"
)

// catalogue holds every problem by its code. It never changes.
var catalogue = all(requests(), platforms(), tokens(), consents(), warnings(), repositories(),
	subscriptions(), newerVersions())

func all(parts ...map[Code]entry) map[Code]entry {
	entries := map[Code]entry{}
	for _, part := range parts {
		maps.Copy(entries, part)
	}
	return entries
}
