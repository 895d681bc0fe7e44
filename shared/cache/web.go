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

// ErrTooLong means that a document is longer than its limit.
var ErrTooLong = errors.New("cache: the document is too long")

// Web returns a func that fetches the content of an address, as [Stream] does.
func Web(address string, client *http.Client, limit int64) func(context.Context) ([]byte, error) {
	open := Stream(address, client, limit)
	return func(ctx context.Context) ([]byte, error) {
		content, err := open(ctx)
		if err != nil {
			return nil, err
		}
		defer content.Close()
		body, err := io.ReadAll(content)
		if err != nil {
			return nil, fmt.Errorf("cache: reading the document: %w", err)
		}
		return body, nil
	}
}

// Stream returns a func that opens the content of an address of the operator's configuration, which
// the caller must close. A read beyond limit bytes is [ErrTooLong]. It follows no redirect and
// accepts only status 200. If client is nil, it uses a client without a proxy; otherwise it uses a
// copy of client.
//
// No error shows the address, because its query may contain a key.
func Stream(
	address string, client *http.Client, limit int64,
) func(context.Context) (io.ReadCloser, error) {
	own := http.Client{}
	if client != nil {
		own = *client
	} else {
		own.Transport = &http.Transport{ // whose Proxy is nil
			IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context) (io.ReadCloser, error) {
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
		if reply.StatusCode != http.StatusOK {
			_ = reply.Body.Close()
			return nil, fmt.Errorf("cache: fetching the document: status %d", reply.StatusCode)
		}
		return Limited(reply.Body, limit), nil
	}
}

// Limited returns a reader of content that fails with [ErrTooLong] beyond limit bytes.
func Limited(content io.ReadCloser, limit int64) io.ReadCloser {
	return &limited{ReadCloser: content, left: limit}
}

type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 { // one more shows whether the content is longer
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if int64(n) > l.left {
		n, err = int(l.left), ErrTooLong
	}
	l.left -= int64(n)
	return n, err
}
