package caller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// keysLife is how long keys serve before they are fetched again, so that a key that the
	// issuer took away ends here too.
	keysLife = time.Hour
	// retryUnknown is the least time between two fetches while there are keys: tokens with
	// invented key ids are free to make.
	retryUnknown = time.Minute
	// retryEmpty is the same while there are none, and nobody can sign in.
	retryEmpty = 5 * time.Second

	fetchTime   = 5 * time.Second
	longestKeys = 256 << 10
)

var (
	errNoKeys       = errors.New("there are no keys to verify with")
	errUnknownKey   = errors.New("the token is signed with a key that the issuer doesn't list")
	errBadSignature = errors.New("the token's signature is wrong")
)

// algorithms lists what a token may be signed with: none that shares its secret with the
// verifier, or a public key would do as the secret.
func algorithms() []string {
	return []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	}
}

// check is the key set for one token. It keeps the error, which go-oidc turns into text.
type check struct {
	keys *keySet
	done bool
	err  error
}

// VerifySignature is called by go-oidc when the token's form and algorithm are right.
func (c *check) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	var payload []byte
	c.done = true
	payload, c.err = c.keys.verify(ctx, raw)
	return payload, c.err
}

// keySet holds the issuer's public keys. There are no goroutines that keep it fresh, for a
// function is frozen between calls: everything happens in the course of a call.
type keySet struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	keys    []jose.JSONWebKey // never changed, only replaced
	fetched time.Time         // when keys came
	tried   time.Time         // when the last fetch began
	err     error             // how it ended
	running chan struct{}     // closed when the fetch under way has ended; nil: none is
}

func newKeySet(address string, client *http.Client, now func() time.Time) *keySet {
	own := http.Client{}
	if client != nil {
		own = *client
	} else {
		own.Transport = &http.Transport{ // no proxy from the environment
			ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySet{url: address, client: &own, now: now}
}

// verify returns the payload of a token whose signature is right.
//
// A wrong signature with a known key id is final. An unknown key id, or a token that names none,
// may be signed with a key that is newer than ours.
func (s *keySet) verify(ctx context.Context, raw string) ([]byte, error) {
	var allowed []jose.SignatureAlgorithm
	for _, name := range algorithms() {
		allowed = append(allowed, jose.SignatureAlgorithm(name))
	}
	token, err := jose.ParseSignedCompact(raw, allowed)
	if err != nil {
		return nil, errNotSigned
	}
	keys, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := verifyWith(keys, token)
	if err == nil || !errors.Is(err, errUnknownKey) {
		return payload, err
	}
	keys, err = s.newer(ctx, keys)
	if err != nil {
		return nil, err
	}
	return verifyWith(keys, token)
}

func verifyWith(keys []jose.JSONWebKey, token *jose.JSONWebSignature) ([]byte, error) {
	header := token.Signatures[0].Header
	err := errUnknownKey
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		if header.KeyID != "" {
			err = errBadSignature
		}
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, wrong := token.Verify(&key); wrong == nil {
			return payload, nil
		}
	}
	return nil, err
}

// current returns the keys, fetched if there are none or they are old. Old ones go on serving
// when that fails, and for the callers that come while it is under way.
func (s *keySet) current(ctx context.Context) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	fresh := len(s.keys) > 0 && s.now().Sub(s.fetched) < keysLife
	if fresh || (len(s.keys) > 0 && s.running != nil) {
		defer s.mu.Unlock()
		return s.keys, nil
	}
	return s.refetch(ctx)
}

// newer returns the keys after known was not enough.
func (s *keySet) newer(ctx context.Context, known []jose.JSONWebKey) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	if len(s.keys) > 0 && (len(known) == 0 || &s.keys[0] != &known[0]) { // another call was faster
		defer s.mu.Unlock()
		return s.keys, nil
	}
	return s.refetch(ctx)
}

// refetch is called with the lock held and gives it back. It begins a fetch, or joins the one
// under way, or does neither if the last one was too short ago.
func (s *keySet) refetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	pause := retryUnknown
	if len(s.keys) == 0 {
		pause = retryEmpty
	}
	if s.running == nil && (s.tried.IsZero() || s.now().Sub(s.tried) >= pause) {
		s.tried = s.now()
		s.running = make(chan struct{})
		// It is for all who wait, so it doesn't end when the one who began it goes away.
		go s.fetch(context.WithoutCancel(ctx))
	}
	running := s.running
	s.mu.Unlock()
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errNoKeys, ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("%w: %w", errNoKeys, s.err)
	}
	return s.keys, nil
}

func (s *keySet) fetch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	keys, err := s.get(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.keys, s.fetched = keys, s.now()
	}
	s.err = err
	close(s.running)
	s.running = nil
}

// get asks the issuer for its keys (RFC 7517, 5). A set without a usable key is an error, so that
// a broken answer doesn't drive out the keys that work.
func (s *keySet) get(ctx context.Context) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("the address of the issuer's keys is no address")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "Bindery")
	reply, err := s.client.Do(request)
	if err != nil {
		var outer *url.Error // which prints the address with its query
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, fmt.Errorf("fetching the issuer's keys: %w", err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the issuer's keys: status %d", reply.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(reply.Body, longestKeys+1))
	if err != nil {
		return nil, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	if len(body) > longestKeys {
		return nil, fmt.Errorf("the issuer's keys are longer than %d bytes", longestKeys)
	}
	return parseKeys(body)
}

// parseKeys keeps the public keys that sign. Kinds of keys that we don't know are passed over, as
// RFC 7517, 5 asks, and so is one that is broken: the others still work.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("the issuer's keys are not a JSON Web Key Set")
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil || !key.IsPublic() || key.Use == "enc" {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer lists no key that can be used")
	}
	return keys, nil
}
