// Package awskms wraps the data keys of vault/envelope with keys of AWS's Key Management Service,
// by its operations GenerateDataKey and Decrypt.
//
// A key must be symmetric. It is named by its ARN or id, not by an alias, because a row names the
// key that wrapped its data key. Each request carries an encryption context, which the service
// authenticates and writes into its log: a data key that was wrapped with another one isn't
// unwrapped.
//
// A role needs kms:GenerateDataKey on the current key to put, and kms:Decrypt on every key that
// rows name to read. The service's own yearly rotation of a key's material needs nothing here.
//
// The vendor's client would make each function larger by 131 KB. Only two operations are needed:
// the requests are signed by the vendor's signer, and a test compares them with the client's.
//
// Source: AWS KMS API reference, GenerateDataKey and Decrypt, version 2014-11-01.
package awskms

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"bindery/shared/secret"
	"bindery/shared/timing"
)

// Options says which keys wrap, and with what.
type Options struct {
	// Wrapping has the ids or ARNs of the keys. The first wraps, all unwrap.
	Wrapping []string
	// Context is the encryption context.
	Context map[string]string
}

// Wrapper wraps data keys. Create one with [New]. Its methods may be called at once from many
// goroutines.
type Wrapper struct {
	cloud    aws.Config
	endpoint string
	options  Options
	signer   *v4.Signer
}

// New returns a wrapper that calls KMS as the configuration says, and makes no call.
func New(cloud aws.Config, o Options) *Wrapper {
	endpoint := "https://kms." + cloud.Region + ".amazonaws.com"
	if strings.HasPrefix(cloud.Region, "cn-") {
		endpoint += ".cn"
	}
	if cloud.BaseEndpoint != nil {
		endpoint = *cloud.BaseEndpoint
	}
	return &Wrapper{cloud, strings.TrimSuffix(endpoint, "/") + "/", o, v4.NewSigner()}
}

// Current returns the name of the key that wraps.
func (w *Wrapper) Current() string { return w.options.Wrapping[0] }

// reply has the fields of both operations' replies that are used here.
type reply struct {
	CiphertextBlob []byte
	Plaintext      secret.Text // in base64
	KeyID          string      `json:"KeyId"`
}

// NewDataKey returns a new data key of 32 bytes, and the same wrapped. It makes one call.
func (w *Wrapper) NewDataKey(ctx context.Context) (secret.Text, []byte, error) {
	var got reply
	err := w.call(ctx, "GenerateDataKey", map[string]any{
		"KeyId": w.Current(), "KeySpec": "AES_256", "EncryptionContext": w.options.Context,
	}, &got)
	if err != nil {
		return secret.Text{}, nil, err
	}
	if len(got.CiphertextBlob) == 0 {
		return secret.Text{}, nil, errForeign
	}
	key, err := got.dataKey(w.Current())
	return key, got.CiphertextBlob, err
}

// Unwrap returns a data key that the key with this name has wrapped. It makes one call.
func (w *Wrapper) Unwrap(
	ctx context.Context, key string, wrapped []byte,
) (secret.Text, error) {
	if !slices.Contains(w.options.Wrapping, key) {
		return secret.Text{}, fmt.Errorf("the wrapping key %.200q isn't configured", key)
	}
	var got reply
	err := w.call(ctx, "Decrypt", map[string]any{
		"KeyId": key, "CiphertextBlob": wrapped, "EncryptionContext": w.options.Context,
	}, &got)
	if err != nil {
		return secret.Text{}, err
	}
	return got.dataKey(key)
}

var errForeign = errors.New("the reply isn't about the key that was asked for")

// dataKey returns a reply's data key. An empty reply, for example from a proxy, proves nothing. The
// reply has the key's ARN.
func (r reply) dataKey(key string) (secret.Text, error) {
	if r.KeyID != key && !strings.HasSuffix(r.KeyID, "/"+key) {
		return secret.Text{}, errForeign
	}
	plain, err := base64.StdEncoding.DecodeString(r.Plaintext.Reveal())
	if err != nil || len(plain) == 0 {
		return secret.Text{}, errForeign
	}
	return secret.New(string(plain)), nil
}

// call calls an operation, and again after a transient failure, as the vendor's clients do.
func (w *Wrapper) call(ctx context.Context, operation string, in any, out *reply) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	retryer := w.cloud.Retryer()
	for try := 1; ; try++ {
		err := w.once(ctx, operation, body, out)
		if err == nil || ctx.Err() != nil || try == retryer.MaxAttempts() ||
			!retryer.IsErrorRetryable(err) {
			return err
		}
		wait, err := retryer.RetryDelay(try, err)
		if err == nil {
			err = timing.Sleep(ctx, wait)
		}
		if err != nil {
			return err
		}
	}
}

// maxReply is larger than any reply.
const maxReply = 64 << 10

func (w *Wrapper) once(ctx context.Context, operation string, body []byte, out *reply) error {
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, w.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", "TrentService."+operation)
	credentials, err := w.cloud.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	err = w.signer.SignHTTP(
		ctx, credentials, request, hex.EncodeToString(hash[:]), "kms", w.cloud.Region, time.Now())
	if err != nil {
		return err
	}
	response, err := w.cloud.HTTPClient.Do(request)
	if err != nil {
		return unanswered(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	switch {
	case err != nil:
		return unanswered(err)
	case response.StatusCode != http.StatusOK:
		return refusal(response, text)
	case json.Unmarshal(text, out) != nil:
		// Without the cause, which may quote the reply.
		return errors.New("the reply of KMS can't be read")
	}
	return nil
}
