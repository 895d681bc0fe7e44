package kms

import (
	"bindery/shared/alibabacloud"
	"bindery/shared/vault"
)

// These codes are told apart; see the error codes on the operations' pages.
const (
	notFound = "Forbidden.ResourceNotFound"
	exists   = "Rejected.ResourceExist"
	going    = "Rejected.ResourceInDeleteWindow"
)

// maxReply is larger than any reply: a value in which JSON writes each byte as \u0000, and the
// names around it.
const maxReply = 6*30_720 + 8192

// NewClient returns a client of KMS, and makes no call. A call of the vault ends within 13 seconds
// for each request that it makes; see [alibabacloud.Client.Call].
func NewClient(o alibabacloud.ClientOptions) (*alibabacloud.Client, error) {
	return alibabacloud.NewClient(alibabacloud.Service{
		Name: "kms", Title: "KMS", Version: "2016-01-20", MaxReply: maxReply, Explain: explain,
	}, o)
}

// explain tells an operator what a code means if it is about the deployment's settings.
func explain(code string) string {
	switch code {
	case "Forbidden.NoPermission":
		return "the function's role lacks a permission for the secret or its key"
	case "Rejected.LimitExceeded":
		return "the instance's quota of secrets is used up"
	case "Forbidden.KeyNotFound":
		return "the key doesn't exist"
	}
	return ""
}

// absent returns [vault.ErrNotFound] for an error that means that, and any other error unchanged.
func absent(err error) error {
	if alibabacloud.Is(err, notFound, going) {
		return vault.ErrNotFound
	}
	return err
}
