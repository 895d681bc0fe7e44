// Package vault defines the contract of the secrets manager, the only place where tokens are
// stored.
//
// A secret has a random name that is used once in the world and never again, and under it
// generations: 1, 2, 3, … A bind creates a new name at generation 1, each refresh the next
// generation. A read names the generation, never "the current one", so that a record's reference
// always means the same token. The table holds the references; package ledger says who may delete a
// secret, and when.
//
// Every implementation (file, Secrets Manager, KMS, envelope) passes the suite in vaulttest.
package vault

import (
	"context"
	"errors"
	"time"

	"bindery/shared/secret"
)

// Vault stores values by name and generation. Its methods may be called at once from many
// goroutines and processes. An error other than the ones of this package means that the outcome is
// unknown: the value may have been stored, or may still be.
type Vault interface {
	// Put creates the generation and never replaces one.
	//
	// Putting the same value again returns nil, so that a call whose reply was lost may be
	// repeated. Putting another value for an existing generation returns [ErrExists] and changes
	// nothing. Putting a generation above 1 of a secret that doesn't exist returns [ErrNotFound]: a
	// late writer can't restore a deleted secret. An empty or too long value (see [MaxValue]) is
	// [ErrValue].
	//
	// Of several callers that put different values at once, one gets nil and the others ErrExists.
	Put(ctx context.Context, name SecretName, generation int, value secret.Text) error

	// Get reads one generation. If it doesn't exist, Get returns [ErrNotFound], whether or not the
	// secret exists. A value that can't be decrypted or isn't the one that was stored is an error,
	// never a wrong value.
	Get(ctx context.Context, name SecretName, generation int) (secret.Text, error)

	// Delete removes the secret with all its generations at once and permanently, without a
	// recovery window: it must not be possible to restore a revoked token. A secret that doesn't
	// exist is nil.
	Delete(ctx context.Context, name SecretName) error

	// Newest returns the highest generation of a secret. It is for secrets that no record names; a
	// record names its generation. It fails with [ErrNotFound].
	Newest(ctx context.Context, name SecretName) (int, error)

	// List lists the secrets, a page at a time, in an order of the vault's own. The cursor "" begins
	// the list. Secrets of other programs are left out, and so are ones that an operator has
	// scheduled for deletion. Another list's cursor is [ErrCursor].
	//
	// The list may be some minutes old, so a secret that was created or deleted meanwhile may be in
	// it or not. A secret may be listed twice, and one that is deleted between two pages may hide
	// another: a later list has it.
	List(ctx context.Context, cursor string) (Page, error)
}

// Mover is a vault of which some secrets are stored in another way than new ones are: in another
// vault, or under another key.
type Mover interface {
	Vault
	// Move stores a secret as new ones are, and reports whether it was stored in another way. used is
	// the generation that its row names. Nothing may delete the secret meanwhile; reads and refreshes
	// may go on. Move may be repeated after an error, and made several times at once.
	Move(ctx context.Context, name SecretName, used int) (moved bool, err error)
	// ListUnmoved is List for the secrets that are stored in another way.
	ListUnmoved(ctx context.Context, cursor string) (Page, error)
}

// Page is a part of the list of a vault's secrets. Cursor asks for the next page and is "" in the
// last one. A page may be empty although it has a cursor.
type Page struct {
	Secrets []Listed
	Cursor  string
}

// Listed is a secret in a list.
type Listed struct {
	Name      SecretName
	CreatedAt time.Time // zero: not known
}

// SecretName is a secret's random name: 32 lower-case hex digits. It is not itself a secret.
type SecretName string

// Valid reports whether n has the form of a name. Implementations refuse other names with
// [ErrName], so that no name leads out of their prefix or folder.
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

// MaxValue is the longest value in bytes: the smallest limit of the implementations (KMS takes
// 30,720), less room for what an implementation adds.
const MaxValue = 30_000

// MaxGeneration is the highest generation. A token that is refreshed every five minutes reaches it
// after 190 years.
const MaxGeneration = 20_000_000

// Callers distinguish these errors with errors.Is.
var (
	ErrNotFound = errors.New("vault: no such secret or generation")
	ErrExists   = errors.New("vault: the generation exists with another value")
	ErrValue    = errors.New("vault: the value is empty or too long")
	ErrName     = errors.New("vault: not a secret's name")
	ErrCursor   = errors.New("vault: not a cursor of this list")
)

// Check returns the error for arguments that every implementation refuses, or nil.
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

// Hook is called before each call to a vault or a table, with the call's name, such as "Put". If it
// returns an error, the call isn't made and the error is returned instead. A func that it returns
// is called when the call has ended.
type Hook = func(ctx context.Context, call string) (done func(), err error)

// WithBeforeCall returns a vault that calls h before every call to v. Package ledger uses it for
// its limit of 2 minutes, and its tests for counters and crashes.
//
// It is a [Mover] if v is.
func WithBeforeCall(v Vault, h Hook) Vault {
	if mover, ok := v.(Mover); ok {
		return hookedMover{hooked{v, h}, mover}
	}
	return hooked{v, h}
}

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

func (v hooked) Newest(ctx context.Context, name SecretName) (int, error) {
	done, err := v.hook(ctx, "Newest")
	if err != nil {
		return 0, err
	}
	defer ended(done)
	return v.vault.Newest(ctx, name)
}

func (v hooked) List(ctx context.Context, cursor string) (Page, error) {
	done, err := v.hook(ctx, "List")
	if err != nil {
		return Page{}, err
	}
	defer ended(done)
	return v.vault.List(ctx, cursor)
}

type hookedMover struct {
	hooked
	mover Mover
}

func (v hookedMover) Move(ctx context.Context, name SecretName, used int) (bool, error) {
	done, err := v.hook(ctx, "Move")
	if err != nil {
		return false, err
	}
	defer ended(done)
	return v.mover.Move(ctx, name, used)
}

func (v hookedMover) ListUnmoved(ctx context.Context, cursor string) (Page, error) {
	done, err := v.hook(ctx, "ListUnmoved")
	if err != nil {
		return Page{}, err
	}
	defer ended(done)
	return v.mover.ListUnmoved(ctx, cursor)
}

func ended(done func()) {
	if done != nil {
		done()
	}
}
