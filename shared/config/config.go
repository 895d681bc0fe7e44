// Package config reads Bindery's configuration from environment variables, once, at start. It
// reports all mistakes together, each in a line that names its variable.
//
// It checks the form of the values. Whether an address answers, a table exists or a vault opens is
// checked by the packages that use them.
//
// Errors never quote a value, since a secret may have been pasted into the wrong variable.
package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"bindery/shared/provider"
	"bindery/shared/secret"
)

// Config is the complete, checked configuration. Addresses that are called origins have the form
// scheme://host or scheme://host:port, in lower case, without a trailing slash and without the
// scheme's default port, as a browser writes them into an Origin header.
//
// A function may read more than it needs; its deployment sets only what it needs.
type Config struct {
	// PublicURL is the origin of the functions (BINDERY_PUBLIC_URL), a host of its own. Callback
	// addresses are built from it, never from a Host header. Required.
	PublicURL string
	// ConsoleURL is the origin that the browser returns to (BINDERY_CONSOLE_URL); also the one
	// CORS origin. Required.
	ConsoleURL string

	// OIDC configures the issuer of the callers' tokens.
	OIDC OIDC
	// AccountClaim is the token's claim that names the account (BINDERY_ACCOUNT_CLAIM).
	AccountClaim string
	// InstanceClaim is the token's claim that narrows a caller to some instances
	// (BINDERY_INSTANCE_CLAIM).
	InstanceClaim string

	// Instances is the catalogue of registry instances (BINDERY_INSTANCES) as package instance
	// reads it: JSON text, an https:// or file:/// address of such JSON, or "acr". Required.
	Instances string
	// ACRAccount is the one account that has what the registry's own API lists
	// (BINDERY_ACR_ACCOUNT). Required if Instances is "acr".
	ACRAccount string

	// Table is the table's name in the cloud (BINDERY_TABLE).
	Table string
	// SecretPrefix begins the name of every secret in the cloud (BINDERY_SECRET_PREFIX).
	SecretPrefix string
	// Vaults are the kinds of vaults that have secrets (BINDERY_VAULT): one, or two while secrets
	// move. New secrets are stored in the first. None is [NativeVault].
	Vaults []string
	// VaultTable is the name of the table of sealed secrets in the cloud (BINDERY_VAULT_TABLE).
	VaultTable string
	// Wrapping has the names of the keys of the cloud's key service that wrap the data keys of the
	// envelope vault (BINDERY_WRAPPING_KEYS). The first wraps, all unwrap.
	Wrapping []string
	// OAuthApps is the vault name of the OAuth apps (BINDERY_OAUTH_APPS), on a laptop the path of
	// a file with the same JSON: {platform: {clientId, clientSecrets: [newest, …]}}. Empty: no
	// platform can be bound by OAuth.
	OAuthApps string

	// Alibaba configures a deployment on Alibaba Cloud.
	Alibaba Alibaba

	// Platforms are the platforms that can be bound.
	Platforms []provider.Registration `json:"-"`
	// Endpoints are other origins of the platforms, for tests and proxies.
	Endpoints provider.Endpoints
	// PrivateHosts are the private GitLab servers that are reachable on purpose
	// (BINDERY_PRIVATE_HOSTS): host:port each, in lower case, an IPv6 address in brackets. They
	// allow addresses, not ports.
	PrivateHosts []string
	// EgressProxy is the proxy of outgoing calls (BINDERY_EGRESS_PROXY), nil for none. It may hold
	// a password. The usual proxy variables are ignored.
	EgressProxy *url.URL

	// EventsURL is where events are posted to (BINDERY_EVENTS_URL), empty for nowhere.
	EventsURL string
	// EventsSecret signs them (BINDERY_EVENTS_SECRET): base64 of 24 to 64 bytes, with or without
	// "whsec_" before it, as Standard Webhooks writes it. Set exactly if EventsURL is.
	EventsSecret secret.Text

	// Data is the laptop's data folder (BINDERY_DATA).
	Data string
	// VaultKey is the key of the laptop's vault (BINDERY_VAULT_KEY), 32 bytes in base64 or hex. If
	// empty, the vault keeps its key in a file.
	VaultKey secret.Text
	// Port is the laptop's port (PORT). 0 takes any that is free.
	Port int
}

// The kinds of vaults.
const (
	NativeVault   = "native"   // the cloud's secrets manager, or the laptop's folder
	EnvelopeVault = "envelope" // a table of sealed secrets
)

// OIDC configures the issuer of the callers' tokens. None of it is discovered.
type OIDC struct {
	// Issuer must equal the claim iss, letter for letter (BINDERY_OIDC_ISSUER). Required.
	Issuer string
	// Audience must be in the claim aud (BINDERY_OIDC_AUDIENCE). Required.
	Audience string
	// JWKSURL is the address of the issuer's public keys (BINDERY_OIDC_JWKS_URL). Required.
	JWKSURL string
	// ClientID is what the console signs in as (BINDERY_OIDC_CLIENT_ID). Only the console needs it.
	ClientID string
}

// Alibaba says which of an account's instances hold the table and the secrets, and at which
// origins the cloud's services are called.
type Alibaba struct {
	// TablestoreInstance is the name of the Tablestore instance (BINDERY_TABLESTORE_INSTANCE).
	TablestoreInstance string
	// TablestoreURL is another origin of it than the region's own (BINDERY_TABLESTORE_URL).
	TablestoreURL string
	// KMSInstance is the id of the KMS instance (BINDERY_KMS_INSTANCE), and KMSKey that of the
	// symmetric key in it that seals secrets (BINDERY_KMS_KEY).
	KMSInstance, KMSKey string
	// KMSURL is another origin of KMS than the region's own (BINDERY_KMS_URL).
	KMSURL string
	// ACRURL is another origin of the registry's own API than the region's (BINDERY_ACR_URL).
	ACRURL string
	// FCURL is another origin of Function Compute's API than the region's (BINDERY_FC_URL).
	FCURL string
}

// Format prints nothing of the configuration, since the proxy's address may hold a password.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[configuration]") }

// Variable documents one environment variable.
type Variable struct {
	Name    string
	Meaning string
	// Default is the value of an empty or missing variable, "" if there is none.
	Default string
	// Required variables must be set for any function to start.
	Required bool
	// Example is a valid value.
	Example string
}

// Variables lists every variable that Bindery reads, in the order of the documentation.
func Variables() []Variable {
	all := settings(provider.Platforms())
	list := make([]Variable, len(all))
	for i, s := range all {
		list[i] = s.Variable
	}
	return list
}

// Read reads and checks the environment that lookup shows ("" for a variable that is not set, as
// [os.Getenv] has it). White space around a value is dropped. The error joins one line for every
// mistake.
func Read(lookup func(name string) string) (Config, error) {
	return ReadFor(provider.Platforms(), lookup)
}

// ReadFor is [Read] for a Bindery with these platforms instead of [provider.Platforms].
func ReadFor(
	platforms []provider.Registration, lookup func(name string) string,
) (Config, error) {
	c := Config{Platforms: platforms, Endpoints: provider.Endpoints{}}
	var mistakes []error
	wrong := func(v Variable, why string) {
		mistakes = append(mistakes, fmt.Errorf("%s %s; for example %s", v.Name, why, v.Example))
	}
	all := settings(platforms)
	for _, s := range all {
		value := strings.TrimSpace(lookup(s.Name))
		if value == "" {
			value = s.Default
		}
		if value == "" {
			if s.Required {
				wrong(s.Variable, "is not set")
			}
			continue
		}
		if err := s.set(&c, value); err != nil {
			wrong(s.Variable, err.Error())
		}
	}
	set := func(name string) bool { return strings.TrimSpace(lookup(name)) != "" }
	for _, s := range all {
		if s.with != nil && !set(s.Name) {
			if why := s.with(c, set); why != "" {
				wrong(s.Variable, why)
			}
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return Config{}, err
	}
	return c, nil
}
