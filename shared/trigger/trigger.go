// Package trigger starts a function and brings calls to it, whatever runs it: a port here, a
// cloud's runtime in the files beside.
//
// It also sees to what must hold for every call on every runtime: each has a request id, a panic
// is a reply and a log line and not the end of the process, and the log is JSON with the same
// keys everywhere. What a call means is for package api.
package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// HTTP answers requests. It is called at once from many goroutines.
	HTTP http.Handler
	// Schedule is one run of the schedule, or what an operator invokes the function for. The input
	// is JSON or empty; the result, if any, is for whoever invoked it. A port has no schedule:
	// whoever serves on one calls it.
	Schedule func(ctx context.Context, input json.RawMessage) (any, error)
}

// Build makes a function from its configuration.
type Build = func(context.Context, config.Config) (Function, error)

// Run is the main of a deployed function. It reads the configuration from the environment, builds
// the function, finds out what runs it, and serves until that ends it.
//
// If it can't start, it writes a line for every mistake to stderr and exits with status 1.
func Run(build Build) {
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

// run is [Run] for a binary that keeps its records in the cloud that stores names.
func run(
	ctx context.Context, lookup func(string) string, stores string, build Build, log *slog.Logger,
) error {
	serve, refusal := adapter(detect(lookup), stores)
	c, err := config.Read(lookup)
	if err := errors.Join(refusal, err); err != nil {
		return err
	}
	c.Alibaba.Latest = new(alibabacloud.Latest)
	f, err := build(ctx, c)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	return serve(ctx, c, f, log)
}
