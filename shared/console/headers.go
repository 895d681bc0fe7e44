package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// protect sets the headers of every reply, also of a 404.
func protect(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// The page's address may contain an authorization's confirmation code, or the issuer's code,
	// for a moment.
	h.Set("Referrer-Policy", "no-referrer")
	// A window of another site that opened the page, or that the page opened, has no handle on it.
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// policy returns the page's Content-Security-Policy (CSP Level 3). Scripts and styles are only the
// embedded files, and no script may build HTML from text. Avatars may come from any https address,
// with the sandbox also over http.
func (o Options) policy() string {
	connect := sources("'self'", o.PublicURL)
	if !o.Dev {
		connect = sources("'self'", o.PublicURL, o.Issuer)
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src " + sources("'self'", "https:", "data:", o.SandboxURL),
		"connect-src " + connect,
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}

// sources lists each source once; for an address, its origin. An address without an origin is left
// out.
func sources(all ...string) string {
	var list []string
	for _, source := range all {
		if strings.Contains(source, "://") {
			source = origin(source)
		}
		if source != "" && !slices.Contains(list, source) {
			list = append(list, source)
		}
	}
	return strings.Join(list, " ")
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Host, ";, ") {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
