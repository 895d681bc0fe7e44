package config

import (
	"strings"

	"bindery/shared/provider"
)

// setting is one variable and how its value is read.
type setting struct {
	Variable
	// set checks a value that is not empty and stores it. Its error continues a sentence that
	// begins with the variable's name, and never quotes the value.
	set func(c *Config, value string) error
	// with returns why a variable that is not set must be set, given the others, or "".
	with func(c Config, set func(name string) bool) string
}

const (
	eventsURL    = "BINDERY_EVENTS_URL"
	eventsSecret = "BINDERY_EVENTS_SECRET"
)

// settings returns all variables. Both reading and documentation use this list.
func settings(platforms []provider.Registration) []setting {
	all := []setting{
		{
			Variable: Variable{
				Name: "BINDERY_PUBLIC_URL", Required: true, Example: "https://bindery.example.com",
				Meaning: "Origin of the functions, on a host of its own. Callback addresses are " +
					"built from it, never from a Host header.",
			},
			set: origin(func(c *Config) *string { return &c.PublicURL }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_CONSOLE_URL", Required: true, Example: "https://console.example.com",
				Meaning: "Origin that the browser returns to; also the one CORS origin.",
			},
			set: origin(func(c *Config) *string { return &c.ConsoleURL }),
		},
	}
	for _, more := range [][]setting{
		callers(), instances(), storage(), alibaba(), network(platforms), laptop(),
	} {
		all = append(all, more...)
	}
	return all
}

func callers() []setting {
	return []setting{
		{
			Variable: Variable{
				Name: "BINDERY_OIDC_ISSUER", Required: true, Example: "https://login.example.com/realm",
				Meaning: "Who signs the callers in: the claim iss, letter for letter.",
			},
			set: issuer(func(c *Config) *string { return &c.OIDC.Issuer }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_OIDC_AUDIENCE", Required: true, Example: "bindery",
				Meaning: "What an access token must be meant for: one of its claim aud.",
			},
			set: word(func(c *Config) *string { return &c.OIDC.Audience }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_OIDC_JWKS_URL", Required: true,
				Example: "https://login.example.com/realm/keys",
				Meaning: "Address of the issuer's public keys (a JSON Web Key Set).",
			},
			set: address(func(c *Config) *string { return &c.OIDC.JWKSURL }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_OIDC_CLIENT_ID", Example: "bindery-console",
				Meaning: "Client that the console signs in as. Only the console needs it.",
			},
			set: word(func(c *Config) *string { return &c.OIDC.ClientID }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_ACCOUNT_CLAIM", Default: "account", Example: "account",
				Meaning: "Claim that names the account: the tenant that owns instances.",
			},
			set: word(func(c *Config) *string { return &c.AccountClaim }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_INSTANCE_CLAIM", Default: "instances", Example: "instances",
				Meaning: "Claim that narrows a caller to the instances it lists, as region/id.",
			},
			set: word(func(c *Config) *string { return &c.InstanceClaim }),
		},
	}
}

func instances() []setting {
	return []setting{
		{
			Variable: Variable{
				Name: "BINDERY_INSTANCES", Required: true,
				Example: `{"acme":[{"type":"enterprise","region":"cn-hangzhou","id":"cri-1","name":"prod"}]}`,
				Meaning: "The catalogue of registry instances: JSON {account: [{type, region, id, " +
					"name}]}, an https:// or file:/// address of such JSON, or acr for the " +
					"registry's own API: the enterprise instances of the function's region, only in " +
					"a binary built with the tag alibaba.",
			},
			set: catalogue,
		},
		{
			Variable: Variable{
				Name: "BINDERY_ACR_ACCOUNT", Example: "acme",
				Meaning: "The one account that has what the registry's own API lists, as tokens " +
					"name it. Needed with BINDERY_INSTANCES=acr.",
			},
			set: word(func(c *Config) *string { return &c.ACRAccount }),
			with: func(c Config, _ func(string) bool) string {
				if c.Instances == "acr" {
					return "is not set, but BINDERY_INSTANCES is acr"
				}
				return ""
			},
		},
	}
}

func storage() []setting {
	return []setting{
		{
			Variable: Variable{
				Name: "BINDERY_TABLE", Default: "bindery", Example: "bindery",
				Meaning: "Name of the table in the cloud.",
			},
			set: tableName(func(c *Config) *string { return &c.Table }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_VAULT", Default: NativeVault, Example: EnvelopeVault,
				Meaning: "Where tokens are stored: native for the cloud's secrets manager or the " +
					"laptop's folder, envelope for a table of sealed tokens. While tokens move, both: " +
					"envelope+native or native+envelope, the one for new tokens first.",
			},
			set: vaults,
		},
		{
			Variable: Variable{
				Name: "BINDERY_VAULT_TABLE", Default: "bindery_vault", Example: "bindery_vault",
				Meaning: "Name of the table of sealed tokens in the cloud, for BINDERY_VAULT=envelope.",
			},
			set: tableName(func(c *Config) *string { return &c.VaultTable }),
		},
		{
			Variable: Variable{
				Name:    "BINDERY_WRAPPING_KEYS",
				Example: "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
				Meaning: "Keys of the cloud's key service for BINDERY_VAULT=envelope, by ARN or id, " +
					"separated by commas or spaces: the first wraps data keys, all unwrap them. A laptop " +
					"wraps them with the key of its vault.",
			},
			set: wrappingKeys,
		},
		{
			Variable: Variable{
				Name: "BINDERY_SECRET_PREFIX", Default: "bindery/", Example: "bindery/",
				Meaning: "What the name of every secret in the cloud begins with.",
			},
			set: secretPrefix,
		},
		{
			Variable: Variable{
				Name: "BINDERY_OAUTH_APPS", Example: "bindery/oauth-apps",
				Meaning: "Vault name of the OAuth apps, on a laptop the path of a file: JSON " +
					"{platform: {clientId, clientSecrets: [newest, …]}}. Without it no platform " +
					"can be bound by OAuth.",
			},
			set: line(func(c *Config) *string { return &c.OAuthApps }),
		},
	}
}

// alibaba returns the variables of Alibaba Cloud. Whether the ones that its table and vault need
// are set is checked when those are opened, since no other build needs them.
func alibaba() []setting {
	return []setting{
		{
			Variable: Variable{
				Name: "BINDERY_TABLESTORE_INSTANCE", Example: "bindery",
				Meaning: "Name of the Tablestore instance that holds the table. Needed on Alibaba " +
					"Cloud.",
			},
			set: word(func(c *Config) *string { return &c.Alibaba.TablestoreInstance }),
		},
		{
			Variable: Variable{
				Name:    "BINDERY_TABLESTORE_URL",
				Example: "https://bindery.cn-hangzhou.vpc.tablestore.aliyuncs.com",
				Meaning: "Another origin of the Tablestore instance, such as the one inside a VPC.",
			},
			set: origin(func(c *Config) *string { return &c.Alibaba.TablestoreURL }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_KMS_INSTANCE", Example: "kst-hzz65f176a0ogplgq0000",
				Meaning: "Id of the KMS instance that holds the secrets. Needed on Alibaba Cloud.",
			},
			set: word(func(c *Config) *string { return &c.Alibaba.KMSInstance }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_KMS_KEY", Example: "key-hzz62f1cb66fa42qo0000",
				Meaning: "Id of the symmetric key of that instance that seals the secrets. Needed " +
					"on Alibaba Cloud.",
			},
			set: word(func(c *Config) *string { return &c.Alibaba.KMSKey }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_KMS_URL", Example: "https://kms-vpc.cn-hangzhou.aliyuncs.com",
				Meaning: "Another origin of KMS, such as the one inside a VPC.",
			},
			set: origin(func(c *Config) *string { return &c.Alibaba.KMSURL }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_ACR_URL", Example: "https://cr-vpc.cn-hangzhou.aliyuncs.com",
				Meaning: "Another origin of the registry's own API, such as the one inside a VPC, " +
					"or another region's.",
			},
			set: origin(func(c *Config) *string { return &c.Alibaba.ACRURL }),
		},
		{
			Variable: Variable{
				Name:    "BINDERY_FC_URL",
				Example: "https://1234567890123456.cn-hangzhou-internal.fc.aliyuncs.com",
				Meaning: "Another origin of Function Compute's API, such as the one inside the " +
					"region. Only the router needs it.",
			},
			set: origin(func(c *Config) *string { return &c.Alibaba.FCURL }),
		},
	}
}

func network(platforms []provider.Registration) []setting {
	return append(endpoints(platforms), []setting{
		{
			Variable: Variable{
				Name: "BINDERY_PRIVATE_HOSTS", Example: "gitlab.corp.example:443,10.0.0.5:80",
				Meaning: "Private GitLab servers that are reachable on purpose: host:port, " +
					"separated by commas or spaces. It opens addresses; the port rule holds.",
			},
			set: privateHosts,
		},
		{
			Variable: Variable{
				Name: "BINDERY_EGRESS_PROXY", Example: "http://user:password@proxy.example.com:3128",
				Meaning: "An explicit way out, for instance with a fixed address for allow-lists. " +
					"The usual proxy variables are ignored.",
			},
			set: egressProxy,
		},
		{
			Variable: Variable{
				Name: eventsURL, Example: "https://hooks.example.com/bindery",
				Meaning: "Where events are posted to, signed as Standard Webhooks requires.",
			},
			set: address(func(c *Config) *string { return &c.EventsURL }),
			with: func(_ Config, set func(string) bool) string {
				if set(eventsSecret) {
					return "is not set, but " + eventsSecret + " is"
				}
				return ""
			},
		},
		{
			Variable: Variable{
				Name: eventsSecret, Example: "whsec_ and the base64 of 24 to 64 random bytes",
				Meaning: "Secret that signs the events: base64 of 24 to 64 bytes, whsec_ before it.",
			},
			set: signingSecret,
			with: func(_ Config, set func(string) bool) string {
				if set(eventsURL) {
					return "is not set, but " + eventsURL + " is"
				}
				return ""
			},
		},
	}...)
}

// endpoints returns the variables of the platforms' origins.
func endpoints(platforms []provider.Registration) []setting {
	var all []setting
	for _, p := range platforms {
		for _, o := range p.Origins {
			host := strings.TrimSuffix(strings.TrimPrefix(o.Variable, "BINDERY_"), "_URL")
			host = strings.ReplaceAll(strings.ToLower(host), "_", "-")
			all = append(all, setting{
				Variable: Variable{
					Name: o.Variable, Example: "https://" + host + ".example.com",
					Meaning: "Another origin of " + o.Title + ", for tests and proxies.",
				},
				set: func(c *Config, value string) error {
					var replaced string
					err := origin(func(*Config) *string { return &replaced })(c, value)
					if err == nil {
						c.Endpoints[o.Variable] = replaced
					}
					return err
				},
			})
		}
	}
	return all
}

func laptop() []setting {
	return []setting{
		{
			Variable: Variable{
				Name: "BINDERY_DATA", Default: "data", Example: "data",
				Meaning: "The laptop's data folder.",
			},
			set: line(func(c *Config) *string { return &c.Data }),
		},
		{
			Variable: Variable{
				Name: "BINDERY_VAULT_KEY", Example: "the base64 of 32 random bytes",
				Meaning: "Key of the laptop's vault, 32 bytes in base64 or hex. Without it the " +
					"key is kept in a file in the data folder.",
			},
			set: vaultKey,
		},
		{
			Variable: Variable{
				Name: "PORT", Default: "8080", Example: "8080",
				Meaning: "The laptop's port; 0 takes any that is free.",
			},
			set: port,
		},
	}
}
