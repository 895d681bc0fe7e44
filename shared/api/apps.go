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

// Apps fetches the JSON of the operator's OAuth apps from where BINDERY_OAUTH_APPS says. Nil is
// for a function that needs none, or a deployment that has none.
type Apps func(ctx context.Context) (secret.Text, error)

// appTerms keep the apps for some minutes: a new client secret is used soon after it was put
// there, without a new deployment.
func appTerms(now func() time.Time) cache.Policy {
	return cache.Policy{
		TTL:                5 * time.Minute,
		RetryInterval:      time.Minute,
		RetryEmptyInterval: 5 * time.Second,
		Timeout:            5 * time.Second,
		Now:                now,
	}
}

// unreadError says that it is not known what the operator has configured.
type unreadError struct{ error }

func (e unreadError) Unwrap() error { return e.error }

// appOf returns the app of one platform out of the document.
func appOf(fetch Apps, now func() time.Time) func(context.Context, string) (provider.App, error) {
	if fetch == nil {
		fetch = func(context.Context) (secret.Text, error) { return secret.New("{}"), nil }
	}
	titles := map[string]string{
		provider.Gitee: "Gitee", provider.GitHub: "GitHub", provider.Bitbucket: "Bitbucket",
	}
	read := func(ctx context.Context) (map[string]provider.App, error) {
		text, err := fetch(ctx)
		switch {
		case errors.Is(err, vault.ErrNotFound), errors.Is(err, fs.ErrNotExist):
			return nil, err
		case err != nil:
			return nil, unreadError{err}
		}
		return provider.ParseApps(text)
	}
	terms := appTerms(now)
	apps := cache.New(read, terms)
	return func(ctx context.Context, platform string) (provider.App, error) {
		missing := problem.New(problem.PlatformNotConfigured).With("platform", titles[platform])
		all, _, err := apps.Current(ctx)
		var unread unreadError
		switch {
		case errors.As(err, &unread):
			return provider.App{}, problem.New(problem.StorageUnavailable).
				After(terms.RetryEmptyInterval).From(err)
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
