package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Web returns a func that fetches the content of an address of the operator's configuration, at
// most limit bytes. It follows no redirect and accepts only status 200. If client is nil, it uses a
// client without a proxy; otherwise it uses a copy of client.
//
// No error shows the address, because its query may contain a key.
func Web(address string, client *http.Client, limit int64) func(context.Context) ([]byte, error) {
	own := http.Client{}
	if client != nil {
		own = *client
	} else {
		own.Transport = &http.Transport{ // whose Proxy is nil
			IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, errors.New("cache: the document's address is malformed")
		}
		request.Header.Set("Accept", "application/json")
		request.Header.Set("User-Agent", "Bindery")
		reply, err := own.Do(request)
		if err != nil {
			var outer *url.Error // which prints the address
			if errors.As(err, &outer) {
				err = outer.Err
			}
			return nil, fmt.Errorf("cache: fetching the document: %w", err)
		}
		defer reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("cache: fetching the document: status %d", reply.StatusCode)
		}
		return Limited(reply.Body, limit)
	}
}

// Limited returns all of r. More than limit bytes is an error.
func Limited(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cache: reading the document: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("cache: the document is longer than %d bytes", limit)
	}
	return body, nil
}
