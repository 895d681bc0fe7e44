package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/vault"
)

// Newest implements [vault.Vault]. It makes one call, which reads the version labelled ACSCurrent:
// the service moves the label to each new version.
func (v *Vault) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	if err := vault.Check(name, 1); err != nil {
		return 0, err
	}
	generation, err := v.newest(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("looking for the newest of %s: %w", name, err)
	}
	return generation, nil
}

func (v *Vault) newest(ctx context.Context, name vault.SecretName) (int, error) {
	var got reply
	err := v.client.Call(ctx, alibabacloud.Operation{
		Action: "GetSecretValue", Form: url.Values{"SecretName": {v.id(name)}},
	}, &got)
	if err != nil {
		return 0, absent(err)
	}
	generation, err := strconv.Atoi(strings.TrimPrefix(got.VersionID, "g"))
	if err != nil || v.isOf(name, versionID(generation), got) != nil {
		return 0, errors.New("the current version isn't one that Bindery has put")
	}
	return generation, nil
}

// pageSize is the most that the service lists in a call.
const pageSize = 100

// listing has the fields of ListSecrets' reply that are used here.
type listing struct {
	PageNumber, TotalCount int
	SecretList             struct {
		Secret []struct{ SecretName, CreateTime, PlannedDeleteTime string }
	}
}

// List implements [vault.Vault]. It makes one call, for at most 100 secrets of the KMS instance.
// The prefix is compared here, because the service's documentation doesn't say whether its filter
// by name takes the beginning of one. A cursor is the number of the next page; see ListSecrets in
// the service's API reference.
func (v *Vault) List(ctx context.Context, cursor string) (vault.Page, error) {
	number := 1
	if cursor != "" {
		var err error
		if number, err = strconv.Atoi(cursor); err != nil || number < 2 {
			return vault.Page{}, vault.ErrCursor
		}
	}
	page, err := v.list(ctx, number)
	if err != nil {
		return vault.Page{}, fmt.Errorf("listing the secrets: %w", err)
	}
	return page, nil
}

func (v *Vault) list(ctx context.Context, number int) (page vault.Page, err error) {
	filters, err := json.Marshal([]map[string]any{
		{"Key": "DKMSInstanceId", "Values": []string{v.options.Instance}},
	})
	if err != nil {
		return page, err
	}
	var got listing
	err = v.client.Call(ctx, alibabacloud.Operation{Action: "ListSecrets", Form: url.Values{
		"Filters":    {string(filters)},
		"PageNumber": {strconv.Itoa(number)},
		"PageSize":   {strconv.Itoa(pageSize)},
	}}, &got)
	if err != nil {
		return page, err
	}
	if got.PageNumber != number { // an empty reply, for example from a proxy, proves nothing
		return page, errors.New("the reply isn't about the page that was asked for")
	}
	for _, s := range got.SecretList.Secret {
		rest, found := strings.CutPrefix(s.SecretName, v.options.Prefix)
		name := vault.SecretName(rest)
		if !found || !name.Valid() || s.PlannedDeleteTime != "" {
			continue
		}
		at, _ := time.Parse(time.RFC3339, s.CreateTime) // zero: not known
		page.Secrets = append(page.Secrets, vault.Listed{Name: name, CreatedAt: at})
	}
	if number*pageSize < got.TotalCount {
		page.Cursor = strconv.Itoa(number + 1)
	}
	return page, nil
}
