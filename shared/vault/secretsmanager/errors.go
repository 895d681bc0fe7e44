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

// notVisible reports whether the service doesn't know the secret or the version, perhaps not yet.
func notVisible(err error) bool {
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

// absent returns [vault.ErrNotFound] for an error that means that, and any other error unchanged.
func absent(err error) error {
	if notVisible(err) || deleted(err) {
		return vault.ErrNotFound
	}
	return err
}

// describe returns an error of the library in a form that may be logged. The service's message may
// quote the request: a value that it refused, or, for a wrong signature, all headers with the
// session token. A reply that can't be decoded may be quoted in part too. Neither stays in the
// chain. Other errors are about the connection or the context, and are returned unchanged.
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

// quotable reports whether the message of an error code helps an operator and is only about roles,
// names, keys and states.
func quotable(code string) bool {
	switch code {
	case "AccessDeniedException", "InvalidRequestException", "LimitExceededException",
		"EncryptionFailure", "DecryptionFailure":
		return true
	}
	return false
}

// requestID returns the id that AWS's support asks for.
func requestID(err error) string {
	var reply interface{ ServiceRequestID() string }
	if errors.As(err, &reply) && reply.ServiceRequestID() != "" {
		return fmt.Sprintf(" (request %s)", reply.ServiceRequestID())
	}
	return ""
}
