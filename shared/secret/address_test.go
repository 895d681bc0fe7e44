package secret_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	"bindery/shared/secret"
)

func TestWithoutAddressRemovesOnlyTheAddress(t *testing.T) {
	cause := errors.New("no answer")
	request := &url.Error{Op: "Post", URL: "https://a.example/?key=canary", Err: cause}
	for _, err := range []error{request, fmt.Errorf("posting: %w", request)} {
		if got := secret.WithoutAddress(err); got != cause {
			t.Errorf("got %v, want only the cause", got)
		}
	}
	if got := secret.WithoutAddress(cause); got != cause {
		t.Errorf("another error became %v", got)
	}
	if got := secret.WithoutAddress(nil); got != nil {
		t.Errorf("nil became %v", got)
	}
}
