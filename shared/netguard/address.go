package netguard

import (
	"context"
	"net"
	"net/http"
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
	scheme string     // only of a URL
	host   string     // lower case, without a trailing dot, an IPv6 address without brackets
	ip     netip.Addr // if host is an address
	port   uint16
	listed bool // by the operator, which permits private addresses
}

// Address returns the normal form of an address that a user typed, scheme://host[:port][/sub/path]:
// scheme and host in lower case, without the scheme's default port, a trailing dot or a trailing
// slash. The normal form of a normal form is itself.
//
// It applies every rule that needs no look-up of a name; [Guard.Guarded] applies all rules. A
// refused address is [problem.AddressRefused], with the reason "scheme", "malformed" or
// "international", or none for a private address; a refused port is [problem.PortRefused]. Spaces
// around the address are dropped. An international name must be in its ASCII form (RFC 5890,
// A-labels), which the problem names: it is not converted silently, since names that look alike
// differ in that form only.
func (g *Guard) Address(raw string) (string, error) {
	raw = strings.Trim(raw, " ")
	scheme, _, found := strings.Cut(raw, ":")
	if known := strings.ToLower(scheme); !found || known != "http" && known != "https" {
		return "", refused("scheme")
	}
	if len(raw) > MaxAddressLength {
		return "", refused("malformed")
	}
	if strings.ContainsFunc(raw, outsideAddress) {
		return "", refusedCharacters(raw)
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

// outsideAddress reports whether a character is not allowed in an address. Only the letters, digits
// and marks of a scheme, a host, a port and a path are. That excludes userinfo, query, fragment,
// percent-encoding, backslashes, control characters, zones, and anything else that parsers
// interpret differently.
func outsideAddress(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._~:/[]", r)
}

// refusedCharacters returns the problem of an address with a character that is not allowed. If the
// host is an international name, the problem has its ASCII form.
func refusedCharacters(raw string) *problem.Problem {
	_, host, _ := strings.Cut(raw, "://")
	if end := strings.IndexAny(host, "/:"); end >= 0 {
		host = host[:end]
	}
	ascii := asciiHost(host)
	if ascii == host || !strings.Contains(ascii, "xn--") {
		return refused("malformed")
	}
	if _, _, ok := normalHost(ascii); !ok {
		return refused("malformed")
	}
	return refused("international").With("host", ascii)
}

// asciiHost returns the ASCII form of an international host name (RFC 5891), or host if it has
// none. It asks net/http, which converts the name before it dials, and dials nothing: the tables
// of golang.org/x/net/idna are in every binary already, and a second copy would not fit.
func asciiHost(host string) string {
	ascii := host
	transport := http.Transport{
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			ascii, _, _ = net.SplitHostPort(address)
			return nil, net.ErrClosed
		},
	}
	reply, err := transport.RoundTrip(&http.Request{
		Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: host}, Header: http.Header{},
	})
	if err == nil {
		_ = reply.Body.Close()
	}
	return ascii
}

// plainPath reports whether a path has no empty, "." or ".." segments, which could lead out of the
// sub-path.
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

// target returns the target of u and applies the rules that need no look-up. The address is checked
// before the port, so that a private address is reported as such with any port.
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
	// RFC 6761, 6.3: these names mean this machine, regardless of a resolver.
	if (name == "localhost" || strings.HasSuffix(name, ".localhost")) && !to.listed {
		return target{}, refused("")
	}
	return to, nil
}

// normalHost returns a host in lower case without a trailing dot, and its address if it is one. ok
// is false for a form that only some parsers read as an address (127.1, 0x7f.1, 2130706433),
// because its meaning would depend on the parser.
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

// hostPort returns the key in the operator's list.
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

// portAllowed reports whether the port rule of the feature's document allows the port. It is
// squid's default: "Safe_ports" over HTTP, "SSL_ports" over HTTPS.
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

// refused returns the same text for every refused address, so that it doesn't tell what is there.
func refused(reason string) *problem.Problem {
	return problem.New(problem.AddressRefused).Because(reason)
}
