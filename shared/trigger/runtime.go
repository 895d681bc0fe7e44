package trigger

import (
	"context"
	"fmt"
	"log/slog"
)

// runtime is what runs this process. Its value is the name that errors show.
type runtime string

const (
	port            runtime = "a port"
	lambda          runtime = "AWS Lambda"
	functionCompute runtime = "Function Compute"
)

// detect returns the runtime, by the variable that only this runtime sets. Without one it is a
// port.
func detect(lookup func(string) string) runtime {
	switch {
	case lookup("AWS_LAMBDA_RUNTIME_API") != "":
		return lambda
	case lookup("FC_RUNTIME_API") != "":
		return functionCompute
	}
	return port
}

// server passes calls to f until ctx is done.
type server func(ctx context.Context, p Params, f Function, log *slog.Logger) error

// adapter returns the server for the runtime. stores is the cloud that the binary keeps its records
// and secrets in, "" for a local file. A binary with a local file is refused on a cloud's runtime,
// which would lose the file with every instance; one with a cloud's stores has the runtime of that
// cloud only.
func adapter(on runtime, stores string) (server, error) {
	if on != port && stores == "" {
		return nil, fmt.Errorf("this binary keeps its records in a local file and can't run on "+
			"%s: build it with -tags aws or -tags alibaba", on)
	}
	if on == port {
		return onPort, nil
	}
	serve, ok := clouds()[on]
	if !ok {
		return nil, fmt.Errorf("this binary is built with -tags %s and can't run on %s", stores, on)
	}
	return serve, nil
}

// onPort serves on the configured port of 127.0.0.1.
func onPort(ctx context.Context, p Params, f Function, log *slog.Logger) error {
	listener, err := Listen(ctx, p.Config.Port)
	if err != nil {
		return err
	}
	return Serve(ctx, listener, f, log)
}
