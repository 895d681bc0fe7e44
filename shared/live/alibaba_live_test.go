//go:build live && alibaba

package live_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/instance"
	tables "bindery/shared/table/selected"
	"bindery/shared/table/tablestore"
	vaults "bindery/shared/vault/selected"
)

func TestAlibabaCloud(t *testing.T) {
	needs(t, "FC_REGION", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
		"BINDERY_TABLESTORE_INSTANCE", "BINDERY_KMS_INSTANCE", "BINDERY_KMS_KEY")
	environment, err := alibabacloud.Read(os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	interrupted := interrupts(t)
	t.Run("Tablestore", func(t *testing.T) {
		overTablestore(t, start(t, interrupted, 100), environment)
	})
	t.Run("KMS", func(t *testing.T) {
		prefix := "bindery-live/" + random() + "/"
		t.Logf("secrets %s*", prefix)
		opened, err := vaults.Open(config.Config{SecretPrefix: prefix, Alibaba: config.Alibaba{
			KMSInstance: os.Getenv("BINDERY_KMS_INSTANCE"), KMSKey: os.Getenv("BINDERY_KMS_KEY"),
			KMSURL: os.Getenv("BINDERY_KMS_URL"),
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The gateway has a limit for the whole account, and a put may make two requests.
		overVault(t, start(t, interrupted, 8), opened)
	})
	t.Run("ContainerRegistry", func(t *testing.T) { listsTheWholeRegistry(t, environment) })
}

func overTablestore(t *testing.T, r *run, environment alibabacloud.Environment) {
	name := "bindery_live_" + random()
	t.Logf("table %s", name)
	where := config.Alibaba{
		TablestoreInstance: os.Getenv("BINDERY_TABLESTORE_INSTANCE"),
		TablestoreURL:      os.Getenv("BINDERY_TABLESTORE_URL"),
	}
	client, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: where.TablestoreInstance,
		Endpoint: where.TablestoreURL,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dropped(t, name, func(context.Context) (bool, error) {
			return dropTablestore(environment, where, name)
		})
	})
	ctx, cancel := context.WithTimeout(r.interrupted, tableTimeout)
	defer cancel()
	if err := tablestore.Create(ctx, client, name); err != nil {
		t.Fatal(err)
	}
	opened, _, err := tables.Open(config.Config{Table: name, Alibaba: where}, nil)
	if err != nil {
		t.Fatal(err)
	}
	overTable(t, r, opened)
}

// dropTablestore deletes the table and its index with the vendor's own client. none reports that
// the service knows no table of this name.
func dropTablestore(
	environment alibabacloud.Environment, where config.Alibaba, name string,
) (none bool, err error) {
	origin := cmp.Or(strings.TrimSuffix(where.TablestoreURL, "/"),
		"https://"+where.TablestoreInstance+"."+environment.Region+".ots.aliyuncs.com")
	now := environment.Credentials()
	client := sdk.NewClientWithConfig(
		origin, where.TablestoreInstance, now.ID, now.Key.Reveal(), now.Token.Reveal(), nil,
	)
	_, err = client.DeleteTable(&sdk.DeleteTableRequest{TableName: name})
	var answer *sdk.OtsError
	return errors.As(err, &answer) && answer.Code == "OTSObjectNotExist", err
}

// listsTheWholeRegistry compares the catalogue with pages of another length.
func listsTheWholeRegistry(t *testing.T, environment alibabacloud.Environment) {
	const account = "live"
	where := os.Getenv("BINDERY_ACR_URL")
	catalogue, err := instance.Open("acr", instance.Options{
		ACR: instance.ACR{Account: account, URL: where},
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := catalogue.List(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for one := range list.All() {
		got = append(got, one.Region+"/"+one.ID)
		if one.Region == "" || one.ID == "" || one.Type != instance.Enterprise {
			t.Errorf("not an instance of the Enterprise Edition: %+v", one)
		}
		found, err := catalogue.Find(t.Context(), account, one.Region, one.ID)
		if err != nil || found != one {
			t.Errorf("%s/%s is listed and not found: %+v, %v", one.Region, one.ID, found, err)
		}
	}
	client, err := instance.NewACRClient(alibabacloud.ClientOptions{
		Environment: environment, Endpoint: where, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := registry(t, client)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("lists %q, want %q", got, want)
	}
	t.Logf("%d instances", len(got))
}

// registry returns the instances that the registry's API lists and hasn't deleted.
func registry(t *testing.T, client *alibabacloud.Client) (list []string) {
	t.Helper()
	const length, mostPages = 7, 50
	for number := 1; number <= mostPages; number++ {
		var page struct {
			TotalCount int
			Instances  []struct{ InstanceID, RegionID, InstanceStatus string }
		}
		err := client.Call(t.Context(), alibabacloud.Operation{
			Action: "ListInstance",
			Query:  url.Values{"PageNo": {strconv.Itoa(number)}, "PageSize": {strconv.Itoa(length)}},
		}, &page)
		if err != nil {
			t.Fatal(fmt.Errorf("page %d: %w", number, err))
		}
		for _, one := range page.Instances {
			if one.InstanceStatus != "DELETED" {
				list = append(list, one.RegionID+"/"+one.InstanceID)
			}
		}
		if number*length >= page.TotalCount {
			return list
		}
	}
	t.Fatalf("there are more than %d", length*mostPages)
	return nil
}
