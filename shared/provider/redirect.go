package provider

import (
	"net/http"
	"net/url"
	"strings"
)

// movedNearby reports whether a redirect leads to the same platform at a better address: from http
// to https, or to a sub-path of the same host. A user who is asked to type another address would
// send the token to another server.
//
// A sign-in page in front of the platform redirects too, often to a path of the same host, and
// sends the page to return to in the query.
func movedNearby(from *url.URL, resp *http.Response) bool {
	to, err := resp.Location() // resolved against the request's address
	if err != nil || to.User != nil || to.RawQuery != from.RawQuery || to.Fragment != "" {
		return false
	}
	sameOrigin := to.Scheme == from.Scheme && strings.EqualFold(to.Host, from.Host)
	toTLS := from.Scheme == "http" && to.Scheme == "https" && to.Port() == "" &&
		strings.EqualFold(to.Hostname(), from.Hostname())
	return (sameOrigin || toTLS) && !signInPath(strings.TrimSuffix(to.Path, from.Path))
}

// signInPath reports whether a path looks like a sign-in or challenge page's.
func signInPath(path string) bool {
	path = strings.ToLower(path)
	for _, word := range []string{
		"sign", "log", "auth", "sso", "saml", "oidc", "openid", "session", "idp", "adfs", "cas",
		"captcha", "challenge", "cdn-cgi", "verif", "portal", "account", "users", "password",
		"consent", "realms", "blocked", "denied",
	} {
		if strings.Contains(path, word) {
			return true
		}
	}
	return false
}
