package netguard

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"

	"bindery/shared/problem"
)

// ErrTooLong means that a reply's body is longer than the caller accepts.
var ErrTooLong = errors.New("netguard: the reply is too long")

// ReadBody reads the reply's body, closes it, and returns it if it has at most max bytes. For a
// longer body it returns [ErrTooLong] after reading at most one byte more than max.
//
// A body that a proxy has compressed although that wasn't asked for is decompressed: gzip, and
// deflate (RFC 9110, 8.4.1). The limit counts for both forms, so no small reply becomes a large
// one.
func ReadBody(resp *http.Response, max int64) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	body, err := readAtMost(resp.Body, max)
	if err != nil {
		return nil, err
	}
	var plain io.Reader
	switch {
	case bytes.HasPrefix(body, []byte("\x1f\x8b")): // gzip's own mark; some proxies drop the header
		plain, err = gzip.NewReader(bytes.NewReader(body))
	case strings.EqualFold(resp.Header.Get("Content-Encoding"), "deflate") && len(body) > 0:
		plain, err = zlib.NewReader(bytes.NewReader(body))
	default:
		return body, nil
	}
	if err != nil {
		return nil, fmt.Errorf("netguard: decompressing the reply: %w", err)
	}
	return readAtMost(plain, max)
}

func readAtMost(from io.Reader, max int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, max+1))
	if err != nil {
		return nil, fmt.Errorf("netguard: reading the reply: %w", err)
	}
	if int64(len(body)) > max {
		return nil, ErrTooLong
	}
	return body, nil
}

// Problem returns what a failed call means to a user. err is the error of Do of one of the two
// clients or of [ReadBody], not nil, and platform is the platform's title, such as "GitLab".
//
// A problem inside err is returned. Otherwise it is [problem.CertificateUntrusted] with the reason
// "expired", "hostname", "self_signed" or "incomplete_chain"; [problem.PlatformUnreachable] with
// "dns", "refused", "timeout", "proxy" (the operator's) or none; or [problem.PlatformError] for a
// reply that is too long. The cause holds no part of the request, no host that a user typed, and
// nothing that the server sent, because that may be the token that it received.
func Problem(err error, platform string) *problem.Problem {
	var found *problem.Problem
	if !errors.As(err, &found) {
		found = sort(err)
	}
	return found.With("platform", platform)
}

func sort(err error) *problem.Problem {
	unreachable := problem.New(problem.PlatformUnreachable).From(cause(err))
	switch {
	case errors.Is(err, errProxyRefused):
		return unreachable.Because("proxy")
	case throughProxy(err):
		return unreachable // the operator's proxy could not be reached, not the platform
	}
	if reason, bad := certificate(err); bad {
		return problem.New(problem.CertificateUntrusted).Because(reason).From(cause(err))
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, ErrTooLong):
		return problem.New(problem.PlatformError).From(ErrTooLong)
	case errors.As(err, &dns):
		return unreachable.Because("dns")
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable.Because("refused")
	case timedOut(err):
		return unreachable.Because("timeout")
	}
	return unreachable
}

// errProxyRefused means that the egress proxy refused to connect to a platform (RFC 9110, 9.3.6).
var errProxyRefused = errors.New("netguard: the egress proxy refused the connection")

func throughProxy(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "proxyconnect"
}

func certificate(err error) (reason string, bad bool) {
	var (
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		verify  *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "expired", true
	case errors.As(err, &host):
		return "hostname", true
	case errors.As(err, &unknown) && errors.As(err, &verify) && endsOpen(verify):
		return "incomplete_chain", true
	case errors.As(err, &unknown):
		return "self_signed", true
	}
	return "", errors.As(err, &verify)
}

// endsOpen reports whether the chain that the server sent ends with a certificate that another one
// has signed: an intermediate certificate is missing, or the authority is a private one.
func endsOpen(verify *tls.CertificateVerificationError) bool {
	sent := verify.UnverifiedCertificates
	if len(sent) == 0 {
		return false
	}
	last := sent[len(sent)-1]
	return !bytes.Equal(last.RawIssuer, last.RawSubject)
}

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// cause returns the parts of err that may be logged. A *url.Error shows the URL with its query, and
// net/http's error for a malformed reply quotes the reply; so only errors that are known to contain
// neither are kept, and of others only their type.
func cause(err error) error {
	doing := "calling"
	var outer *url.Error
	if errors.As(err, &outer) {
		doing, err = outer.Op, outer.Err
	}
	var (
		op    *net.OpError
		dns   *net.DNSError
		alert tls.AlertError
	)
	switch {
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", doing, op)
	case errors.As(err, &dns):
		return fmt.Errorf("%s: %w", doing, dns)
	case errors.As(err, &alert):
		return fmt.Errorf("%s: %w", doing, alert)
	}
	for _, known := range []error{
		errProxyRefused, context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded,
		io.ErrUnexpectedEOF, io.EOF, http.ErrSchemeMismatch,
	} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", doing, known)
		}
	}
	return fmt.Errorf("%s: %T", doing, innermost(err))
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
