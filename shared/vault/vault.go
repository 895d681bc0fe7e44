// Package vault is the contract of the secrets manager: where tokens live, and nowhere else.
//
// A secret has a random name that is used once in the world and never comes back, and under it
// generations: 1, 2, 3, … A bind makes a new name at generation 1, each refresh the next
// generation. Reads name the generation, never "the current one", so that a record's reference
// always means the same token. The table holds the references; see package table for who may
// delete a secret, and when.
//
// Every implementation (file, Secrets Manager, KMS) passes the suite in vaulttest.
package vault

import (
	"context"
	"errors"

	"bindery/shared/secret"
)

// Vault keeps values by name and generation. Its methods may be called at once from many
// goroutines and processes. An error that is none of this package's means that the outcome is
// not known: the value may have been stored, or may yet be.
type Vault interface {
	// Put creates the generation, and creates only.
	//
	// The same value again is nil, so that a call whose reply was lost may be repeated. Another
	// value for a generation that is there is [ErrExists]; what is there stays. A generation
	// above 1 of a secret that isn't there is [ErrNotFound]: a late writer can't bring a deleted
	// secret back. An empty or too long value (see [MaxValue]) is [ErrValue].
	//
	// Of several callers that put different values at once, one gets nil and the others ErrExists.
	Put(ctx context.Context, name SecretName, generation int, value secret.Text) error

	// Get reads one generation. One that isn't there is [ErrNotFound], whether or not the secret
	// is. A value that can't be opened or isn't the one stored is an error, never a wrong value.
	Get(ctx context.Context, name SecretName, generation int) (secret.Text, error)

	// Delete removes the secret with all its generations at once and for good, without a recovery
	// window: a revoked token must not stay restorable. A secret that isn't there is nil.
	Delete(ctx context.Context, name SecretName) error
}

// SecretName is a secret's random name: 32 lower-case hex digits. It is not itself a secret.
type SecretName string

// Valid reports whether n has the form of a name. Implementations refuse others with [ErrName], so
// that no name leads out of the prefix or folder that they keep.
func (n SecretName) Valid() bool {
	if len(n) != 32 {
		return false
	}
	for _, c := range []byte(n) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// MaxValue is the longest value in bytes: what the smallest of the implementations takes (KMS
// takes 30,720), less room for what one of them adds.
const MaxValue = 30_000

// MaxGeneration is the highest generation. A token that is refreshed every five minutes gets
// there after 190 years.
const MaxGeneration = 20_000_000

// The errors that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("vault: no such secret or generation")
	ErrExists   = errors.New("vault: the generation exists with another value")
	ErrValue    = errors.New("vault: the value is empty or too long")
	ErrName     = errors.New("vault: not a secret's name")
)

// Check returns the error for arguments that no implementation takes, or nil.
func Check(name SecretName, generation int) error {
	if !name.Valid() {
		return ErrName
	}
	if generation < 1 || generation > MaxGeneration {
		return ErrNotFound
	}
	return nil
}

// CheckValue is [Check] with the value, for Put.
func CheckValue(name SecretName, generation int, value secret.Text) error {
	if err := Check(name, generation); err != nil {
		return err
	}
	if value.Empty() || len(value.Reveal()) > MaxValue {
		return ErrValue
	}
	return nil
}

// Hook is called before each call to a vault or a table, with the call's name, such as "Put". An
// error keeps the call from being made and is returned in its place. A func that it returns is
// called when the call has ended.
type Hook = func(ctx context.Context, call string) (done func(), err error)

// WithBeforeCall calls h before every call to v. The 2-minute rule of package binding is a hook, and so
// are the counters and the crashes of its tests.
func WithBeforeCall(v Vault, h Hook) Vault { return hooked{v, h} }

type hooked struct {
	vault Vault
	hook  Hook
}

func (v hooked) Put(ctx context.Context, name SecretName, generation int, value secret.Text) error {
	done, err := v.hook(ctx, "Put")
	if err != nil {
		return err
	}
	defer ended(done)
	return v.vault.Put(ctx, name, generation, value)
}

func (v hooked) Get(ctx context.Context, name SecretName, generation int) (secret.Text, error) {
	done, err := v.hook(ctx, "Get")
	if err != nil {
		return secret.Text{}, err
	}
	defer ended(done)
	return v.vault.Get(ctx, name, generation)
}

func (v hooked) Delete(ctx context.Context, name SecretName) error {
	done, err := v.hook(ctx, "Delete")
	if err != nil {
		return err
	}
	defer ended(done)
	return v.vault.Delete(ctx, name)
}

func ended(done func()) {
	if done != nil {
		done()
	}
}
