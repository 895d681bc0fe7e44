package delivery_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// forge is a platform whose deliveries say just what a [provider.Delivery] does. It signs them, or
// sends the secret itself.
type forge struct {
	provider.Platform // none of its other methods is called, nor of the next
	provider.WebhookPlatform

	mu       sync.Mutex
	heads    map[string]string // "heads/main" -> commit
	merges   map[string]provider.Change
	down     error
	noMerges error        // the answer to questions about merge requests
	refuse   func() error // if set, may refuse a question about a ref
	asked    int
	verified []secret.Text
	// answered, if set, is called before a question is answered.
	answered func()
}

const forgeName = "forge"

func (f *forge) registration() provider.Registration {
	return provider.Registration{
		Name: forgeName, New: func(provider.Environment) provider.Platform { return f },
	}
}

func (f *forge) Describe() provider.Description {
	return provider.Description{Name: forgeName, Title: "Forge", Method: provider.ByToken}
}

func (f *forge) set(ref, commit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads[ref] = commit
}

func (f *forge) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *forge) Commit(
	_ context.Context, cred provider.Credential, id, ref string,
) (provider.Commit, error) {
	if f.answered != nil {
		f.answered()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.refuse != nil {
		if err := f.refuse(); err != nil {
			return provider.Commit{}, err
		}
	}
	switch hash := f.heads[ref]; {
	case f.down != nil:
		return provider.Commit{}, f.down
	case cred.Access.Reveal() != forgeToken || id != repositoryID:
		return provider.Commit{}, problem.New(problem.RepositoryUnknown)
	case hash == "":
		return provider.Commit{}, problem.New(problem.RefUnknown)
	default:
		return provider.Commit{Hash: hash, Message: "Title of " + hash + "\n\nmore"}, nil
	}
}

func (f *forge) MergeRequest(
	_ context.Context, _ provider.Credential, _, number string,
) (provider.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	change, ok := f.merges[number]
	switch {
	case f.down != nil:
		return provider.Change{}, f.down
	case f.noMerges != nil:
		return provider.Change{}, f.noMerges
	case !ok:
		return provider.Change{}, problem.New(problem.RefUnknown)
	}
	return change, nil
}

func (f *forge) SentToken(header http.Header) (token secret.Text, sent bool) {
	return secret.New(header.Get("X-Token")), header.Get("X-Signature") == ""
}

func (f *forge) Delivery(in provider.DeliveryRequest) (d provider.Delivery, err error) {
	f.mu.Lock()
	f.verified = append(f.verified, in.Secret)
	f.mu.Unlock()
	signature := in.Header.Get("X-Signature")
	d.Confirmed = signature != ""
	if d.Confirmed || in.Signed {
		if !hmac.Equal([]byte(signature), []byte(sign(in.Secret, in.Body))) {
			return provider.Delivery{}, provider.ErrNotAuthentic
		}
	} else if token, _ := f.SentToken(in.Header); !in.Secret.Equal(token) {
		return provider.Delivery{}, provider.ErrNotAuthentic
	}
	confirmed := d.Confirmed
	if json.Unmarshal(in.Body, &d) != nil {
		return provider.Delivery{}, provider.ErrNotADelivery
	}
	d.Confirmed = confirmed
	return d, nil
}

func sign(key secret.Text, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// signed returns a request with a signature, unsigned one with the secret itself.
func signed(key secret.Text, d provider.Delivery) (http.Header, []byte) {
	body, _ := json.Marshal(d)
	return http.Header{"X-Signature": {sign(key, body)}}, body
}

func unsigned(key secret.Text, d provider.Delivery) (http.Header, []byte) {
	body, _ := json.Marshal(d)
	return http.Header{"X-Token": {key.Reveal()}}, body
}

// testDelivery is a delivery that a user asked for to see whether one arrives.
func testDelivery(id string) provider.Delivery { return provider.Delivery{ID: id, Test: true} }
