package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/api"
	"bindery/shared/config"
	"bindery/shared/console"
	"bindery/shared/sandbox"
	tables "bindery/shared/table/selected"
	"bindery/shared/trigger"
	vaults "bindery/shared/vault/selected"
)

// The clouds run the check every 15 minutes and the subscriptions every minute. A laptop does both
// more often, so that a person sees the result.
const (
	sweepInterval        = time.Minute
	subscriptionInterval = 10 * time.Second
)

// run serves until ctx is done.
func run(ctx context.Context, lookup func(string) string, out io.Writer) error {
	own, sandboxListener, err := listen(ctx, lookup("PORT"))
	if err != nil {
		return err
	}
	defer func() { _ = own.Close(); _ = sandboxListener.Close() }()
	ownIPv6, err := listenIPv6(ctx, portOf(own))
	if err != nil {
		return err
	}
	l := laptop{
		lookup: lookup, port: portOf(own), sandbox: portOf(sandboxListener),
		eventsKey: newEventsKey(),
	}
	c, err := config.Read(l.setting)
	if err != nil {
		return err
	}
	log := slog.New(withoutMetrics{trigger.Logger("local").Handler()})
	box := l.newSandbox()
	defer box.Close()
	f, closeTable, err := build(c, l, box, log)
	if err != nil {
		return err
	}
	defer func() { _ = closeTable.Close() }()

	l.greet(out, c)
	ctx, stop := context.WithCancel(ctx)
	simulated := trigger.Function{HTTP: onlyLocalhost(l.sandbox, l.sandboxURL(), box)}
	parts := []func() error{
		func() error { return trigger.Serve(ctx, own, f, log) },
		func() error { return trigger.Serve(ctx, sandboxListener, simulated, log) },
		func() error { return every(ctx, sweepInterval, f.Schedule, "expiry-check", log) },
		func() error { return every(ctx, subscriptionInterval, f.Schedule, "subscriptions", log) },
	}
	if ownIPv6 != nil {
		parts = append(parts, func() error { return trigger.Serve(ctx, ownIPv6, f, log) })
	}
	ended := make(chan error, len(parts))
	for _, serve := range parts {
		go func() { ended <- serve() }()
	}
	err = <-ended // the first that ends stops the others
	stop()
	for range len(parts) - 1 {
		err = errors.Join(err, <-ended)
	}
	return err
}

// listen listens on the port in value, for Bindery, and on the one after it, for the sandbox.
func listen(ctx context.Context, value string) (own, sandbox net.Listener, err error) {
	number, err := strconv.ParseUint(cmp.Or(strings.TrimSpace(value), "8080"), 10, 16)
	if err != nil {
		number = 0 // config.Read reports what is wrong with it
	}
	port := int(number)
	if port == 65535 {
		return nil, nil, errors.New("PORT is 65535, and the sandbox needs the port after it: " +
			"set PORT= to another one, or PORT=0 for any that is free")
	}
	if own, err = trigger.Listen(ctx, port); err != nil {
		return nil, nil, err
	}
	if port != 0 {
		port++
	}
	if sandbox, err = trigger.Listen(ctx, port); err != nil {
		_ = own.Close()
		return nil, nil, fmt.Errorf("the sandbox's port is the one after PORT: %w", err)
	}
	return own, sandbox, nil
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// build makes one function of all functions.
func build(c config.Config, l laptop, box *sandbox.Sandbox, log *slog.Logger) (
	trigger.Function, io.Closer, error,
) {
	openers := api.Openers{
		Table: tables.Open, Vault: vaults.Open,
		Apps: func(c config.Config, none *alibabacloud.InvocationCredentials) api.Apps {
			return l.apps(vaults.Apps(c, none), box)
		},
	}
	a, closer, err := openers.Open(c, nil, log)
	if err != nil {
		return trigger.Function{}, nil, err
	}
	all := a.Handler(api.Status, api.TokenBind, api.Unbind,
		api.OAuthStart, api.OAuthCallback, api.OAuthConfirm,
		api.Credential, api.Repository, api.Subscription, api.Delivery, api.ExpiryCheck)
	mux := http.NewServeMux()
	mux.Handle("/v1/", all)
	mux.Handle("/healthz", all)
	mux.HandleFunc("POST /dev/task", onlySameOrigin(task(a)))
	mux.Handle("/", console.Handler(console.Options{
		PublicURL:  c.PublicURL,
		ConsoleURL: c.ConsoleURL,
		Issuer:     c.OIDC.Issuer,
		ClientID:   c.OIDC.ClientID,
		Audience:   c.OIDC.Audience,
		Dev:        c.OIDC.Issuer == l.url(),
		SandboxURL: l.sandboxURL(),
	}))
	if err := l.addSignIn(mux, c); err != nil {
		return trigger.Function{}, nil, errors.Join(err, closer.Close())
	}
	own := onlyLocalhost(l.port, l.url(), mux)
	return trigger.Function{HTTP: own, Schedule: a.Task}, closer, nil
}

// every runs the task at the interval until ctx is done. It logs a run that fails.
func every(
	ctx context.Context, interval time.Duration,
	run func(context.Context, json.RawMessage) (any, error), task string, log *slog.Logger,
) error {
	input, err := json.Marshal(map[string]string{"name": task})
	if err != nil {
		return err
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := run(ctx, input); err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "the schedule failed", "task", task, "error", err)
			}
		}
	}
}
