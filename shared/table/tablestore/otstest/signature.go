package otstest

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// clockSkew is how far a request's time may be off.
const clockSkew = 15 * time.Minute

func unauthorized(message string) error {
	return failure{http.StatusForbidden, "OTSAuthFailed", message}
}

func invalid(message string) error {
	return failure{http.StatusBadRequest, "OTSParameterInvalid", message}
}

// expected are the credentials that a request must be signed with. It is called with the lock held.
func (s *Service) expected(r *http.Request) (id, key, token string) {
	id = r.Header.Get("x-ots-accesskeyid")
	if s.known != nil {
		if key, token, ok := s.known(id); ok {
			return id, key, token
		}
	}
	return s.options.ID, s.options.Key, s.options.Token
}

// signed is nil for a request that is well-formed and signed with credentials that are known; see
// the service's page "HTTP requests".
func (s *Service) signed(r *http.Request, body []byte) error {
	sum := md5.Sum(body)
	date, _, _ := strings.Cut(r.Header.Get("x-ots-date"), ".")
	at, err := time.Parse("2006-01-02T15:04:05", date)
	id, key, token := s.expected(r)
	switch {
	case r.Method != http.MethodPost || r.URL.RawQuery != "":
		return failure{http.StatusMethodNotAllowed, "OTSMethodNotAllowed", "Only POST is supported."}
	case r.Header.Get("x-ots-apiversion") != "2015-12-31":
		return invalid("another version of the interface")
	case r.Header.Get("x-ots-contentmd5") != base64.StdEncoding.EncodeToString(sum[:]):
		return failure{http.StatusForbidden, "OTSAuthFailed", "Mismatch of the body's MD5."}
	case err != nil || time.Since(at).Abs() > clockSkew:
		return unauthorized("Mismatch between system time and x-ots-date.")
	case r.Header.Get("x-ots-instancename") != s.options.Instance:
		return unauthorized("The instance is not found.")
	case r.Header.Get("x-ots-accesskeyid") != id:
		return unauthorized("The AccessKeyID does not exist.")
	case r.Header.Get("x-ots-ststoken") != token:
		return unauthorized("The security token is not valid.")
	}
	var names []string
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-ots-") && name != "x-ots-signature" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	text := r.URL.Path + "\nPOST\n\n"
	for _, name := range names {
		text += name + ":" + strings.TrimSpace(r.Header.Get(name)) + "\n"
	}
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(text))
	if r.Header.Get("x-ots-signature") != base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		return unauthorized("Signature mismatch.")
	}
	return nil
}
