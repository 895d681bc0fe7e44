package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"bindery/shared/problem"
)

// permittable is what an operator's entry can permit: addresses that servers of a private network
// really have. It is a list of what is allowed, so that any other kind of address stays refused.
var permittable = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),     // RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),  // RFC 6598; VPCs use it too
	netip.MustParsePrefix("127.0.0.0/8"),    // a laptop
	netip.MustParsePrefix("172.16.0.0/12"),  // RFC 1918
	netip.MustParsePrefix("192.168.0.0/16"), // RFC 1918
	netip.MustParsePrefix("198.18.0.0/15"),  // RFC 2544; some VPNs assign names an address from here
	netip.MustParsePrefix("::1/128"),        // a laptop
	netip.MustParsePrefix("fc00::/7"),       // RFC 4193
}

// metadata is what is always refused: the services where clouds hand out the machine's own
// credentials. The well-known 169.254.169.254 is link-local, which no entry can permit.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure; looks public
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: ::254 metadata, ::23 pod identity
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
}

// allowed reports whether a connection may be made to ip. An address is public if IANA's
// special-purpose registries don't list it. IPv4 inside IPv6 (NAT64, 6to4, Teredo, compatible) is
// refused completely.
func (g *Guard) allowed(ip netip.Addr, listed bool) bool {
	// A zone means a link of this machine, and no prefix contains an address with a zone.
	if ip.Zone() != "" {
		return false
	}
	ip = ip.Unmap()
	if within(ip, metadata) {
		return false
	}
	return g.public.SafeAddr(ip) == nil || listed && within(ip, permittable)
}

func within(ip netip.Addr, prefixes []netip.Prefix) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// lookup returns the addresses of a target, all of them checked. If one of them is refused, the
// name is refused: with one public and one private record, chance would decide which one is
// dialled.
func (g *Guard) lookup(ctx context.Context, to target) ([]netip.Addr, error) {
	found := []netip.Addr{to.ip}
	if !to.ip.IsValid() {
		var err error
		if found, err = g.resolve(ctx, to.host); err != nil {
			return nil, nowhere(lookupCause(err))
		}
	}
	if len(found) == 0 {
		return nil, nowhere(errors.New("the name has no address"))
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, ip := range found {
		if !g.allowed(ip, to.listed) {
			return nil, nowhere(fmt.Errorf("the name resolves to %s", ip))
		}
		addrs = append(addrs, ip.Unmap()) // the system's resolver returns IPv4 in its mapped form
	}
	return addrs, nil
}

// nowhere returns the same problem for a name that doesn't exist and for a name of a private
// address, so that nothing tells which names a private network has. Only the cause differs. It does
// not hold the name, in whose place a user may have typed a token.
func nowhere(cause error) *problem.Problem {
	return problem.New(problem.PlatformUnreachable).Because("dns").From(cause)
}

// lookupCause returns a resolver's error for the log, without the name.
func lookupCause(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		unnamed := *dns
		unnamed.Name = "the name"
		err = &unnamed
	}
	return cause(err)
}

// dialGuarded looks the name up once and dials one of the checked addresses.
func (g *Guard) dialGuarded(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("netguard: splitting the address: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("netguard: reading the port: %w", err)
	}
	to, err := g.place(host, uint16(number))
	if err != nil {
		return nil, err
	}
	addrs, err := g.lookup(ctx, to)
	if err != nil {
		return nil, err
	}
	return g.connect(ctx, network, netip.AddrPortFrom(pick(addrs), to.port), to.listed)
}

// pick prefers IPv4, because functions have no outgoing IPv6 unless an operator has set it up.
func pick(addrs []netip.Addr) netip.Addr {
	for _, ip := range addrs {
		if ip.Is4() {
			return ip
		}
	}
	return addrs[0]
}

// connect dials a checked address. The dialer checks it again just before it connects: this is the
// address that is really used.
func (g *Guard) connect(ctx context.Context, network string, to netip.AddrPort, listed bool) (
	net.Conn, error,
) {
	if g.dial != nil {
		return g.dial(ctx, network, to.String())
	}
	dialer := &net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("netguard: reading the address to connect to: %w", err)
		}
		if at.Port() != to.Port() || !g.allowed(at.Addr(), listed) {
			return refused("").From(fmt.Errorf("about to connect to %s", at))
		}
		return nil
	}}
	return dialer.DialContext(ctx, network, to.String())
}

// dialTrusted dials what the operator configured: an endpoint, or the egress proxy.
func (g *Guard) dialTrusted(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if g.dial != nil {
		return g.dial(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}
