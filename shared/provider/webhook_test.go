package provider

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"testing"

	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// The address and the secret of the tests' webhooks.
const (
	hookURL    = "https://bindery.example/v1/hooks/x/0123456789abcdef0123456789abcdef"
	hookSecret = "canary-hook-secret-43-letters-of-base64url0"
)

func wantedHook() WebhookParams {
	return WebhookParams{
		URL: hookURL, Secret: secret.New(hookSecret), Push: true, Tag: true, Merge: true,
	}
}

// hooks returns the webhooks of a platform that calls the site, and a credential for it.
func (s *tokenSite) hooks(name string) (WebhookPlatform, Credential) {
	p, _ := s.platforms().Get(name)
	platform, _ := WebhooksOf(p)
	return platform, Credential{
		Access: secret.New(canaryToken), Address: s.URL, Organization: "o1",
	}
}

// recordBodies returns what the site is sent from now on, by method and path.
func (s *tokenSite) recordBodies() map[string]string {
	bodies := map[string]string{}
	s.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		bodies[r.Method+" "+r.URL.EscapedPath()] = string(body)
		return false
	}
	return bodies
}

// signatures are the headers of the platforms that sign a delivery's body, in hex.
var signatures = map[string]struct{ signature, event, id string }{
	GitHub:    {"X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery"},
	Bitbucket: {"X-Hub-Signature", "X-Event-Key", "X-Request-UUID"},
}

// signedDelivery returns a delivery with the platform's headers and the right signature.
func signedDelivery(platform, event, body string) DeliveryRequest {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	names, header := signatures[platform], http.Header{}
	header.Set(names.signature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
	header.Set(names.event, event)
	header.Set(names.id, "0b989ba4-242f-11e5-81e1-c7b6966d2516")
	return DeliveryRequest{
		Header: header, Body: []byte(body), Secret: secret.New(hookSecret), Signed: true, Now: noon,
	}
}

// deliverSigned has a platform read a delivery with the right signature.
func deliverSigned(t *testing.T, platform, event, body string) (Delivery, error) {
	t.Helper()
	p, _ := testSet().Get(platform)
	hooks, _ := WebhooksOf(p)
	return hooks.Delivery(signedDelivery(platform, event, body))
}

func TestMatches(t *testing.T) {
	good := Webhook{ID: "1", URL: hookURL, Push: true, Tag: true, Merge: true, Active: true}
	testkit.Want(t, "what is wanted", good.Matches(wantedHook()), true)
	fewer := wantedHook()
	fewer.Merge, fewer.Tag = false, false
	testkit.Want(t, "more than is wanted", good.Matches(fewer), true)
	for name, change := range map[string]func(*Webhook){
		"another address":    func(w *Webhook) { w.URL += "0" },
		"no pushes":          func(w *Webhook) { w.Push = false },
		"no tags":            func(w *Webhook) { w.Tag = false },
		"no merges":          func(w *Webhook) { w.Merge = false },
		"disabled":           func(w *Webhook) { w.Active = false },
		"sent otherwise":     func(w *Webhook) { w.Altered = true },
		"without its secret": func(w *Webhook) { w.SecretMissing = true },
	} {
		hook := good
		change(&hook)
		testkit.Want(t, name, hook.Matches(wantedHook()), false)
	}
}

func TestE1_ADeliveryWithoutTheRightSignatureIsRefused(t *testing.T) {
	const body = `{"zen":"x","hook_id":1}`
	for platform, names := range signatures {
		p, _ := testSet().Get(platform)
		hooks, _ := WebhooksOf(p)
		right := signedDelivery(platform, "ping", body)
		if _, err := hooks.Delivery(right); err != nil {
			t.Fatalf("%s: the right signature gives %v", platform, err)
		}
		signature := right.Header.Get(names.signature)
		for name, forge := range map[string]func(*DeliveryRequest){
			"none":      func(in *DeliveryRequest) { in.Header.Del(names.signature) },
			"empty":     func(in *DeliveryRequest) { in.Header.Set(names.signature, "") },
			"only how":  func(in *DeliveryRequest) { in.Header.Set(names.signature, "sha256=") },
			"no how":    func(in *DeliveryRequest) { in.Header.Set(names.signature, signature[7:]) },
			"shortened": func(in *DeliveryRequest) { in.Header.Set(names.signature, signature[:69]) },
			"longer":    func(in *DeliveryRequest) { in.Header.Set(names.signature, signature+"00") },
			"no hex": func(in *DeliveryRequest) {
				in.Header.Set(names.signature, "sha256="+string(bytes.Repeat([]byte("z"), 64)))
			},
			"one digit": func(in *DeliveryRequest) {
				last := map[bool]string{true: "1", false: "0"}[signature[70] == '0']
				in.Header.Set(names.signature, signature[:70]+last)
			},
			"another secret": func(in *DeliveryRequest) { in.Secret = secret.New("another") },
			"another body":   func(in *DeliveryRequest) { in.Body = append(in.Body, ' ') },
			"no secret is known": func(in *DeliveryRequest) {
				empty := hmac.New(sha256.New, nil)
				empty.Write(in.Body)
				in.Header.Set(names.signature, "sha256="+hex.EncodeToString(empty.Sum(nil)))
				in.Secret = secret.Text{}
			},
		} {
			in := right
			in.Header = right.Header.Clone()
			in.Body = bytes.Clone(right.Body)
			forge(&in)
			d, err := hooks.Delivery(in)
			testkit.Want(t, platform+", "+name, err, ErrNotAuthentic)
			testkit.WantEqual(t, platform+", "+name+", what is told", d, Delivery{})
		}
	}
}

func TestE6_AnotherHeaderIsNoSignature(t *testing.T) {
	for platform, names := range signatures {
		p, _ := testSet().Get(platform)
		hooks, _ := WebhooksOf(p)
		right := signedDelivery(platform, "ping", `{}`)
		for _, name := range []string{
			"X-Hub-Signature", "X-Hub-Signature-256", "X-Gitlab-Token", "X-Gitee-Token",
			"X-Codeup-Token", "Webhook-Signature", "Authorization",
		} {
			in := right
			in.Header = right.Header.Clone()
			value := in.Header.Get(names.signature)
			in.Header.Del(names.signature)
			if name == names.signature { // a wrong one, with the secret as a token
				value = "sha256=" + hex.EncodeToString(make([]byte, sha256.Size))
			}
			in.Header.Set(name, value)
			in.Header.Set("X-Gitlab-Token", hookSecret)
			in.Signed = false
			_, err := hooks.Delivery(in)
			testkit.Want(t, platform+", "+name, err, ErrNotAuthentic)
		}
	}
}

func TestE7_NothingOfABodyIsReadBeforeItsSignature(t *testing.T) {
	deep := string(bytes.Repeat([]byte(`{"a":[`), 1<<19))
	for platform, names := range signatures {
		p, _ := testSet().Get(platform)
		hooks, _ := WebhooksOf(p)
		in := signedDelivery(platform, "push", deep)
		_, err := hooks.Delivery(in)
		wantNotADelivery(t, platform+", signed", err)
		in.Header.Del(names.signature)
		_, err = hooks.Delivery(in)
		testkit.Want(t, platform+", not signed", err, ErrNotAuthentic)
	}
}
