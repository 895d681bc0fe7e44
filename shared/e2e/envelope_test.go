package e2e_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/config"
	"bindery/shared/table/engine"
	"bindery/shared/vault/awskms/awskmstest"
)

// sealedTableName is the name of the envelope vault's table on AWS.
const sealedTableName = "bindery_vault"

// The template's rights to the envelope vault are those that its calls need, and no more.
func TestD6_BindToUnbindOnLambdaWithTheEnvelopeVault(t *testing.T) {
	address, events := startReceiver(t)
	d := startLambda(t,
		"BINDERY_EVENTS_URL", address, "BINDERY_EVENTS_SECRET", eventsSecret,
		"BINDERY_VAULT", config.EnvelopeVault, "BINDERY_VAULT_TABLE", sealedTableName,
		"BINDERY_WRAPPING_KEYS", awskmstest.ARN(wrappingKey))
	d.events = events
	d.bindToUnbind()
	if names := d.aws.secretNames(); !slices.Equal(names, []string{appsName}) {
		t.Errorf("Secrets Manager has %q", names)
	}
}

// The same on Function Compute, whose functions have no right to a secret but the OAuth apps.
func TestD6_BindToUnbindOnFunctionComputeWithTheEnvelopeVault(t *testing.T) {
	address, events := startReceiver(t)
	d := startFC(t,
		"BINDERY_EVENTS_URL", address, "BINDERY_EVENTS_SECRET", eventsSecret,
		"BINDERY_VAULT", config.EnvelopeVault)
	d.events = events
	d.bindToUnbind()
	if names := d.alibaba.secretNames(); !slices.Equal(names, []string{appsName}) {
		t.Errorf("the secrets manager has %q", names)
	}
}

// sealedRows are the rows of a deployment's envelope vault. There are none without a driver.
type sealedRows struct{ engine.Driver }

func (s sealedRows) list(t *testing.T) []engine.Row {
	t.Helper()
	if s.Driver == nil {
		return nil
	}
	rows, next, err := s.Scan(t.Context(), binding.Join(engine.SecretKind), engine.Key{}, 1000)
	if err != nil || next != (engine.Key{}) {
		t.Fatalf("listing sealed tokens: more than a page, or %v", err)
	}
	return rows
}

// names returns the names of the sealed secrets.
func (s sealedRows) names(t *testing.T) (all []string) {
	t.Helper()
	for _, row := range s.list(t) {
		all = append(all, row.Key.PK)
	}
	return all
}

// age makes every sealed secret older.
func (s sealedRows) age(t *testing.T, by time.Duration) {
	t.Helper()
	for _, row := range s.list(t) {
		var record object
		if err := json.Unmarshal([]byte(row.Record), &record); err != nil {
			t.Fatal(err)
		}
		made, err := time.Parse(time.RFC3339, record["createdAt"].(string))
		if err != nil {
			t.Fatal(err)
		}
		record["createdAt"] = made.Add(-by)
		text, _ := json.Marshal(record) // what JSON gave is JSON again
		row.Record = string(text)
		if err := s.Put(t.Context(), row, engine.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
}

// vaultOf returns the condition in the template for the rights to the vault that these variables
// select.
func vaultOf(variables []string) string {
	if slices.Contains(variables, config.EnvelopeVault) {
		return envelopeVault
	}
	return nativeVault
}
