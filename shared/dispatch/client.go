package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
)

// A function that serves a request ends itself after 20 seconds and is ended after 30.
const (
	patience       = 35 * time.Second
	connectTimeout = 2 * time.Second // TCP, and TLS again
	maxReply       = 6 << 20         // the largest reply that Function Compute accepts
)

// client invokes functions.
type client struct {
	endpoint    string
	credentials func() alibabacloud.Credentials
	now         func() time.Time
	http        *http.Client
}

func newClient(
	endpoint string, credentials func() alibabacloud.Credentials, now func() time.Time,
) *client {
	return &client{endpoint, credentials, now, &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout: connectTimeout,
			// Short, because nothing is tried twice: the cloud may close a connection while the
			// function is frozen between two requests, and then the next request would fail.
			IdleConnTimeout: 5 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// invoke sends the event to the function and waits for its reply. An error shows neither.
func (c *client) invoke(ctx context.Context, function string, event []byte) (*reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost,
		c.endpoint+"/2023-03-30/functions/"+url.PathEscape(function)+"/invocations",
		bytes.NewReader(event))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set("X-Acs-Action", "InvokeFunction")
	request.Header.Set("X-Acs-Version", "2023-03-30")
	request.Header.Set("X-Fc-Invocation-Type", "Sync")
	request.Header.Set("X-Fc-Log-Type", "None")
	alibabacloud.Sign(request, string(event), c.credentials(), c.now())
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unanswered(err)
	}
	defer func() { _ = response.Body.Close() }()
	returned, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	failed := response.Header.Get("X-Fc-Error-Type")
	switch {
	case err != nil:
		return nil, unanswered(err)
	case len(returned) > maxReply:
		return nil, errors.New("its reply is too large")
	case response.StatusCode != http.StatusOK:
		return nil, refused(response.StatusCode, returned)
	case failed != "":
		return nil, errors.New("it failed: see its own log")
	}
	return read(returned)
}

// errFull means that the function has no free instance: the invocation has not begun.
var errFull = errors.New("there is no capacity")

func unanswered(err error) error {
	return fmt.Errorf("asking Function Compute: %w", secret.WithoutAddress(err))
}

// refused returns the error for the cloud's own error reply, such as AccessDenied or
// ResourceExhausted. The reply may come from a proxy, so only a code is taken from it.
func refused(status int, text []byte) error {
	var answer struct{ Code string }
	_ = json.Unmarshal(text, &answer)
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ."
	if len(answer.Code) > 80 || strings.Trim(answer.Code, letters) != "" {
		answer.Code = ""
	}
	err := fmt.Errorf("asking Function Compute: it answered %d %s", status, answer.Code)
	if status == http.StatusTooManyRequests {
		return fmt.Errorf("%w: %w", errFull, err)
	}
	return err
}
