package smtest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// The form of a signature of version 4, from AWS's page "Signing requests".
var (
	authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 ` +
		`Credential=[^/,\s]+/(\d{8})/[a-z0-9-]+/secretsmanager/aws4_request, ?` +
		`SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$`)
	signedAt = regexp.MustCompile(`^(\d{8})T\d{6}Z$`)
)

// wellFormed returns nil for a request that the service would process further.
func wellFormed(r *http.Request, known bool) error {
	if r.Method != http.MethodPost || r.URL.Path != "/" || !known ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return failure{"UnknownOperationException", ""}
	}
	if r.Header.Get("Authorization") == "" {
		return failure{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	signed := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	date := signedAt.FindStringSubmatch(r.Header.Get("X-Amz-Date"))
	if signed == nil || date == nil || signed[1] != date[1] || !covers(r, signed[2]) {
		return failure{"IncompleteSignatureException", "the signature isn't of the right form"}
	}
	return nil
}

// covers reports whether the list of signed headers is sorted, names only headers that exist, and
// includes those that a signature must cover.
func covers(r *http.Request, list string) bool {
	names := strings.Split(list, ";")
	for _, name := range names {
		if name != "host" && r.Header.Get(name) == "" {
			return false
		}
	}
	return slices.IsSorted(names) && slices.Contains(names, "host") &&
		slices.Contains(names, "x-amz-date") && slices.Contains(names, "x-amz-target")
}
