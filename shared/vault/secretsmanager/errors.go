package secretsmanager

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"bindery/shared/vault"
)

// exists reports whether the service knows the secret, or the version with another value.
func exists(err error) bool {
	var there *types.ResourceExistsException
	return errors.As(err, &there)
}

// unseen reports whether the service doesn't know the secret or the version, perhaps not yet.
func unseen(err error) bool {
	var missing *types.ResourceNotFoundException
	return errors.As(err, &missing)
}

// deleted reports whether the secret is being deleted. The service has one exception for all that a
// secret's state doesn't allow, and only its text tells which: "marked for deletion", "scheduled
// for deletion", "marked deleted".
func deleted(err error) bool {
	var refused *types.InvalidRequestException
	return errors.As(err, &refused) && strings.Contains(refused.ErrorMessage(), "delet")
}

// absent is [vault.ErrNotFound] for what says that, and else the error itself.
func absent(err error) error {
	if unseen(err) || deleted(err) {
		return vault.ErrNotFound
	}
	return err
}

// describe makes an error of the library's fit to be seen. What the service answers may quote the
// request: a value that it didn't like, or, about a wrong signature, all headers with the session
// token in them. A reply that can't be read may be quoted in part too. Neither is kept in the
// chain. Other errors are about the connection or the context, and stay as they are.
func describe(err error) error {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		text := "Secrets Manager answered " + answer.ErrorCode()
		if quotable(answer.ErrorCode()) && answer.ErrorMessage() != "" {
			text += ": " + answer.ErrorMessage()
		}
		return errors.New(text + requestID(err))
	}
	var garbled *smithy.DeserializationError
	if errors.As(err, &garbled) {
		return errors.New("Secrets Manager's reply can't be read" + requestID(err))
	}
	return err
}

// quotable reports whether an answer's text helps an operator and is about roles, names, keys and
// states only.
func quotable(code string) bool {
	switch code {
	case "AccessDeniedException", "InvalidRequestException", "LimitExceededException",
		"EncryptionFailure", "DecryptionFailure":
		return true
	}
	return false
}

// requestID is what AWS's support asks for.
func requestID(err error) string {
	var reply interface{ ServiceRequestID() string }
	if errors.As(err, &reply) && reply.ServiceRequestID() != "" {
		return fmt.Sprintf(" (request %s)", reply.ServiceRequestID())
	}
	return ""
}
