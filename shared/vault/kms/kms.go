// Package kms keeps secrets in Alibaba Cloud's KMS: the secret is named prefix + name, and
// generation 1 is its version g1, generation 2 its version g2, and so on.
//
// A version's id is given by whoever makes it, and the service itself refuses another value for a
// version that is there. A version is read by its id, never as the one that is "current".
//
// # What stays readable
//
// A secret keeps its ten newest versions, and the eleventh pushes out the oldest. No reader needs
// a generation that old: the next one is only made from the record's, so a record is at the newest
// or the one before, and the sweep begins with the generation that the record had. A generation
// that was pushed out is not there: Get says so, and a Put that comes ten refreshes too late makes
// it anew, where it is in nobody's way. It would take a caller that slept for the better part of an
// hour between two calls, and none begins a call later than two minutes after it began.
//
// # What it takes
//
// A value is text of at most 30,720 bytes. What isn't UTF-8 can't be kept, and is refused as
// [vault.ErrValue]. Generic secrets live in a KMS instance that was bought, and are sealed by a
// symmetric key of that instance: both are named when the vault is made.
//
// # How often
//
// The limits of calls are the account's, for all its secrets together. Above them the service
// answers Rejected.Throttling, and after three tries the call fails with an error that is none of
// the contract's; it may be repeated.
//
// # Rights
//
// A role needs kms:CreateSecret to put generation 1, kms:PutSecretValue to put another,
// kms:GetSecretValue to read, and also to put, for a value is compared with the one that is there;
// and kms:DeleteSecret to delete. On the key it needs kms:GenerateDataKey to put and kms:Decrypt to
// read. The service keeps nothing of a deleted secret, for Delete asks for no recovery window.
//
// # Without the vendor's client
//
// The vendor's client writes a secret's value into the request's address, and would make a function
// larger by a third. What is used of it here is a signature, which a test holds against that
// client's.
//
// Sources: the service's API reference (CreateSecret, PutSecretValue, GetSecretValue,
// DeleteSecret; version 2016-01-20). That parameters may travel in the body is how the vendor's own
// Terraform provider sends them.
package kms

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Options say where secrets are kept.
type Options struct {
	// Prefix begins the name of every secret.
	Prefix string
	// Instance is the id of the KMS instance, and Key that of a symmetric key in it.
	Instance, Key string
}

// Vault is a [vault.Vault] in KMS. Make one with [New].
type Vault struct {
	client  *alibabacloud.Client
	options Options
}

// New keeps secrets by the options. It makes no call.
func New(client *alibabacloud.Client, o Options) *Vault {
	return &Vault{client: client, options: o}
}

// Put implements [vault.Vault]. It is one call, and another where the service refuses it.
func (v *Vault) Put(
	ctx context.Context, name vault.SecretName, generation int, value secret.Text,
) error {
	if err := vault.CheckValue(name, generation, value); err != nil {
		return err
	}
	if !utf8.ValidString(value.Reveal()) {
		return vault.ErrValue
	}
	put := v.add
	if generation == 1 {
		put = v.create
	}
	version := versionID(generation)
	err := put(ctx, name, version, value)
	if alibabacloud.Refused(err) {
		err = v.compare(ctx, name, version, value, err)
	}
	if err != nil {
		return fmt.Errorf("putting %s/%d: %w", name, generation, err)
	}
	return nil
}

// create makes the secret with its first version. It knows no [vault.ErrNotFound]: what the service
// may not find is the key.
func (v *Vault) create(
	ctx context.Context, name vault.SecretName, version string, value secret.Text,
) error {
	var got reply
	err := v.client.Call(ctx, alibabacloud.Operation{Action: "CreateSecret", Form: url.Values{
		"SecretName":      {v.id(name)},
		"VersionId":       {version},
		"SecretData":      {value.Reveal()},
		"SecretDataType":  {"text"},
		"SecretType":      {"Generic"},
		"DKMSInstanceId":  {v.options.Instance},
		"EncryptionKeyId": {v.options.Key},
		"Tags":            {`[{"TagKey":"application","TagValue":"bindery"}]`},
	}}, &got)
	if err != nil {
		return err
	}
	return v.isOf(name, version, got)
}

// add puts another version into a secret that is there.
func (v *Vault) add(
	ctx context.Context, name vault.SecretName, version string, value secret.Text,
) error {
	var got reply
	err := v.client.Call(ctx, alibabacloud.Operation{Action: "PutSecretValue", Form: url.Values{
		"SecretName":     {v.id(name)},
		"VersionId":      {version},
		"SecretData":     {value.Reveal()},
		"SecretDataType": {"text"},
	}}, &got)
	if err != nil {
		return absent(err)
	}
	return v.isOf(name, version, got)
}

// compare looks at what is there after a refusal, whose code isn't documented for a version that
// exists: nil if the version holds the value, [vault.ErrExists] if it holds another. If it isn't
// there, the refusal stands, except that a secret that exists without its first version is some
// other one.
func (v *Vault) compare(
	ctx context.Context, name vault.SecretName, version string, value secret.Text, refusal error,
) error {
	stored, err := v.read(ctx, name, version)
	switch {
	case errors.Is(err, vault.ErrNotFound) && alibabacloud.Is(refusal, exists):
		return vault.ErrExists
	case errors.Is(err, vault.ErrNotFound):
		return refusal
	case err != nil:
		return err
	case !value.Equal(stored):
		return vault.ErrExists
	}
	return nil
}

// Get implements [vault.Vault]. It is one call.
func (v *Vault) Get(
	ctx context.Context, name vault.SecretName, generation int,
) (secret.Text, error) {
	if err := vault.Check(name, generation); err != nil {
		return secret.Text{}, err
	}
	value, err := v.read(ctx, name, versionID(generation))
	if err != nil {
		return secret.Text{}, fmt.Errorf("reading %s/%d: %w", name, generation, err)
	}
	return value, nil
}

func (v *Vault) read(ctx context.Context, name vault.SecretName, version string) (secret.Text, error) {
	var got reply
	err := v.client.Call(ctx, alibabacloud.Operation{Action: "GetSecretValue", Form: url.Values{
		"SecretName": {v.id(name)}, "VersionId": {version},
	}}, &got)
	if err != nil {
		return secret.Text{}, absent(err)
	}
	if err := v.isOf(name, version, got); err != nil {
		return secret.Text{}, err
	}
	if got.SecretData.Empty() || got.SecretDataType != "text" {
		return secret.Text{}, errors.New("the version holds no text")
	}
	return got.SecretData, nil
}

// Delete implements [vault.Vault]. It is one call. A secret that somebody has scheduled for
// deletion is deleted too.
func (v *Vault) Delete(ctx context.Context, name vault.SecretName) error {
	if err := vault.Check(name, 1); err != nil {
		return err
	}
	var got reply
	err := v.client.Call(ctx, alibabacloud.Operation{Action: "DeleteSecret", Form: url.Values{
		"SecretName": {v.id(name)}, "ForceDeleteWithoutRecovery": {"true"},
	}}, &got)
	if alibabacloud.Is(err, notFound) {
		return nil
	}
	if err == nil {
		err = v.isOf(name, "", got)
	}
	if err != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return nil
}

// Current reads the version labelled ACSCurrent of any secret, by its whole name: one that an
// operator looks after. A secret that isn't there is [vault.ErrNotFound].
func Current(ctx context.Context, client *alibabacloud.Client, name string) (secret.Text, error) {
	var got reply
	err := client.Call(ctx, alibabacloud.Operation{
		Action: "GetSecretValue", Form: url.Values{"SecretName": {name}},
	}, &got)
	if err != nil {
		return secret.Text{}, absent(err)
	}
	if got.SecretData.Empty() {
		return secret.Text{}, errors.New("the secret holds no value")
	}
	return got.SecretData, nil
}

func (v *Vault) id(name vault.SecretName) string { return v.options.Prefix + string(name) }

func versionID(generation int) string { return fmt.Sprintf("g%d", generation) }

// reply is what the four operations answer, as far as it is used here.
type reply struct {
	SecretName     string
	VersionID      string `json:"VersionId"`
	SecretData     secret.Text
	SecretDataType string
}

// isOf is nil if a reply is about the secret and the version: an empty one, say from something in
// between that isn't the service, proves nothing. The name may be a whole resource name (ARN).
func (v *Vault) isOf(name vault.SecretName, version string, got reply) error {
	if !strings.HasSuffix(got.SecretName, v.id(name)) || got.VersionID != version {
		return errors.New("the reply isn't about the secret that was asked for")
	}
	return nil
}
