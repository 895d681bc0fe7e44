package kms

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
)

// WrapperOptions says which keys wrap data keys, and with what.
type WrapperOptions struct {
	// Wrapping has the ids of symmetric keys. The first wraps, all unwrap.
	Wrapping []string
	// Context is the encryption context, which the service authenticates: a data key that was wrapped
	// with another one isn't unwrapped.
	Context map[string]string
}

// Wrapper wraps the data keys of vault/envelope with keys of KMS, by its operations GenerateDataKey
// and Decrypt. A role needs kms:GenerateDataKey on the current key to put, and kms:Decrypt on every
// key that rows name to read. The keys may be of a KMS instance or the account's default key.
//
// Source: the service's API reference, GenerateDataKey and Decrypt, version 2016-01-20.
type Wrapper struct {
	client   *alibabacloud.Client
	wrapping []string
	context  string
}

// NewWrapper returns a wrapper, and makes no call.
func NewWrapper(client *alibabacloud.Client, o WrapperOptions) *Wrapper {
	encryptionContext, _ := json.Marshal(o.Context) // a map of strings
	return &Wrapper{client, o.Wrapping, string(encryptionContext)}
}

// Current returns the id of the key that wraps.
func (w *Wrapper) Current() string { return w.wrapping[0] }

// dataKeyReply has the fields of both operations' replies that are used here.
type dataKeyReply struct {
	KeyID          string `json:"KeyId"`
	CiphertextBlob string
	Plaintext      secret.Text // in base64
}

// NewDataKey returns a new data key of 32 bytes, and the same wrapped. It makes one call.
func (w *Wrapper) NewDataKey(ctx context.Context) (secret.Text, []byte, error) {
	var got dataKeyReply
	err := w.client.Call(ctx, alibabacloud.Operation{Action: "GenerateDataKey", Form: url.Values{
		"KeyId": {w.Current()}, "KeySpec": {"AES_256"}, "EncryptionContext": {w.context},
	}}, &got)
	if err != nil {
		return secret.Text{}, nil, err
	}
	key, err := got.dataKey(w.Current())
	if err == nil && got.CiphertextBlob == "" {
		err = errForeign
	}
	return key, []byte(got.CiphertextBlob), err
}

// Unwrap returns a data key that the key with this id has wrapped. It makes one call.
func (w *Wrapper) Unwrap(
	ctx context.Context, key string, wrapped []byte,
) (secret.Text, error) {
	if !slices.Contains(w.wrapping, key) {
		return secret.Text{}, fmt.Errorf("the wrapping key %.200q isn't configured", key)
	}
	var got dataKeyReply
	err := w.client.Call(ctx, alibabacloud.Operation{Action: "Decrypt", Form: url.Values{
		"CiphertextBlob": {string(wrapped)}, "EncryptionContext": {w.context},
	}}, &got)
	if err != nil {
		return secret.Text{}, err
	}
	return got.dataKey(key)
}

var errForeign = errors.New("the reply isn't about the key that was asked for")

// dataKey returns a reply's data key. An empty reply, for example from a proxy, proves nothing.
func (r dataKeyReply) dataKey(key string) (secret.Text, error) {
	plain, err := base64.StdEncoding.DecodeString(r.Plaintext.Reveal())
	if err != nil || len(plain) == 0 || r.KeyID != key {
		return secret.Text{}, errForeign
	}
	return secret.New(string(plain)), nil
}
