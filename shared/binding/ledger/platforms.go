package ledger

import (
	"context"
	"fmt"

	"bindery/shared/problem"
	"bindery/shared/provider"
)

// OAuthClient is a platform that is bound by OAuth, and the operator's app there.
type OAuthClient struct {
	Platform provider.OAuthPlatform
	App      provider.App
}

// OAuthClient returns the client of a platform. It fails with [problem.PlatformUnknown],
// [problem.MethodMismatch], and as [Options].App does.
func (l *Ledger) OAuthClient(ctx context.Context, name string) (OAuthClient, error) {
	platform, ok := l.Platforms.Get(name)
	if !ok {
		return OAuthClient{}, problem.New(problem.PlatformUnknown)
	}
	byOAuth, ok := platform.(provider.OAuthPlatform)
	if !ok {
		return OAuthClient{}, MethodMismatch(platform.Describe())
	}
	app, err := l.App(ctx, name)
	if err != nil {
		return OAuthClient{}, err
	}
	return OAuthClient{Platform: byOAuth, App: app}, nil
}

// MethodMismatch returns the problem of a platform that is not bound by the method that was asked
// for.
func MethodMismatch(d provider.Description) error {
	return problem.New(problem.MethodMismatch).
		Because(string(d.Method)).
		With("platform", d.Title)
}

// Title returns a platform's name as users read it, or the quoted name of an unknown platform.
func (l *Ledger) Title(name string) string {
	if platform, ok := l.Platforms.Get(name); ok {
		return platform.Describe().Title
	}
	return fmt.Sprintf("%q", name)
}
