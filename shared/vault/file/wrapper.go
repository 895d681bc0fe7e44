package file

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"bindery/shared/secret"
)

// Wrapper wraps data keys with keys of this machine, in place of a key service. Create one with
// [NewWrapper].
type Wrapper struct {
	current string
	aeads   map[string]cipher.AEAD
}

// NewWrapper returns a wrapper that wraps with the first key and unwraps with all of them. A key's
// name is made of its hash.
func NewWrapper(current Key, older ...Key) (*Wrapper, error) {
	w := &Wrapper{current: current.name(), aeads: map[string]cipher.AEAD{}}
	for _, key := range append([]Key{current}, older...) {
		aead, err := key.aead()
		if err != nil {
			return nil, err
		}
		w.aeads[key.name()] = aead
	}
	return w, nil
}

// dataKey is the associated data of a wrapped data key, which differs from every secret's.
const dataKey = "data key"

func (k Key) name() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte("Bindery key "+k.bytes.Reveal())))[:16]
}

// Current returns the name of the key that wraps.
func (w *Wrapper) Current() string { return w.current }

// NewDataKey returns a new data key of 32 bytes, and the same wrapped.
func (w *Wrapper) NewDataKey(ctx context.Context) (secret.Text, []byte, error) {
	if err := ctx.Err(); err != nil {
		return secret.Text{}, nil, err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails; see its documentation
	return secret.New(string(key)), w.aeads[w.current].Seal(nil, nil, key, []byte(dataKey)), nil
}

// Unwrap returns a data key that the key with this name has wrapped.
func (w *Wrapper) Unwrap(
	ctx context.Context, key string, wrapped []byte,
) (secret.Text, error) {
	if err := ctx.Err(); err != nil {
		return secret.Text{}, err
	}
	aead, ok := w.aeads[key]
	if !ok {
		return secret.Text{}, fmt.Errorf("this machine has no key %.20q", key)
	}
	plain, err := aead.Open(nil, nil, wrapped, []byte(dataKey))
	if err != nil {
		return secret.Text{}, errors.New("the wrapped data key was damaged")
	}
	return secret.New(string(plain)), nil
}
