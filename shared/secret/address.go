package secret

import (
	"errors"
	"net/url"
)

// WithoutAddress is an error of package net/http without the request's address, which that quotes:
// an address may have a key or a code in it. Any other error, and nil, stays as it is.
func WithoutAddress(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
