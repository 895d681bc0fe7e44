// Package secretsmanager implements [vault.Vault] in AWS Secrets Manager. A secret is named prefix
// + name, and each generation is a version of it.
//
// A version's id is the ClientRequestToken that created it: here, a hash of name and generation. So
// the service itself refuses another value for an existing generation, and a version is read by its
// id, never as the "current" one.
//
// # What stays readable
//
// The service may remove a version without a staging label. Each Put moves AWSCURRENT to its
// version, and in the same call the service moves AWSPREVIOUS to the version before, so the two
// newest generations have labels and stay. No reader needs another one: the next generation is only
// created from the record's, so a record is at the newest or the one before, and the sweep starts
// at the generation that the record had. A label for each generation would exceed the limit of 20.
// Generations older than those two stay as long as there are no more than 100, and for at least a
// day.
//
// # Limits of calls
//
// The service asks for at most one put in ten minutes, sustained: it keeps every version of the
// last 24 hours, and their number is limited. A secret belongs to one token. Bitbucket's expires
// after two hours (12 puts a day), GitHub's after eight (3), Gitee's after a day (1). Only a build
// that keeps asking for a longer life than a token ever has exceeds that. The account's limit of
// some 50 writes a second is for all its secrets together; above it calls fail, and may be
// repeated.
//
// # Permissions
//
// Values are stored as binary, which AWS's own console doesn't show, and in which every byte
// survives. The service keeps nothing of a deleted secret, because Delete asks for no recovery
// window.
//
// A role needs secretsmanager:CreateSecret and TagResource to put generation 1; PutSecretValue to
// put another; GetSecretValue to read, and also to put, because a value is compared with the stored
// one, and to find the newest; DeleteSecret to delete; and ListSecrets to list. ListSecrets can't
// be granted for a prefix: its role sees the names of all secrets of the account and region, and no
// value.
//
// Sources: the service's API reference and its pages "Quotas" and "What's in a secret".
package secretsmanager

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Vault is a [vault.Vault] in Secrets Manager. Create one with [New].
type Vault struct {
	client *sdk.Client
	prefix string
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
}

// New returns a vault of secrets whose names begin with the prefix. It makes no call. The client
// decides how often it tries a call; sleep waits, or returns the context's error if that ends
// first.
func New(
	client *sdk.Client, prefix string, now func() time.Time,
	sleep func(ctx context.Context, d time.Duration) error,
) *Vault {
	return &Vault{client: client, prefix: prefix, now: now, sleep: sleep}
}

// Put implements [vault.Vault]. It makes one call, and a second one if the generation exists.
func (v *Vault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	if err := vault.CheckValue(name, generation, value); err != nil {
		return err
	}
	put := v.add
	if generation == 1 {
		put = v.create
	}
	version := versionID(name, generation)
	err := put(ctx, name, version, value)
	if exists(err) {
		err = v.compare(ctx, name, version, value)
	}
	if err != nil {
		return fmt.Errorf("putting %s/%d: %w", name, generation, describe(err))
	}
	return nil
}

// create creates the secret with its first version. Names are used once, so a secret of the same
// name that is being deleted doesn't occur; if it does, the error is not one of the contract's.
func (v *Vault) create(
	ctx context.Context, name vault.SecretName, version string, value secret.Text,
) error {
	out, err := v.client.CreateSecret(ctx, &sdk.CreateSecretInput{
		Name:               v.id(name),
		ClientRequestToken: aws.String(version),
		SecretBinary:       []byte(value.Reveal()),
		Tags:               []types.Tag{{Key: aws.String("application"), Value: aws.String("bindery")}},
	})
	if err != nil {
		return err
	}
	return isOf(out.VersionId, version)
}

// add puts another version into an existing secret. If the secret were wrongly reported missing, a
// refresh would lose its value, so add looks for it more than once.
func (v *Vault) add(
	ctx context.Context, name vault.SecretName, version string, value secret.Text,
) error {
	err := v.untilVisible(ctx, func() error {
		out, err := v.client.PutSecretValue(ctx, &sdk.PutSecretValueInput{
			SecretId:           v.id(name),
			ClientRequestToken: aws.String(version),
			SecretBinary:       []byte(value.Reveal()),
			VersionStages:      []string{"AWSCURRENT"}, // see "What stays readable"
		})
		if err != nil {
			return err
		}
		return isOf(out.VersionId, version)
	})
	return absent(err)
}

// compare returns nil if the version holds the value, and [vault.ErrExists] if it holds another. It
// also returns ErrExists if the version isn't visible yet, or if the secret was created with
// another first version: the service accepts the same value again, so a refused value differs from
// the stored one.
func (v *Vault) compare(
	ctx context.Context, name vault.SecretName, version string, value secret.Text,
) error {
	stored, err := v.read(ctx, name, version)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		return vault.ErrExists
	case err != nil:
		return err
	case !value.Equal(stored):
		return vault.ErrExists
	}
	return nil
}

// Get implements [vault.Vault]. It makes one call. If nothing is found, it repeats the call for up
// to a second, because an existing version may not be visible yet.
func (v *Vault) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	if err := vault.Check(name, generation); err != nil {
		return secret.Text{}, err
	}
	value, err := v.read(ctx, name, versionID(name, generation))
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading %s/%d: %w", name, generation, describe(err))
	}
	return value, nil
}

func (v *Vault) read(
	ctx context.Context, name vault.SecretName, version string,
) (value secret.Text, err error) {
	err = v.untilVisible(ctx, func() error {
		out, err := v.client.GetSecretValue(ctx, &sdk.GetSecretValueInput{
			SecretId: v.id(name), VersionId: aws.String(version),
		})
		if err != nil {
			return err
		}
		value = secret.New(string(out.SecretBinary))
		return isOf(out.VersionId, version)
	})
	if err != nil {
		return secret.Text{}, absent(err)
	}
	if value.Empty() {
		return secret.Text{}, errors.New("the version holds no binary value")
	}
	return value, nil
}

// Delete implements [vault.Vault]. It makes one call. A secret that an operator has scheduled for
// deletion is deleted too.
func (v *Vault) Delete(ctx context.Context, name vault.SecretName) error {
	if err := vault.Check(name, 1); err != nil {
		return err
	}
	_, err := v.client.DeleteSecret(ctx, &sdk.DeleteSecretInput{
		SecretId: v.id(name), ForceDeleteWithoutRecovery: aws.Bool(true),
	})
	if err != nil && !notVisible(err) {
		return fmt.Errorf("deleting %s: %w", name, describe(err))
	}
	return nil
}

// Current reads the version labelled AWSCURRENT of any secret, such as an operator's, by its full
// name, as text or binary. A secret that doesn't exist is [vault.ErrNotFound].
func Current(ctx context.Context, client *sdk.Client, name string) (secret.Text, error) {
	out, err := client.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		return secret.Text{}, describe(absent(err))
	}
	value := aws.ToString(out.SecretString)
	if value == "" {
		value = string(out.SecretBinary)
	}
	if value == "" {
		return secret.Text{}, errors.New("the secret holds no value")
	}
	return secret.New(value), nil
}

// The service shows a write after a moment. visibleTimeout is how long a call is repeated that
// finds nothing. firstBackoff is the first wait between two attempts; each later wait is twice as
// long.
const (
	visibleTimeout = time.Second
	firstBackoff   = 100 * time.Millisecond
)

// untilVisible repeats a call that found nothing: four calls in all, if each is quick.
func (v *Vault) untilVisible(ctx context.Context, call func() error) error {
	begun := v.now()
	for backoff := firstBackoff; ; backoff *= 2 {
		err := call()
		if !notVisible(err) || v.now().Add(backoff).Sub(begun) > visibleTimeout {
			return err
		}
		if err := v.sleep(ctx, backoff); err != nil {
			return fmt.Errorf("looking for it again: %w", err)
		}
	}
}

func (v *Vault) id(name vault.SecretName) *string { return aws.String(v.prefix + string(name)) }

// versionID returns the version's id: 64 hex digits, the most that the service accepts. A name has
// a fixed length, so no two pairs have the same id.
func versionID(name vault.SecretName, generation int) string {
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s|%d", name, generation)))
}

// isOf returns nil if a reply is about the version. An empty reply, for example from a proxy,
// proves nothing.
func isOf(got *string, version string) error {
	if aws.ToString(got) != version {
		return errors.New("the reply isn't about the version that was asked for")
	}
	return nil
}
