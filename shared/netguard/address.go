package netguard

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/problem"
)

// MaxAddressLength is the length in bytes up to which an address is accepted.
const MaxAddressLength = 2048

const (
	maxHostLength  = 253 // RFC 1035, 2.3.4, without the trailing dot
	maxLabelLength = 63
)

// target is where a request goes.
type target struct {
	scheme string     // of a URL only
	host   string     // lower case, without a trailing dot, an IPv6 address without brackets
	ip     netip.Addr // if host is an address
	port   uint16
	listed bool // by the operator, so that private addresses are allowed
}

// Address brings what a user typed into its normal form, scheme://host[:port][/sub/path]: scheme
// and host in lower case, without the scheme's own port, a trailing dot or a trailing slash. The
// normal form of a normal form is itself.
//
// It applies every rule that needs no look-up of a name; [Guard.Guarded] applies them all. What it
// refuses is [problem.AddressRefused], with the reason "scheme" or "malformed", or none for a
// private address, or [problem.PortRefused]. Spaces around the address are dropped. An
// international name must come in its ASCII form (RFC 5890, A-labels).
func (g *Guard) Address(raw string) (string, error) {
	raw = strings.Trim(raw, " ")
	scheme, _, found := strings.Cut(raw, ":")
	if known := strings.ToLower(scheme); !found || known != "http" && known != "https" {
		return "", refused("scheme")
	}
	if len(raw) > MaxAddressLength || strings.ContainsFunc(raw, outsideAddress) {
		return "", refused("malformed")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", refused("malformed")
	}
	path := strings.TrimRight(u.Path, "/")
	if !plainPath(path) {
		return "", refused("malformed")
	}
	to, err := g.target(u)
	if err != nil {
		return "", err
	}
	return to.scheme + "://" + to.authority() + path, nil
}

// outsideAddress says which characters no address holds: all but the letters, digits and marks of
// a scheme, a host, a port and a path. That leaves out userinfo, query, fragment, percent-encoding,
// backslashes, control characters, zones, and whatever else parsers disagree about.
func outsideAddress(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~:/[]", r)
}

// plainPath refuses empty, "." and ".." segments, which could lead out of the sub-path.
func plainPath(path string) bool {
	if path == "" {
		return true
	}
	if strings.ContainsAny(path, ":[]") {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// target reads where u leads and applies the rules that need no look-up. Addresses come before
// ports, so that a private address is told as such whatever the port.
func (g *Guard) target(u *url.URL) (target, error) {
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" {
		return target{}, refused("scheme")
	}
	port := u.Port()
	if port == "" {
		port = strconv.Itoa(int(ownPort(scheme)))
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return target{}, problem.New(problem.PortRefused)
	}
	to, err := g.place(u.Hostname(), uint16(number))
	if err != nil {
		return target{}, err
	}
	if !portAllowed(scheme, to.port) {
		return target{}, problem.New(problem.PortRefused)
	}
	to.scheme = scheme
	return to, nil
}

// place applies the rules for a host that need no look-up.
func (g *Guard) place(host string, port uint16) (target, error) {
	name, ip, ok := normalHost(host)
	if !ok {
		return target{}, refused("malformed")
	}
	to := target{host: name, ip: ip, port: port}
	to.listed = g.listed[to.hostPort()]
	if ip.IsValid() && !g.allowed(ip, to.listed) {
		return target{}, refused("")
	}
	// RFC 6761, 6.3: these names mean this machine, whatever a resolver says.
	if (name == "localhost" || strings.HasSuffix(name, ".localhost")) && !to.listed {
		return target{}, refused("")
	}
	return to, nil
}

// normalHost is a host in lower case without a trailing dot, and its address if it is one. An
// address whose form only some parsers take for an address (127.1, 0x7f.1, 2130706433) is not ok,
// for what it is taken for would depend on who looks.
func normalHost(host string) (name string, ip netip.Addr, ok bool) {
	name = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(name); err == nil {
		zone := ip.Zone()
		ip = ip.Unmap()
		return ip.String(), ip, zone == ""
	}
	if name == "" || len(name) > maxHostLength {
		return "", netip.Addr{}, false
	}
	labels := strings.Split(name, ".")
	if slices.ContainsFunc(labels, badLabel) {
		return "", netip.Addr{}, false
	}
	// The WHATWG URL standard's "ends in a number".
	last := labels[len(labels)-1]
	if strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", netip.Addr{}, false
	}
	return name, netip.Addr{}, true
}

func badLabel(label string) bool {
	return label == "" || len(label) > maxLabelLength ||
		strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
}

// hostPort is the key of the operator's list.
func (t target) hostPort() string {
	return net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
}

func (t target) authority() string {
	if t.port != ownPort(t.scheme) {
		return t.hostPort()
	}
	if t.ip.Is6() {
		return "[" + t.host + "]"
	}
	return t.host
}

func ownPort(scheme string) uint16 {
	if scheme == "https" {
		return 443
	}
	return 80
}

// portAllowed is the port rule of the feature's document, which is squid's default: "Safe_ports"
// over HTTP, "SSL_ports" over HTTPS.
func portAllowed(scheme string, port uint16) bool {
	if scheme == "https" {
		return port == 443
	}
	switch port {
	case 80, 21, 443, 70, 210, 280, 488, 591, 777:
		return true
	}
	return port >= 1025
}

func readListed(entries []string) map[string]bool {
	listed := map[string]bool{}
	for _, entry := range entries {
		host, port, err := net.SplitHostPort(strings.TrimSpace(entry))
		if err != nil {
			continue
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			continue
		}
		if name, ip, ok := normalHost(host); ok {
			listed[target{host: name, ip: ip, port: uint16(number)}.hostPort()] = true
		}
	}
	return listed
}

// refused is the one text for every refused address: it doesn't tell what is there.
func refused(reason string) *problem.Problem {
	return problem.New(problem.AddressRefused).Because(reason)
}
