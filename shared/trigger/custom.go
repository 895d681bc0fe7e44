package trigger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"bindery/shared/config"
)

// customPort is Function Compute's default for a custom runtime.
const customPort = 9000

// customRuntime serves plain HTTP, as Function Compute's custom runtimes have it: on every
// interface, for its proxy doesn't come by way of 127.0.0.1.
//
// The headers x-fc-access-key-id and so on, which older ones of these runtimes have, aren't taken
// for credentials: the newer ones don't set them all any more, and what the cloud doesn't set a
// client can. Its page "Context and log format" names the environment in their place.
func customRuntime(lookup func(string) string) serving {
	return func(ctx context.Context, _ config.Config, f Function, log *slog.Logger) error {
		if f.Schedule != nil {
			return errors.New("a function with a schedule can't run on Function Compute's custom " +
				"runtime: deploy it with the runtime go1")
		}
		number := customPort
		for _, name := range []string{"FC_SERVER_PORT", "FC_CUSTOM_LISTEN_PORT"} {
			value := lookup(name)
			if value == "" {
				continue
			}
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return fmt.Errorf("%s isn't a port from 0 to 65535", name)
			}
			number = int(n)
		}
		listener, err := Listen(ctx, "", number)
		if err != nil {
			return err
		}
		return Serve(ctx, listener, f, log)
	}
}
