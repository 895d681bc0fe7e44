package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// protect sets what every reply carries, 404s too.
func protect(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// The page's address may hold an authorization's finish, or the issuer's code, for a moment.
	h.Set("Referrer-Policy", "no-referrer")
	// A window that a stranger opened, or that opened a stranger, holds no handle on the page.
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// policy is the page's Content-Security-Policy (CSP Level 3). Scripts and styles are the embedded
// files and nothing else, and no script may build HTML out of text. Avatars come from anywhere
// over https, the sandbox's over http too.
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

// sources lists each source once; of an address, its origin. What has none is left out.
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
