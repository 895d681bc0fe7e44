package api

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"bindery/shared/cache"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// Apps reads the JSON of the operator's OAuth apps from the place that BINDERY_OAUTH_APPS names. It
// is nil for a function that needs no app and for a deployment that has none.
type Apps = func(ctx context.Context) (secret.Text, error)

// appPolicy keeps the apps for five minutes, so that a new client secret is used soon after the
// operator has stored it, without a new deployment.
func appPolicy(now func() time.Time) cache.Policy {
	return cache.Policy{
		TTL:                5 * time.Minute,
		RetryInterval:      time.Minute,
		RetryEmptyInterval: 5 * time.Second,
		Timeout:            5 * time.Second,
		Now:                now,
	}
}

// unreadError is a failure to read the apps: it is not known what the operator has configured.
type unreadError struct{ error }

func (e unreadError) Unwrap() error { return e.error }

// appOf returns a func that returns the app of one platform. A platform without an app is
// [problem.PlatformNotConfigured].
func appOf(
	platforms *provider.Set, fetch Apps, now func() time.Time,
) func(context.Context, string) (provider.App, error) {
	if fetch == nil {
		fetch = func(context.Context) (secret.Text, error) { return secret.New("{}"), nil }
	}
	read := func(ctx context.Context) (map[string]provider.App, error) {
		text, err := fetch(ctx)
		switch {
		case errors.Is(err, vault.ErrNotFound), errors.Is(err, fs.ErrNotExist):
			return nil, err
		case err != nil:
			return nil, unreadError{err}
		}
		return platforms.ParseApps(text)
	}
	policy := appPolicy(now)
	apps := cache.New(read, policy)
	return func(ctx context.Context, platform string) (provider.App, error) {
		missing := problem.New(problem.PlatformNotConfigured)
		if p, ok := platforms.Get(platform); ok {
			missing = missing.With("platform", p.Describe().Title)
		}
		all, _, err := apps.Current(ctx)
		var unread unreadError
		switch {
		case errors.As(err, &unread):
			return provider.App{}, problem.New(problem.StorageUnavailable).
				After(policy.RetryEmptyInterval).From(err)
		case err != nil:
			return provider.App{}, missing.From(err)
		}
		app, ok := all[platform]
		if !ok {
			return provider.App{}, missing
		}
		return app, nil
	}
}
