//go:build alibaba

package selected_test

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
	"bindery/shared/vault/selected"
)

func TestTheEnvelopeVaultOnAlibabaCloudKeepsTheContract(t *testing.T) {
	service, c := environment(t)
	service.AddKey("key-2")
	rows := httptest.NewServer(otstest.New(otstest.Options{
		Instance: "mine", ID: "id", Key: "key", Token: "token",
	}))
	t.Cleanup(rows.Close)
	c.Vaults, c.VaultTable = []string{config.EnvelopeVault}, "bindery_vault"
	c.Wrapping = []string{"key-2"}
	c.Alibaba.TablestoreInstance, c.Alibaba.TablestoreURL = "mine", rows.URL
	// The secrets manager isn't needed.
	c.Alibaba.KMSInstance, c.Alibaba.KMSKey = "", ""
	credentials, err := alibabacloud.Read(os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: credentials, Instance: "mine", Endpoint: rows.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tablestore.Create(t.Context(), operator, c.VaultTable); err != nil {
		t.Fatal(err)
	}
	wantEnvelopeVault(t, c, service.Calls)
}

func TestMissingWrappingKeysAreNamed(t *testing.T) {
	_, c := environment(t)
	c.Vaults = []string{config.EnvelopeVault}
	v, err := selected.Open(c, nil)
	if v != nil || err == nil || !strings.Contains(err.Error(), "BINDERY_WRAPPING_KEYS is not set") {
		t.Errorf("Open = %v, %v, want the variable's name", v, err)
	}
}
