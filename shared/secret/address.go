package secret

import (
	"errors"
	"net/url"
)

// WithoutAddress returns an error of package net/http without the request's address, which such an
// error quotes: an address may have a key or a code in it. Any other error, and nil, is returned
// unchanged.
func WithoutAddress(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
