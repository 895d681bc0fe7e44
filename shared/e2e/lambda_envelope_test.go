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

// sealedRows returns the rows of the envelope vault.
func (on *onLambda) sealedRows() []engine.Row {
	on.w.t.Helper()
	if on.sealed == nil {
		return nil
	}
	rows, next, err := on.sealed.Scan(
		on.w.t.Context(), binding.Join(engine.SecretKind), engine.Key{}, 1000)
	if err != nil || next != (engine.Key{}) {
		on.w.t.Fatalf("listing sealed tokens: more than a page, or %v", err)
	}
	return rows
}

// secretNames returns the names in Secrets Manager, and of the sealed secrets.
func (on *onLambda) secretNames() []string {
	names := on.awsCloud.secretNames()
	for _, row := range on.sealedRows() {
		names = append(names, row.Key.PK)
	}
	return names
}

func (on *onLambda) ageSecrets(by time.Duration) {
	on.awsCloud.ageSecrets(by)
	for _, row := range on.sealedRows() {
		var record object
		on.w.mustSucceed(json.Unmarshal([]byte(row.Record), &record))
		made, err := time.Parse(time.RFC3339, record["createdAt"].(string))
		on.w.mustSucceed(err)
		record["createdAt"] = made.Add(-by)
		text, _ := json.Marshal(record) // what JSON gave is JSON again
		row.Record = string(text)
		on.w.mustSucceed(on.sealed.Put(on.w.t.Context(), row, engine.Condition{}))
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
