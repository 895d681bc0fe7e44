package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"bindery/shared/vault"
)

// maxSearched bounds the search for a version's generation. A token that expires after two hours
// reaches it after 14 years.
const maxSearched = 1 << 16

// Newest implements [vault.Vault]. It makes one call, which reads the version labelled AWSCURRENT:
// Put moves the label to each new version.
func (v *Vault) Newest(ctx context.Context, name vault.SecretName) (int, error) {
	if err := vault.Check(name, 1); err != nil {
		return 0, err
	}
	generation, err := v.newest(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("looking for the newest of %s: %w", name, describe(err))
	}
	return generation, nil
}

// newest finds the generation by computing ids until one is the version's, since an id is a hash.
func (v *Vault) newest(ctx context.Context, name vault.SecretName) (int, error) {
	out, err := v.client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: v.id(name)})
	if err != nil {
		return 0, absent(err)
	}
	for generation := 1; generation <= maxSearched; generation++ {
		if isOf(out.VersionId, versionID(name, generation)) == nil {
			return generation, nil
		}
	}
	return 0, errors.New("the current version isn't one that Bindery has put")
}

// List implements [vault.Vault]. It makes one call, for at most 100 secrets of the account whose
// names begin with the prefix. The service's list may be five minutes old, and a page may be empty
// although more follow; see ListSecrets in the service's API reference.
func (v *Vault) List(ctx context.Context, cursor string) (vault.Page, error) {
	in := &sdk.ListSecretsInput{
		Filters:    []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{v.prefix}}},
		MaxResults: aws.Int32(100),
	}
	if cursor != "" {
		in.NextToken = &cursor
	}
	out, err := v.client.ListSecrets(ctx, in)
	var refused *types.InvalidNextTokenException
	switch {
	case errors.As(err, &refused):
		return vault.Page{}, vault.ErrCursor
	case err == nil && out.SecretList == nil:
		err = errors.New("the reply has no list")
	}
	if err != nil {
		return vault.Page{}, fmt.Errorf("listing the secrets: %w", describe(err))
	}
	page := vault.Page{Cursor: aws.ToString(out.NextToken)}
	for _, s := range out.SecretList {
		rest, found := strings.CutPrefix(aws.ToString(s.Name), v.prefix)
		if name := vault.SecretName(rest); found && name.Valid() && s.DeletedDate == nil {
			page.Secrets = append(page.Secrets, vault.Listed{
				Name: name, CreatedAt: aws.ToTime(s.CreatedDate),
			})
		}
	}
	return page, nil
}
