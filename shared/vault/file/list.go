package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"bindery/shared/vault"
)

// pageSize is how many secrets a page of the list has at most.
const pageSize = 100

// Newest implements [vault.Vault].
func (v *Vault) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	if err := vault.Check(name, 1); err != nil {
		return 0, err
	}
	newest := 0
	err := ctx.Err()
	if err == nil {
		newest, err = v.newest(name)
	}
	if err != nil {
		return 0, fmt.Errorf("looking for the newest of %s: %w", name, err)
	}
	return newest, nil
}

func (v *Vault) newest(name vault.SecretName) (int, error) {
	entries, err := os.ReadDir(v.folder(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	newest := 0
	for _, entry := range entries {
		if generation, err := strconv.Atoi(entry.Name()); err == nil {
			newest = max(newest, generation)
		}
	}
	if newest == 0 {
		return 0, v.absent()
	}
	return newest, nil
}

// List implements [vault.Vault], in the order of the names. A cursor is the last name of a page.
func (v *Vault) List(ctx context.Context, cursor string) (vault.Page, error) {
	if cursor != "" && !vault.SecretName(cursor).Valid() {
		return vault.Page{}, vault.ErrCursor
	}
	page, err := v.list(ctx, cursor)
	if err != nil {
		return vault.Page{}, fmt.Errorf("listing the vault: %w", err)
	}
	return page, nil
}

func (v *Vault) list(ctx context.Context, after string) (page vault.Page, err error) {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return page, err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		name := vault.SecretName(entry.Name())
		if !name.Valid() || entry.Name() <= after {
			continue
		}
		if len(page.Secrets) == pageSize {
			page.Cursor = string(page.Secrets[pageSize-1].Name)
			return page, nil
		}
		switch at, err := v.createdAt(name); {
		case err == nil:
			page.Secrets = append(page.Secrets, vault.Listed{Name: name, CreatedAt: at})
		case !errors.Is(err, vault.ErrNotFound): // deleted meanwhile, or its creator has crashed
			return page, err
		}
	}
	return page, ctx.Err()
}
