package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"bindery/shared/secret"
)

const (
	lowers = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
	signs  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + lowers + digits
)

// field returns where a value is stored.
type field = func(c *Config) *string

type set = func(c *Config, value string) error

// origin accepts scheme://host[:port], with an optional slash at the end.
func origin(f field) set {
	return func(c *Config, value string) error {
		u, err := webAddress(value)
		if err != nil {
			return err
		}
		if strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery {
			return errors.New("is more than an origin: it must end after the host and port")
		}
		*f(c) = u.Scheme + "://" + u.Host
		return nil
	}
}

// issuer accepts an address and keeps it unchanged, since it is compared letter by letter.
func issuer(f field) set {
	return func(c *Config, value string) error {
		u, err := webAddress(value)
		if err != nil {
			return err
		}
		if u.RawQuery != "" || u.ForceQuery {
			return errors.New("holds a query, which an issuer can't have")
		}
		*f(c) = value
		return nil
	}
}

// address accepts an address with path and query.
func address(f field) set {
	return func(c *Config, value string) error {
		if _, err := webAddress(value); err != nil {
			return err
		}
		*f(c) = value
		return nil
	}
}

// webAddress parses an https address, or an http address on loopback. The host that it returns is
// in lower case and without the scheme's default port.
func webAddress(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil { // which would quote the value
		return nil, errors.New("isn't an address")
	}
	if err := host(u, "443", "80"); err != nil {
		return nil, err
	}
	switch {
	case u.User != nil:
		return nil, errors.New("holds a user name or password")
	case strings.Contains(value, "#"):
		return nil, errors.New("holds a fragment (#)")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("is plain http, which is for this machine only: it must be https")
	}
	return u, nil
}

// host checks scheme and host of u and normalizes the host.
func host(u *url.URL, https, http string) error {
	if u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("doesn't begin with https://")
	}
	name := strings.ToLower(u.Hostname())
	if !validHost(name) {
		return errors.New("has no valid host (a name of ASCII letters, or an IP address)")
	}
	number := u.Port()
	if number == "" && strings.HasSuffix(u.Host, ":") {
		return errors.New("has a colon without a port")
	}
	if number != "" && !validPort(number) {
		return errors.New("has a port that isn't from 1 to 65535")
	}
	if number == "" || (u.Scheme == "https" && number == https) ||
		(u.Scheme == "http" && number == http) {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		u.Host = name
		return nil
	}
	u.Host = net.JoinHostPort(name, number)
	return nil
}

func validHost(name string) bool {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Zone() == ""
	}
	if len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || !only(label, lowers+digits+"_-") {
			return false
		}
	}
	// 1.2.3 and 300.1.1.1 are neither addresses nor names.
	return !only(labels[len(labels)-1], digits)
}

func only(value, allowed string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return !strings.ContainsRune(allowed, r) })
}

func validPort(number string) bool {
	n, err := strconv.ParseUint(number, 10, 16)
	return err == nil && n > 0
}

func loopback(name string) bool {
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

// word accepts text without white space.
func word(f field) set {
	return func(c *Config, value string) error {
		if strings.ContainsFunc(value, func(r rune) bool {
			return unicode.IsSpace(r) || !unicode.IsPrint(r)
		}) {
			return errors.New("holds white space or characters that can't be seen")
		}
		*f(c) = value
		return nil
	}
}

// line accepts text that can be printed in one line.
func line(f field) set {
	return func(c *Config, value string) error {
		if strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return errors.New("holds characters that can't be seen")
		}
		*f(c) = value
		return nil
	}
}

// tableName accepts names that DynamoDB or Tablestore accepts; each refuses the other's.
func tableName(f field) set {
	return func(c *Config, value string) error {
		if len(value) < 3 || len(value) > 255 || !only(value, signs+"_.-") {
			return errors.New("isn't 3 to 255 letters, digits or _.-")
		}
		*f(c) = value
		return nil
	}
}

// vaults accepts a kind of vault, or both.
func vaults(c *Config, value string) error {
	switch value {
	case NativeVault, EnvelopeVault,
		NativeVault + "+" + EnvelopeVault, EnvelopeVault + "+" + NativeVault:
		c.Vaults = strings.Split(value, "+")
		return nil
	}
	return errors.New("is none of native, envelope, envelope+native and native+envelope")
}

// wrappingKeys accepts names of keys. An alias may point at another key tomorrow, and a row names
// the key that its data key needs.
func wrappingKeys(c *Config, value string) error {
	c.Wrapping = list(value)
	if len(c.Wrapping) == 0 {
		return errors.New("lists nothing")
	}
	for _, key := range c.Wrapping {
		if !only(key, signs+":/_.-") || strings.Contains(key, "alias/") {
			return errors.New("holds something other than the ids or ARNs of keys, which aliases are not")
		}
	}
	return nil
}

// secretPrefix accepts what both Secrets Manager and KMS accept, and leaves room for a name in the
// 192 characters of KMS.
func secretPrefix(c *Config, value string) error {
	if len(value) > 128 || !only(value, signs+"/_+=.@-") {
		return errors.New("isn't 1 to 128 letters, digits or /_+=.@-")
	}
	c.SecretPrefix = value
	return nil
}

// catalogue only distinguishes the three kinds; package instance checks the JSON.
func catalogue(c *Config, value string) error {
	switch {
	case value == "acr", strings.HasPrefix(value, "{"), strings.HasPrefix(value, "file:///"):
	case strings.HasPrefix(value, "https://"), strings.HasPrefix(value, "http://"):
		if _, err := webAddress(value); err != nil {
			return err
		}
	default:
		return errors.New("is neither JSON nor an https:// or file:/// address nor acr")
	}
	c.Instances = value
	return nil
}

// list takes a list apart whose entries are separated by commas or spaces.
func list(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

func privateHosts(c *Config, value string) error {
	entries := list(value)
	if len(entries) == 0 {
		return errors.New("lists nothing")
	}
	var hosts []string
	for i, entry := range entries {
		name, number, err := net.SplitHostPort(entry)
		name = strings.ToLower(name)
		if err != nil || !validHost(name) || !validPort(number) {
			return fmt.Errorf("has an entry (number %d) that isn't host:port", i+1)
		}
		hosts = append(hosts, net.JoinHostPort(name, number))
	}
	c.PrivateHosts = hosts
	return nil
}

func egressProxy(c *Config, value string) error {
	u, err := url.Parse(value)
	if err != nil { // which would quote the value
		return errors.New("isn't an address")
	}
	if err := host(u, "", ""); err != nil {
		return err
	}
	if strings.TrimSuffix(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery ||
		strings.Contains(value, "#") {
		return errors.New("has something after the host and port")
	}
	u.Path = ""
	c.EgressProxy = u
	return nil
}

func signingSecret(c *Config, value string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return errors.New("isn't the base64 of 24 to 64 bytes")
	}
	c.EventsSecret = secret.New(value)
	return nil
}

func vaultKey(c *Config, value string) error {
	if key, err := hex.DecodeString(value); err != nil || len(key) != 32 {
		if key, err := base64.StdEncoding.DecodeString(value); err != nil || len(key) != 32 {
			return errors.New("isn't 32 bytes in base64 or hex")
		}
	}
	c.VaultKey = secret.New(value)
	return nil
}

func port(c *Config, value string) error {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return errors.New("isn't a port from 0 to 65535")
	}
	c.Port = int(n)
	return nil
}
