// Package secretsmanager keeps secrets in AWS Secrets Manager: the secret is named prefix + name,
// and each generation is a version of it.
//
// A version's id is the ClientRequestToken that it was made with, and here that is a hash of name
// and generation. So the service itself refuses another value for a generation that is there, and
// a version is read by its id, never as the one that is "current".
//
// # What stays readable
//
// A version without a staging label may be removed. Each Put moves AWSCURRENT to its version, and
// the service then moves AWSPREVIOUS to the one before, so that the two newest generations are
// labelled and stay, in the same call. No reader needs another one: the next generation is only
// made from the record's, so a record is at the newest or the one before, and the sweep begins
// with the generation that the record had. A label for each generation would hit the limit of 20.
// Generations older than those two stay as long as there are no more than 100, and for a day in
// any case.
//
// # How often
//
// The service asks for no more than one put in ten minutes, sustained: it keeps every version of
// the last 24 hours, and their number is limited. A secret belongs to one token. Bitbucket's ends
// after two hours (12 puts a day), GitHub's after eight (3), Gitee's after a day (1). Only a build
// that keeps asking for more life than a token ever has comes to more. The account's limit of
// some 50 writes a second is for all its secrets together; above it calls fail, and may be
// repeated.
//
// # Who may see a value
//
// Values are stored as binary, which AWS's own console doesn't show, and in which every byte
// survives. The service keeps nothing of a deleted secret, for Delete asks for no recovery window.
//
// A role needs secretsmanager:CreateSecret and TagResource to put generation 1, PutSecretValue to
// put another, GetSecretValue to read, and also to put, for a value is compared with the one that
// is there; and DeleteSecret to delete.
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

// Vault is a [vault.Vault] in Secrets Manager. Make one with [New].
type Vault struct {
	client *sdk.Client
	prefix string
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
}

// New keeps secrets whose names begin with the prefix. It makes no call. How often a call is tried
// is the client's business; sleep waits, or returns the context's error if that ends first.
func New(
	client *sdk.Client, prefix string, now func() time.Time,
	sleep func(ctx context.Context, d time.Duration) error,
) *Vault {
	return &Vault{client: client, prefix: prefix, now: now, sleep: sleep}
}

// Put implements [vault.Vault]. It is one call, and another where the generation is there.
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

// create makes the secret with its first version. That its name is of a secret that is being
// deleted doesn't come up, for names are used once; if it does, it is none of the contract's
// errors.
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

// add puts another version into a secret that is there. The value of a refresh would be lost if
// the secret were missed, so it is looked for more than once.
func (v *Vault) add(
	ctx context.Context, name vault.SecretName, version string, value secret.Text,
) error {
	err := v.patiently(ctx, func() error {
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

// compare is nil if the version holds the value, and [vault.ErrExists] if it holds another. So it
// is if the version can't be seen yet, or if the secret was made with another first version: the
// service takes the same value again, so whatever it refused is not the one that is there.
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

// Get implements [vault.Vault]. It is one call. What isn't found is looked for again within a
// second, for a version may be there and not be seen yet.
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
	err = v.patiently(ctx, func() error {
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

// Delete implements [vault.Vault]. It is one call. A secret that somebody has scheduled for
// deletion is deleted too.
func (v *Vault) Delete(ctx context.Context, name vault.SecretName) error {
	if err := vault.Check(name, 1); err != nil {
		return err
	}
	_, err := v.client.DeleteSecret(ctx, &sdk.DeleteSecretInput{
		SecretId: v.id(name), ForceDeleteWithoutRecovery: aws.Bool(true),
	})
	if err != nil && !unseen(err) {
		return fmt.Errorf("deleting %s: %w", name, describe(err))
	}
	return nil
}

// Current reads the version labelled AWSCURRENT of any secret, by its whole name: one that an
// operator looks after, as text or binary. A secret that isn't there is [vault.ErrNotFound].
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

// The service shows what was written after a moment. patience is how long a call looks for what
// it doesn't find, and firstPause the first wait between two looks; each next is twice as long.
const (
	patience   = time.Second
	firstPause = 100 * time.Millisecond
)

// patiently repeats a call that found nothing: four in all, if each is quick.
func (v *Vault) patiently(ctx context.Context, call func() error) error {
	begun := v.now()
	for pause := firstPause; ; pause *= 2 {
		err := call()
		if !unseen(err) || v.now().Add(pause).Sub(begun) > patience {
			return err
		}
		if err := v.sleep(ctx, pause); err != nil {
			return fmt.Errorf("looking for it again: %w", err)
		}
	}
}

func (v *Vault) id(name vault.SecretName) *string { return aws.String(v.prefix + string(name)) }

// versionID is the version's id: 64 hex digits, as many as the service takes. A name has a fixed
// length, so that no two pairs give the same.
func versionID(name vault.SecretName, generation int) string {
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s|%d", name, generation)))
}

// isOf is nil if a reply is about the version: an empty one, say from something in between that
// isn't the service, proves nothing.
func isOf(got *string, version string) error {
	if aws.ToString(got) != version {
		return errors.New("the reply isn't about the version that was asked for")
	}
	return nil
}
