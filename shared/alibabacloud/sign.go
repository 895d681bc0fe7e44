package alibabacloud

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const algorithm = "ACS3-HMAC-SHA256"

// Sign adds the headers by which a service verifies the caller and that the request is unchanged
// and new: the cloud's signature of version 3, over the path, the host, the content type and all
// x-acs headers. The query must be in the form that [canonical] produces. Sign is exported for
// services whose interface differs from [Client]'s; X-Acs-Action and X-Acs-Version must be set
// before.
//
// Source: the cloud's page "V3 request body and signature method". Tests compare the signature with
// the vendor's own code.
func Sign(request *http.Request, body string, as Credentials, at time.Time) {
	sum := hexSum(body)
	request.Header.Set("X-Acs-Content-Sha256", sum)
	request.Header.Set("X-Acs-Date", at.UTC().Format("2006-01-02T15:04:05Z"))
	request.Header.Set("X-Acs-Signature-Nonce", rand.Text())
	if !as.Token.Empty() {
		request.Header.Set("X-Acs-Accesskey-Id", as.ID)
		request.Header.Set("X-Acs-Security-Token", as.Token.Reveal())
	}

	headers := map[string]string{"host": request.URL.Host}
	names := []string{"host"}
	for name := range request.Header {
		lower := strings.ToLower(name)
		if lower == "content-type" || strings.HasPrefix(lower, "x-acs-") {
			headers[lower] = strings.TrimSpace(request.Header.Get(name))
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	var text strings.Builder
	text.WriteString(request.Method + "\n" + request.URL.EscapedPath() + "\n" +
		request.URL.RawQuery + "\n")
	for _, name := range names {
		text.WriteString(name + ":" + headers[name] + "\n")
	}
	signed := strings.Join(names, ";")
	text.WriteString("\n" + signed + "\n" + sum)

	mac := hmac.New(sha256.New, []byte(as.Key.Reveal()))
	mac.Write([]byte(algorithm + "\n" + hexSum(text.String())))
	request.Header.Set("Authorization", algorithm+" Credential="+as.ID+
		",SignedHeaders="+signed+",Signature="+hex.EncodeToString(mac.Sum(nil)))
}

// canonical returns a query as it is signed: sorted by name, a space as %20.
func canonical(query url.Values) string { return strings.ReplaceAll(query.Encode(), "+", "%20") }

func hexSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
