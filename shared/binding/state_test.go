package binding_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/maintenance"
	"bindery/shared/provider"
	"bindery/shared/table"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/vaulttest"
)

// far is later than anything in a test comes due.
const far = 1000 * time.Hour

// dueBy returns the entries that are due at a time.
func dueBy(rows ledger.Table, at time.Time) ([]table.DueEntry, error) {
	var all []table.DueEntry
	for cursor := ""; ; {
		page, err := rows.DueBefore(context.Background(), at, cursor, ledger.PageSize)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if cursor = page.Cursor; cursor == "" {
			return all, nil
		}
	}
}

// sweepAll lets time pass and sweeps until nothing is left to do, which must not take long.
func sweepAll(s *services, rows ledger.Table, c *testkit.Clock) error {
	for range 15 {
		c.Advance(ledger.OrphanGracePeriod + time.Minute)
		done, err := s.Maintenance.Run(context.Background())
		if err != nil || done.Left {
			return fmt.Errorf("sweeping: left %v: %w", done.Left, err)
		}
		if rest, err := unfinished(rows, c.Now()); err != nil || !rest {
			return err
		}
	}
	return errors.New("the sweep never comes to an end")
}

// unfinished reports whether the sweep has work left other than checks of bindings.
func unfinished(rows ledger.Table, now time.Time) (bool, error) {
	entries, err := dueBy(rows, now.Add(far))
	for _, e := range entries {
		if e.Binding == (binding.Key{}) {
			return true, nil
		}
		rec, err := rows.Binding(context.Background(), e.Binding)
		if err != nil || !rec.Bound() || len(rec.Events)+len(rec.Secrets) > 0 {
			return true, err
		}
	}
	return false, err
}

// checkStores returns what is wrong with table and vault when every process has ended and the sweep
// has run: each record's secret must be in the vault and hold a token of the record's identity, and
// there must be no other secret, and none may be listed.
func checkStores(rows ledger.Table, secrets vault.Vault, now time.Time) error {
	ctx := context.Background()
	page, err := rows.AllBindings(ctx, "", 10*ledger.PageSize)
	if err != nil {
		return err
	}
	var pointed []vault.SecretName
	for _, rec := range page.Items {
		if len(rec.Secrets) > 0 {
			return fmt.Errorf("the record of %s still lists %d secrets", rec.Instance, len(rec.Secrets))
		}
		if !rec.Bound() {
			continue
		}
		pointed = append(pointed, rec.Token.Secret)
		if err := checkSecret(ctx, rec, secrets); err != nil {
			return fmt.Errorf("the record of %s: %w", rec.Instance, err)
		}
	}
	names, err := vaulttest.Names(ctx, secrets)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(pointed, name) {
			return fmt.Errorf("the secret %s is left over", name)
		}
	}
	entries, err := dueBy(rows, now.Add(far))
	for _, e := range entries {
		if e.Authorization != "" {
			return errors.New("an authorization is left over")
		}
	}
	return err
}

// checkSecret returns what is wrong with the secret that a record points at.
func checkSecret(ctx context.Context, rec binding.Record, secrets vault.Vault) error {
	value, err := secrets.Get(ctx, rec.Token.Secret, rec.Token.Generation)
	if err != nil {
		return fmt.Errorf("its secret: %w", err)
	}
	bundle, err := ledger.DecodeTokenBundle(value)
	switch {
	case err != nil:
		return err
	case bundle.Token.Access.Empty():
		return errors.New("its secret holds no token")
	case bundle.Method == provider.ByToken && bundle.Username != rec.Identity.Username:
		return errors.New("its token is another identity's")
	}
	return nil
}

// checkHistory returns what is wrong with a binding's history: its last event must be what the
// record is, and the numbers must go up by one for as long as the row exists.
func checkHistory(rows ledger.Table, rec binding.Record) error {
	page, err := rows.ListHistory(context.Background(), rec.Key, table.OldestFirst, "", 1000)
	if err != nil {
		return err
	}
	last := binding.Event{Type: binding.EventUnbound}
	for _, e := range page.Items {
		if e.Number != last.Number+1 && e.Number != 1 {
			return fmt.Errorf("event %d comes after event %d", e.Number, last.Number)
		}
		if e.At.Before(last.At) {
			return fmt.Errorf("event %d is older than the one before it", e.Number)
		}
		last.Number, last.At = e.Number, e.At
		if e.Type != binding.EventBound && e.Type != binding.EventRebound &&
			e.Type != binding.EventUnbound {
			continue // of a check
		}
		if (e.Type == binding.EventBound) != (last.Type == binding.EventUnbound) {
			return fmt.Errorf("%s comes after %s", e.Type, last.Type)
		}
		last = e
	}
	switch {
	case rec.Bound() != (last.Type != binding.EventUnbound):
		return fmt.Errorf("the last event is %s, and the record's binding: %v", last.Type, rec.Bound())
	case rec.Bound() && last.Identity != rec.Identity:
		return errors.New("the last event names another identity than the record")
	}
	return nil
}

// settled lets time pass, sweeps, and expects that nothing is left over and nothing is missing.
func (b *harness) settled() {
	b.Helper()
	if err := sweepAll(b.services, b.store.table, b.clock()); err != nil {
		b.Fatal(err)
	}
	if err := checkStores(b.store.table, b.store.vault, b.clock().Now()); err != nil {
		b.Error(err)
	}
}

// row reads a record directly from the table.
func (b *harness) row(id, platform string) binding.Record {
	b.Helper()
	rec, err := b.store.table.Binding(context.Background(), key(id, platform))
	if err != nil && !errors.Is(err, table.ErrNotFound) {
		b.Fatal(err)
	}
	rec.Key = key(id, platform)
	return rec
}

// secrets returns the names of all secrets in the vault.
func (b *harness) secrets() []vault.SecretName {
	b.Helper()
	names, err := vaulttest.Names(context.Background(), b.store.vault)
	if err != nil {
		b.Fatal(err)
	}
	return names
}

// ownedSecrets returns the secrets that records and authorizations list.
func (b *harness) ownedSecrets() []vault.SecretName {
	b.Helper()
	entries, err := dueBy(b.store.table, b.clock().Now().Add(far))
	if err != nil {
		b.Fatal(err)
	}
	var names []vault.SecretName
	for _, e := range entries {
		if e.Authorization != "" {
			a, err := b.store.table.Authorization(context.Background(), e.Authorization)
			if err != nil {
				b.Fatal(err)
			}
			if a.Token.Secret != "" {
				names = append(names, a.Token.Secret)
			}
			continue
		}
		rec, err := b.store.table.Binding(context.Background(), e.Binding)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range rec.Secrets {
			names = append(names, o.Name)
		}
	}
	return names
}

// opens returns the username of the token of an instance's GitLab binding, "" if it is unbound.
func (b *harness) opens(id string) string {
	b.Helper()
	rec := b.row(id, provider.GitLab)
	if !rec.Bound() {
		return ""
	}
	if err := checkSecret(context.Background(), rec, b.store.vault); err != nil {
		b.Errorf("the record of %s: %v", id, err)
	}
	return rec.Identity.Username
}

func (b *harness) mustRun() maintenance.RunResult {
	b.Helper()
	done, err := b.Maintenance.Run(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return done
}
