package envelope

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"sync"
	"time"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// The limits of a data key.
const (
	// MaxSeals is how many values a data key seals: far fewer than a random nonce is safe for.
	MaxSeals = 1000
	// KeyTTL is how long a data key is used that is in memory. The next call after that drops it.
	KeyTTL = 5 * time.Minute
	// maxOpened is how many data keys a process has in memory.
	maxOpened = 1000
)

// KeySize is the length of a data key in bytes. 32 bytes select AES-256.
const KeySize = 32

// Wrapper wraps data keys with the keys of a key service, which names them. The first of its keys
// wraps; all of them unwrap. Its methods may be called at once from many goroutines. No error
// shows a data key.
type Wrapper interface {
	// Current returns the name of the key that wraps.
	Current() string
	// NewDataKey returns a new data key of [KeySize] bytes, and the same wrapped by the current key.
	NewDataKey(ctx context.Context) (dataKey secret.Text, wrapped []byte, err error)
	// Unwrap returns a data key that the key with this name has wrapped. The name comes from a row:
	// one that is not among the wrapper's own keys is refused.
	Unwrap(ctx context.Context, key string, wrapped []byte) (secret.Text, error)
}

// sealed is one generation of a secret.
type sealed struct {
	Generation int `json:"generation"`
	// Owner is whose the value is.
	Owner string `json:"owner,omitempty"`
	// WrappedBy names the key that has wrapped the data key, and Wrapped is that data key.
	WrappedBy string `json:"wrappedBy"`
	Wrapped   []byte `json:"wrapped"`
	// Value is the nonce and the sealed value.
	Value []byte `json:"value"`
}

// associated returns the data that a value is bound to. A name has a fixed length and a generation
// has digits only, so no two have the same data.
func (s sealed) associated(name vault.SecretName) []byte {
	return fmt.Appendf(nil, "%s|%d|%s", name, s.Generation, s.Owner)
}

func (v *Vault) seal(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) (sealed, error) {
	key, err := v.keys.forSealing(ctx)
	if err != nil {
		return sealed{}, err
	}
	s := sealed{
		Generation: generation, Owner: v.owner(value), WrappedBy: key.wrappedBy, Wrapped: key.wrapped,
	}
	s.Value = key.aead.Seal(nil, nil, []byte(value.Reveal()), s.associated(name))
	return s, nil
}

func (v *Vault) open(
	ctx context.Context, name vault.SecretName, s sealed,
) (secret.Text, error) {
	key, err := v.keys.forOpening(ctx, s.WrappedBy, s.Wrapped)
	if err != nil {
		return secret.Text{}, err
	}
	value, err := key.aead.Open(nil, nil, s.Value, s.associated(name))
	if err != nil {
		return secret.Text{}, errors.New("the row was damaged or moved")
	}
	return secret.New(string(value)), nil
}

// dataKey is a data key in memory.
type dataKey struct {
	aead      cipher.AEAD
	wrappedBy string
	wrapped   []byte
	until     time.Time
}

// dataKeys has the data keys that are in memory.
type dataKeys struct {
	wrapper Wrapper
	now     func() time.Time

	mu     sync.Mutex // guards what follows
	opened map[keyID]*dataKey
	// forgetAt is when the time of the first of them is over, or earlier.
	forgetAt time.Time
	// sealing is the key that seals, nil at first, and seals is how often it has.
	sealing *dataKey
	seals   int
}

// keyID tells data keys apart.
type keyID struct{ wrappedBy, wrapped string }

func newDataKeys(wrapper Wrapper, now func() time.Time) *dataKeys {
	return &dataKeys{wrapper: wrapper, now: now, opened: map[keyID]*dataKey{}}
}

// forSealing returns the key for one value. It asks for a new one if there is none, or if it has
// sealed enough. Of callers that ask at once each gets a key of its own; the last one stays.
func (d *dataKeys) forSealing(ctx context.Context) (*dataKey, error) {
	d.mu.Lock()
	d.forget()
	key := d.sealing
	usable := key != nil && d.seals < MaxSeals
	if usable {
		d.seals++
	}
	d.mu.Unlock()
	if usable {
		return key, ctx.Err()
	}
	plain, wrapped, err := d.wrapper.NewDataKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("making a data key: %w", err)
	}
	if key, err = d.keep(d.wrapper.Current(), wrapped, plain); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sealing, d.seals = key, 1
	return key, nil
}

// forOpening returns a data key that a row has.
func (d *dataKeys) forOpening(
	ctx context.Context, wrappedBy string, wrapped []byte,
) (*dataKey, error) {
	d.mu.Lock()
	d.forget()
	key, ok := d.opened[keyID{wrappedBy, string(wrapped)}]
	d.mu.Unlock()
	if ok {
		return key, nil
	}
	plain, err := d.wrapper.Unwrap(ctx, wrappedBy, wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrapping a data key: %w", err)
	}
	return d.keep(wrappedBy, wrapped, plain)
}

// forget drops the data keys whose time is over. Its caller has locked d.mu.
func (d *dataKeys) forget() {
	now := d.now()
	if now.Before(d.forgetAt) {
		return
	}
	d.forgetAt = now.Add(KeyTTL)
	for id, key := range d.opened {
		if !now.Before(key.until) {
			delete(d.opened, id)
		} else if key.until.Before(d.forgetAt) {
			d.forgetAt = key.until
		}
	}
	if d.sealing != nil && !now.Before(d.sealing.until) {
		d.sealing = nil
	}
}

// keep puts a data key into memory. If it has too many, it drops them.
func (d *dataKeys) keep(
	wrappedBy string, wrapped []byte, plain secret.Text,
) (*dataKey, error) {
	if len(plain.Reveal()) != KeySize {
		return nil, errors.New("the key service's data key has another length than was asked for")
	}
	block, err := aes.NewCipher([]byte(plain.Reveal()))
	if err != nil {
		return nil, errors.New("the data key can't be used")
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, errors.New("the data key can't be used")
	}
	key := &dataKey{aead, wrappedBy, wrapped, d.now().Add(KeyTTL)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.opened) >= maxOpened {
		clear(d.opened)
	}
	d.opened[keyID{wrappedBy, string(wrapped)}] = key
	return key, nil
}
