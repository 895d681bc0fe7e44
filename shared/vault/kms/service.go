package kms

import (
	"bindery/shared/alibabacloud"
	"bindery/shared/vault"
)

// The codes that tell something apart; see the error codes on the pages of the operations.
const (
	notFound = "Forbidden.ResourceNotFound"
	exists   = "Rejected.ResourceExist"
	going    = "Rejected.ResourceInDeleteWindow"
)

// mostReply is more than any reply has: a value of which JSON writes each byte as \u0000, and the
// names around it.
const mostReply = 6*30_720 + 8192

// NewClient makes a client of KMS, and no call. A call of the vault's ends within 13 seconds for
// each request that it makes; see [alibabacloud.Client.Call].
func NewClient(o alibabacloud.ClientOptions) (*alibabacloud.Client, error) {
	return alibabacloud.NewClient(alibabacloud.Service{
		Name: "kms", Title: "KMS", Version: "2016-01-20", MostReply: mostReply, Explain: explain,
	}, o)
}

// explain says to an operator what a code means where it is about what he has to set up.
func explain(code string) string {
	switch code {
	case "Forbidden.NoPermission":
		return "the function's role lacks a permission for the secret or its key"
	case "Rejected.LimitExceeded":
		return "the instance's quota of secrets is used up"
	case "Forbidden.KeyNotFound":
		return "the key isn't there"
	}
	return ""
}

// absent is [vault.ErrNotFound] for what says that, and else the error itself.
func absent(err error) error {
	if alibabacloud.Is(err, notFound, going) {
		return vault.ErrNotFound
	}
	return err
}
