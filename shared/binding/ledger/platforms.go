package ledger

import (
	"context"
	"fmt"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

func (l *Ledger) View(rec binding.Record) binding.View {
	v := binding.View{Record: rec, Status: binding.StatusOf(rec, l.Now())}
	if platform, ok := l.Platforms.Get(rec.Platform); ok {
		v.Method = platform.Describe().Method
	}
	switch {
	case rec.Problem != nil:
	case v.Status == binding.StatusExpired:
		v.Record.Problem = problem.New(problem.TokenExpired).With("platform", l.Title(rec.Platform))
	case v.Status == binding.StatusUnknown:
		v.Record.Problem = problem.New(problem.NewerVersion)
	}
	return v
}

// oauthPlatform finds a platform that is bound by consent, and the operator's app there.
func (l *Ledger) OauthPlatform(
	ctx context.Context, name string,
) (provider.OAuthPlatform, provider.App, error) {
	platform, ok := l.Platforms.Get(name)
	if !ok {
		return nil, provider.App{}, problem.New(problem.PlatformUnknown)
	}
	byConsent, ok := platform.(provider.OAuthPlatform)
	if !ok {
		return nil, provider.App{}, Mismatch(platform.Describe())
	}
	app, err := l.App(ctx, name)
	if err != nil {
		return nil, provider.App{}, err
	}
	return byConsent, app, nil
}

func Mismatch(d provider.Description) error {
	return problem.New(problem.MethodMismatch).
		Because(string(d.Method)).
		With("platform", d.Title)
}

// title is a platform's name for people.
func (l *Ledger) Title(name string) string {
	if platform, ok := l.Platforms.Get(name); ok {
		return platform.Describe().Title
	}
	return fmt.Sprintf("%q", name)
}
