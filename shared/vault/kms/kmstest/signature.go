package kmstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// authorization is how a request is signed; see the cloud's page "V3 request body and signature
// method".
var authorization = regexp.MustCompile(
	`^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$`,
)

// clockSkew is how far a request's time may be off.
const clockSkew = 15 * time.Minute

// mustSign are the headers that a signature must cover.
func mustSign() []string {
	return []string{
		"content-type", "host", "x-acs-action", "x-acs-content-sha256", "x-acs-date",
		"x-acs-security-token", "x-acs-signature-nonce", "x-acs-version",
	}
}

func badRequest(message string) error {
	return failure{http.StatusBadRequest, "InvalidParameter", message}
}

// signed is nil for a request that is well-formed and signed with the service's credentials.
func (s *Service) signed(r *http.Request, body []byte) error {
	at, err := time.Parse("2006-01-02T15:04:05Z", r.Header.Get("X-Acs-Date"))
	nonce := r.Header.Get("X-Acs-Signature-Nonce")
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/":
		return failure{http.StatusNotFound, "InvalidAction.NotFound", "not an operation's address"}
	case r.URL.RawQuery != "":
		return badRequest("this pretend service takes no parameter in the address")
	case r.Header.Get("X-Acs-Version") != "2016-01-20":
		return badRequest("another version of the interface")
	case err != nil || time.Since(at).Abs() > clockSkew:
		return failure{http.StatusBadRequest, "IllegalTimestamp", "the time is missing or off"}
	case len(nonce) < 16 || s.nonces[nonce]:
		return failure{http.StatusBadRequest, "SignatureNonceUsed", "no nonce, or a used one"}
	case r.Header.Get("X-Acs-Content-Sha256") != hexSum(body):
		return badRequest("the body isn't what was signed")
	case r.Header.Get("X-Acs-Security-Token") != s.options.Token:
		return failure{
			http.StatusBadRequest, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.",
		}
	}
	s.nonces[nonce] = true
	return s.rightSignature(r)
}

func (s *Service) rightSignature(r *http.Request) error {
	parts := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if parts == nil {
		return failure{http.StatusBadRequest, "IncompleteSignature", "no signature, or another kind"}
	}
	if parts[1] != s.options.ID {
		return failure{
			http.StatusNotFound, "InvalidAccessKeyId.NotFound", "The AccessKey ID does not exist.",
		}
	}
	names := strings.Split(parts[2], ";")
	for _, name := range mustSign() {
		needed := name != "x-acs-security-token" || s.options.Token != ""
		if needed && !slices.Contains(names, name) {
			return failure{http.StatusBadRequest, "IncompleteSignature", name + " isn't signed"}
		}
	}
	var canonical strings.Builder
	canonical.WriteString("POST\n/\n\n")
	for _, name := range names {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	canonical.WriteString("\n" + parts[2] + "\n" + r.Header.Get("X-Acs-Content-Sha256"))
	mac := hmac.New(sha256.New, []byte(s.options.Key))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hexSum([]byte(canonical.String()))))
	if hex.EncodeToString(mac.Sum(nil)) != parts[3] {
		return failure{http.StatusBadRequest, "SignatureDoesNotMatch", "The signature does not match."}
	}
	return nil
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
