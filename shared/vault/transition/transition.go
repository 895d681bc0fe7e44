// Package transition implements [vault.Vault] over two vaults, while secrets move from one to the
// other. A caller sees one vault with the secrets of both.
//
// # Where a secret is
//
// New secrets are stored in the new vault, To. A secret of the old one, From, stays there, and
// From decides about it, until [Vault.Move] has closed it: that copies its generations to To, and
// then puts a closing mark into From as the generation after the newest. A generation is never
// replaced, so the mark and a refresh that stores that generation exclude each other: either the
// refresh comes first, and Move copies it too, or it finds the mark and stores its generation in
// To. After that the secret is deleted from From.
//
//   - A read finds every generation at any time: it is in From, and it is in To before it is
//     deleted from From.
//   - A put asks From first and To if From doesn't have the secret, or has closed it.
//   - A move that crashed at any call is repeated from its start; every call of it may be repeated.
//   - A delete deletes from both.
//
// # Who may move
//
// Move writes generation 1 into To, so a secret that was deleted from both just before would be
// stored again. Therefore only a caller may move a secret that knows that it is not deleted
// meanwhile: see maintenance.MoveSecrets.
//
// # Calls
//
// A read of the quicker vault comes first, so that it is one call for a secret there. Any other
// call makes one or two more than the vault that has the secret.
package transition

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Options are the two vaults.
type Options struct {
	To, From vault.Vault
	// ToIsQuicker says which one is asked first for a generation.
	ToIsQuicker bool
}

// Vault is a [vault.Vault] over two. Create one with [New].
type Vault struct {
	to, from vault.Vault
	reads    []vault.Vault
}

// New returns a vault. It makes no call.
func New(o Options) *Vault {
	// To after From, because a secret may move between the two reads.
	reads := []vault.Vault{o.From, o.To}
	if o.ToIsQuicker {
		reads = []vault.Vault{o.To, o.From, o.To}
	}
	return &Vault{o.To, o.From, reads}
}

// mark returns the value that closes a secret, and that stands for a generation which From no
// longer had.
func mark() secret.Text { return secret.New("bindery: moved") }

// Put implements [vault.Vault].
func (v *Vault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	if value.Equal(mark()) {
		return vault.ErrValue
	}
	if generation > 1 {
		err := v.putFrom(ctx, name, generation, value)
		if !errors.Is(err, vault.ErrNotFound) {
			return err
		}
	}
	return v.to.Put(ctx, name, generation, value)
}

// putFrom puts a generation into From. It fails with [vault.ErrNotFound] if From doesn't have the
// secret, or has closed it.
func (v *Vault) putFrom(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) (err error) {
	for range 2 {
		err = v.from.Put(ctx, name, generation, value)
		if !errors.Is(err, vault.ErrExists) {
			return err
		}
		there, getErr := v.from.Get(ctx, name, generation)
		switch {
		case errors.Is(getErr, vault.ErrNotFound):
			continue // it was deleted since, or isn't visible yet: the next put tells
		case getErr != nil:
			return getErr
		case there.Equal(mark()):
			return vault.ErrNotFound
		}
		return vault.ErrExists
	}
	return err
}

// get reads a generation of one of the two. A mark is [vault.ErrNotFound].
func get(
	ctx context.Context, from vault.Vault, name vault.SecretName, generation int,
) (secret.Text, error) {
	value, err := from.Get(ctx, name, generation)
	if err == nil && value.Equal(mark()) {
		return secret.Text{}, vault.ErrNotFound
	}
	return value, err
}

// Get implements [vault.Vault].
func (v *Vault) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (value secret.Text, err error) {
	for _, one := range v.reads {
		value, err = get(ctx, one, name, generation)
		if !errors.Is(err, vault.ErrNotFound) {
			break
		}
	}
	return value, err
}

// Delete implements [vault.Vault].
func (v *Vault) Delete(ctx context.Context, name vault.SecretName) error {
	if err := v.from.Delete(ctx, name); err != nil {
		return err
	}
	return v.to.Delete(ctx, name)
}

// Newest implements [vault.Vault].
func (v *Vault) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	newest, err := v.from.Newest(ctx, name)
	if err == nil {
		_, err = get(ctx, v.from, name, newest)
	}
	if errors.Is(err, vault.ErrNotFound) {
		newest, err = v.to.Newest(ctx, name)
	}
	if err != nil {
		return 0, err
	}
	return newest, nil
}

// What the cursors of the pages of From and of To begin with.
const (
	fromCursor = "from:"
	toCursor   = "to:"
)

// List implements [vault.Vault]: From first, since a secret may move meanwhile, and then To.
func (v *Vault) List(ctx context.Context, cursor string) (vault.Page, error) {
	if at, ok := strings.CutPrefix(cursor, toCursor); ok {
		page, err := v.to.List(ctx, at)
		if page.Cursor != "" {
			page.Cursor = toCursor + page.Cursor
		}
		return page, err
	}
	at, ok := strings.CutPrefix(cursor, fromCursor)
	if !ok && cursor != "" {
		return vault.Page{}, vault.ErrCursor
	}
	page, err := v.from.List(ctx, at)
	if err != nil {
		return page, err
	}
	if page.Cursor == "" {
		page.Cursor = toCursor
	} else {
		page.Cursor = fromCursor + page.Cursor
	}
	return page, nil
}

// ListUnmoved implements [vault.Mover]: it lists the secrets of From.
func (v *Vault) ListUnmoved(ctx context.Context, cursor string) (vault.Page, error) {
	return v.from.List(ctx, cursor)
}

// Close closes what can be closed of the two.
func (v *Vault) Close() error {
	var errs []error
	for _, one := range []vault.Vault{v.to, v.from} {
		if closer, ok := one.(io.Closer); ok {
			errs = append(errs, closer.Close())
		}
	}
	return errors.Join(errs...)
}

// Move implements [vault.Mover]: it moves a secret from From to To. It copies the generation that
// is used, the one before and all after it.
func (v *Vault) Move(ctx context.Context, name vault.SecretName, used int) (bool, error) {
	moved, err := v.move(ctx, name, used)
	if err != nil {
		return false, fmt.Errorf("moving %s: %w", name, err)
	}
	return moved, nil
}

// maxRefreshes is how many refreshes may be stored during a move.
const maxRefreshes = 5

func (v *Vault) move(ctx context.Context, name vault.SecretName, used int) (bool, error) {
	newest, err := v.from.Newest(ctx, name)
	if errors.Is(err, vault.ErrNotFound) {
		return false, nil // it was moved
	}
	if err != nil {
		return false, err
	}
	next := max(1, min(used, newest)-1)
	for range maxRefreshes {
		for ; next <= newest; next++ {
			closed, err := v.copy(ctx, name, next, next < used)
			if err != nil || closed {
				return v.finish(ctx, name, err)
			}
		}
		err = v.from.Put(ctx, name, newest+1, mark())
		if !errors.Is(err, vault.ErrExists) {
			return v.finish(ctx, name, err)
		}
		newest++ // a refresh was faster
	}
	return false, errors.New("refreshes are stored all the time")
}

// finish deletes a secret from From that is closed. [vault.ErrNotFound] says that another move has
// done it.
func (v *Vault) finish(ctx context.Context, name vault.SecretName, err error) (bool, error) {
	if err == nil {
		err = v.from.Delete(ctx, name)
	}
	if errors.Is(err, vault.ErrNotFound) {
		err = nil
	}
	return err == nil, err
}

// copy copies a generation that From has, unless it is an old one that From may have removed. It
// reports whether it found the closing mark, of a move that crashed or is under way. If From
// doesn't have the secret any more, the error is [vault.ErrNotFound].
func (v *Vault) copy(
	ctx context.Context, name vault.SecretName, generation int, old bool,
) (closed bool, err error) {
	value, err := v.from.Get(ctx, name, generation)
	switch {
	case errors.Is(err, vault.ErrNotFound) && old:
		return false, nil
	case errors.Is(err, vault.ErrNotFound):
		if _, err = v.from.Newest(ctx, name); err == nil {
			err = fmt.Errorf("generation %d isn't visible", generation)
		}
		return false, err
	case err != nil:
		return false, err
	case value.Equal(mark()):
		return generation > 1, nil
	}
	err = v.to.Put(ctx, name, generation, value)
	if errors.Is(err, vault.ErrNotFound) {
		// To takes no other generation without the first one, which From has removed.
		if err = v.to.Put(ctx, name, 1, mark()); err == nil {
			err = v.to.Put(ctx, name, generation, value)
		}
	}
	return false, notMissing(err)
}

// notMissing hides that To doesn't have the secret: it is not From that has lost it.
func notMissing(err error) error {
	if errors.Is(err, vault.ErrNotFound) {
		return errors.New("the secret was deleted meanwhile")
	}
	return err
}
