package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"bindery/shared/cache"
)

const (
	// keysTTL is the age from which the keys are fetched again, so that a key that the issuer has
	// withdrawn stops working here too.
	keysTTL = time.Hour
	// retryInterval is the least time between two fetches while there are keys: anyone can make
	// tokens with invented key ids.
	retryInterval = time.Minute
	// retryEmptyInterval is the least time between two fetches while there are none and no user can
	// sign in.
	retryEmptyInterval = 5 * time.Second

	fetchTimeout  = 5 * time.Second
	maxKeysLength = 256 << 10
)

var (
	errUnknownKey   = errors.New("the token is signed with a key that the issuer doesn't list")
	errBadSignature = errors.New("the token's signature is wrong")
)

// algorithms are the signature algorithms of accepted tokens. A symmetric one would let anyone sign
// with the public key as the secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// keySet has the issuer's public keys.
type keySet struct {
	document *cache.Remote[[]jose.JSONWebKey]
}

func newKeySet(address string, client *http.Client, now func() time.Time) *keySet {
	get := cache.Web(address, client, maxKeysLength)
	return &keySet{cache.New(func(ctx context.Context) ([]jose.JSONWebKey, error) {
		body, err := get(ctx)
		if err != nil {
			return nil, fmt.Errorf("the issuer's keys: %w", err)
		}
		return parseKeys(body)
	}, cache.Policy{
		TTL: keysTTL, RetryInterval: retryInterval, RetryEmptyInterval: retryEmptyInterval,
		Timeout: fetchTimeout, Now: now,
	})}
}

// verify returns the payload of a token with a valid signature, and the version of the keys that it
// was verified with.
//
// An invalid signature with a known key id is final. A token with an unknown key id or without one
// may be signed with a key that is newer than the known ones.
func (s *keySet) verify(
	ctx context.Context, token *jose.JSONWebSignature,
) (payload []byte, version int, err error) {
	keys, version, err := s.document.Current(ctx)
	if err != nil {
		return nil, 0, err
	}
	payload, err = verifyWith(keys, token)
	if err == nil || !errors.Is(err, errUnknownKey) {
		return payload, version, err
	}
	keys, version, err = s.document.Newer(ctx, version)
	if err != nil {
		return nil, 0, err
	}
	payload, err = verifyWith(keys, token)
	return payload, version, err
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

// parseKeys returns the public keys for signatures; a set without any is an error. It ignores keys
// of unknown kinds, as RFC 7517, 5 requires, and broken keys: the others still work.
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
