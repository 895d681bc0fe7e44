// Package trigger starts a function and passes calls to it on each runtime: AWS Lambda, Function
// Compute's built-in Go runtime, or a port of this machine.
//
// It also ensures what holds for every call on every runtime: each call has a request id, a panic
// becomes a reply and a log line and doesn't end the process, and the log is JSON with the same
// keys everywhere. What a call means is left to package api.
package trigger

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
)

// Function is what a deployed function does. Either may be nil, not both.
type Function struct {
	// HTTP answers requests. It may be called at once from many goroutines.
	HTTP http.Handler
	// Schedule does one run of the schedule, or what an operator invokes the function for. The
	// input is JSON or empty; the result, if any, is returned to the invoker. On a port nothing
	// runs the schedule: the program that serves on the port calls it.
	Schedule func(ctx context.Context, input json.RawMessage) (any, error)
	// Prefetch, which may be nil, begins what the first event would otherwise wait for, and doesn't
	// wait for it. It is called once, before the process asks for that event.
	Prefetch func(ctx context.Context)
}

// Params are what a function is built from and served with.
type Params struct {
	Config config.Config
	// Credentials are the ones that Function Compute sends with each invocation. The server sets
	// them before it passes an invocation to the function. On another runtime they stay empty.
	Credentials *alibabacloud.InvocationCredentials
}

// Build returns the function that the parameters describe.
type Build = func(Params) (Function, error)

// Run is the main of a deployed function. It reads the configuration from the environment, builds
// the function, detects the runtime, and serves until the runtime ends it.
//
// If the function can't start, Run writes a line for every mistake to stderr and exits with status
// 1.
func Run(build Build) {
	log.SetOutput(StandardLog(os.Stderr))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	name := filepath.Base(os.Args[0])
	for _, variable := range []string{"AWS_LAMBDA_FUNCTION_NAME", "FC_FUNCTION_NAME"} {
		if given := os.Getenv(variable); given != "" {
			name = given
		}
	}
	err := run(ctx, os.Getenv, stores, build, Logger(name))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is [Run] for a binary that keeps its records in the cloud named by stores.
func run(
	ctx context.Context, lookup func(string) string, stores string, build Build, log *slog.Logger,
) error {
	// The first TLS connection reads the machine's root certificates, which takes milliseconds.
	go func() { _, _ = x509.SystemCertPool() }()
	serve, refusal := adapter(detect(lookup), stores)
	c, err := config.Read(lookup)
	if err := errors.Join(refusal, err); err != nil {
		return err
	}
	p := Params{Config: c, Credentials: new(alibabacloud.InvocationCredentials)}
	f, err := build(p)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	if f.Prefetch != nil {
		f.Prefetch(ctx)
	}
	return serve(ctx, p, f, log)
}
