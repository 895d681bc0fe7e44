package binding_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/maintenance"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/sandbox/gitlab"
	"bindery/shared/secret"
)

// granted returns a token that a user of the sandbox has just granted to the operator's app.
func (b *harness) granted(name, login string) provider.Token {
	b.Helper()
	p, _ := b.Ledger.Platforms.Get(name)
	platform := p.(provider.OAuthPlatform)
	app, _ := appsOf(b.sandbox)(context.Background(), name)
	verifier := secret.New(rand.Text() + rand.Text())
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	address := platform.AuthorizeURL(app, callbacks+name, "a-state", challenge)
	back, err := b.sandbox.Consent(sandbox.Platform(name), login, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		b.Fatal("the callback is no address")
	}
	code := secret.New(u.Query().Get("code"))
	token, err := platform.Exchange(context.Background(), app, callbacks+name, code, verifier)
	if err != nil {
		b.Fatal(err)
	}
	return token
}

// bound binds a platform of an instance as alice, and returns the record.
func (b *harness) bound(id, name string) binding.Record {
	b.Helper()
	ctx := b.Ledger.StartInvocation(context.Background())
	switch name {
	case provider.GitLab:
		b.mustBind(id, aliceToken)
	case provider.Codeup:
		_, err := b.Connect.BindToken(ctx, connect.TokenBindRequest{
			By: user, Instance: registry(id), Platform: name,
			Submission: provider.Submission{
				Username: "alice", Token: secret.New("pt-sandbox-good"),
			},
		})
		if err != nil {
			b.Fatal(err)
		}
	default:
		b.keepGranted(id, name, b.granted(name, "alice"))
	}
	return b.row(id, name)
}

// accessOf returns the token that a record points at.
func (b *harness) accessOf(rec binding.Record) secret.Text {
	b.Helper()
	bundle, err := b.fetch(rec)
	if err != nil {
		b.Fatal(err)
	}
	return bundle.Token.Access
}

// checked returns the result of a check at once.
func (b *harness) checked(id, name string) binding.View {
	b.Helper()
	v, err := b.Maintenance.CheckNow(context.Background(), user, registry(id), name)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// later lets time pass and sweeps, twice, so that the events of the first sweep are drained.
func (b *harness) later(d time.Duration) maintenance.RunResult {
	b.Helper()
	b.clock().Advance(d)
	done := b.mustRun()
	done.Add(b.mustRun())
	return done
}

// eventsOf returns the types of a binding's events, oldest first.
func (b *harness) eventsOf(id, name string) []string {
	b.Helper()
	var types []string
	for cursor := ""; ; {
		page, err := b.Connect.History(
			context.Background(), user.Account, registry(id), name, cursor)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range page.Items {
			types = append(types, e.Type)
		}
		if cursor = page.Cursor; cursor == "" {
			slices.Reverse(types)
			return types
		}
	}
}

func (b *harness) wantEvents(id, name string, want ...string) {
	b.Helper()
	if got := b.eventsOf(id, name); !slices.Equal(got, want) {
		b.Errorf("events of %s: got %q, want %q", name, got, want)
	}
}

func (b *harness) wantStatus(when, id, name string, want binding.Status) {
	b.Helper()
	if got := binding.StatusOf(b.row(id, name), b.clock().Now()); got != want {
		b.Errorf("%s: got the status %s, want %s", when, got, want)
	}
}

// gone is a catalogue of instances that tests change.
type gone struct {
	is, unreadable bool
}

func (g *gone) List(context.Context, string) (instance.List, error) {
	return instance.List{}, errors.New("List is not used")
}

func (g *gone) Find(_ context.Context, _, _, id string) (instance.Instance, error) {
	switch {
	case g.unreadable:
		return instance.Instance{}, problem.New(problem.StorageUnavailable)
	case g.is:
		return instance.Instance{}, instance.ErrUnknown
	}
	return registry(id), nil
}

// issue makes the sandbox's GitLab issue a token that expires in this many days.
func (b *harness) issue(days int) token {
	ends := b.clock().Now().AddDate(0, 0, days)
	value := b.sandbox.GitLab.AddToken(gitlab.Token{
		Username: "alice", Scopes: []string{"api"}, ExpiresAt: ends,
	})
	return token{"alice", value.Reveal()}
}

func (b *harness) fault(name string, f sandbox.Fault) {
	b.sandbox.SetFault(sandbox.Platform(name), f)
}

func (b *harness) mend(name string) {
	b.sandbox.SetFault(sandbox.Platform(name), sandbox.Fault{Kind: sandbox.FaultNone})
}

// each runs a test for each platform.
func each(t *testing.T, names []string, do func(t *testing.T, name string)) {
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do(t, name)
		})
	}
}

var consented = []string{provider.Gitee, provider.GitHub, provider.Bitbucket}
