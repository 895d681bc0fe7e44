// Package kms implements [vault.Vault] in Alibaba Cloud's KMS. A secret is named prefix + name;
// generation 1 is its version g1, generation 2 its version g2, and so on.
//
// The caller chooses a version's id, and the service refuses another value for a version that
// exists. A version is read by its id, never as the "current" one.
//
// # What stays readable
//
// A secret keeps its ten newest versions, and an eleventh removes the oldest. No reader needs a
// generation that old: the next generation is only created from the record's, so a record is at the
// newest or the one before, and the sweep starts at the generation that the record had. A removed
// generation doesn't exist: Get returns [vault.ErrNotFound], and a Put that comes ten refreshes too
// late creates it again, which harms nothing. For that, a caller would have to pause for most of an
// hour between two calls, and no caller starts a call later than two minutes after it began.
//
// # Values
//
// A value is text of at most 30,720 bytes. Text that isn't UTF-8 can't be stored and is refused as
// [vault.ErrValue]. Generic secrets need a purchased KMS instance and are encrypted with a
// symmetric key of that instance; both are named in [Options].
//
// # Limits of calls
//
// The limits of calls apply to all secrets of the account together. Above them the service answers
// Rejected.Throttling. After three tries the call fails with an error that is not one of the
// contract's; the call may be repeated.
//
// # Permissions
//
// A role needs kms:CreateSecret to put generation 1; kms:PutSecretValue to put another;
// kms:GetSecretValue to read, and also to put, because a value is compared with the stored one, and
// to find the newest; kms:DeleteSecret to delete; and kms:ListSecrets to list, which can't be
// granted for a prefix: its role sees the names of all secrets of the account and region, and no
// value. On the key it needs kms:GenerateDataKey to put and kms:Decrypt to read. The service keeps
// nothing of a deleted secret, because Delete asks for no recovery window.
//
// # Why not the vendor's client
//
// The vendor's client writes a secret's value into the request's address, and would make a function
// larger by a third. Only its signature is needed here, and a test compares ours with it.
//
// Sources: the service's API reference (CreateSecret, PutSecretValue, GetSecretValue, DeleteSecret,
// ListSecrets; version 2016-01-20). The vendor's own Terraform provider shows that parameters may
// be sent in the body.
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

// Options says where secrets are stored.
type Options struct {
	// Prefix is the start of every secret's name.
	Prefix string
	// Instance is the id of the KMS instance, and Key that of a symmetric key in it.
	Instance, Key string
}

// Vault is a [vault.Vault] in KMS. Create one with [New].
type Vault struct {
	client  *alibabacloud.Client
	options Options
}

// New returns a vault that stores secrets as the options say. It makes no call.
func New(client *alibabacloud.Client, o Options) *Vault {
	return &Vault{client: client, options: o}
}

// Put implements [vault.Vault]. It makes one call, and a second one if the service refuses the
// first.
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

// create creates the secret with its first version. It never returns [vault.ErrNotFound]: what the
// service can't find here is the key.
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

// add puts another version into an existing secret.
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

// compare reads the stored version after a refusal, because the code for an existing version isn't
// documented. It returns nil if the version holds the value, and [vault.ErrExists] if it holds
// another. If the version doesn't exist, compare returns the refusal, or ErrExists for a secret
// that exists without its first version: it is another secret.
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

// Get implements [vault.Vault]. It makes one call.
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

func (v *Vault) read(
	ctx context.Context, name vault.SecretName, version string,
) (secret.Text, error) {
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

// Delete implements [vault.Vault]. It makes one call. A secret that an operator has scheduled for
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

// Current reads the version labelled ACSCurrent of any secret, such as an operator's, by its full
// name. A secret that doesn't exist is [vault.ErrNotFound].
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

// reply has the fields of the four operations' replies that are used here.
type reply struct {
	SecretName     string
	VersionID      string `json:"VersionId"`
	SecretData     secret.Text
	SecretDataType string
}

// isOf returns nil if a reply is about the secret and the version. An empty reply, for example from
// a proxy, proves nothing. The name may be a full resource name (ARN).
func (v *Vault) isOf(name vault.SecretName, version string, got reply) error {
	if !strings.HasSuffix(got.SecretName, v.id(name)) || got.VersionID != version {
		return errors.New("the reply isn't about the secret that was asked for")
	}
	return nil
}
