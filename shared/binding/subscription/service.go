// Package subscription subscribes to the changes of repositories: it installs webhooks at the
// platforms, finds out whether they still work, repairs them, makes up for what they missed, and
// removes them.
//
// A subscription owns a webhook and a secret. Its row is written before them and deleted after
// them, so that the run continues what a crash has left: a webhook is found by its address, which
// ends with the row's id. While an invocation may make a webhook it has claimed the row, so that
// two never make two.
package subscription

import (
	"context"
	"slices"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// Service manages subscriptions. Its methods may be called at once from many goroutines and
// processes. Every error that it returns holds a problem of the catalogue.
type Service struct {
	ledger      *ledger.Ledger
	credentials *credential.Service
	deliveries  *delivery.Service
	public      string
}

// New returns a service whose webhooks have addresses at public, the origin of the functions.
func New(
	l *ledger.Ledger, credentials *credential.Service, deliveries *delivery.Service, public string,
) *Service {
	return &Service{l, credentials, deliveries, public}
}

// Target is a repository of a binding, by its key.
type Target struct {
	By         binding.User
	Instance   instance.Instance
	Platform   string
	Repository string // the key; "" where a binding is meant
}

func (t Target) key() binding.Key { return binding.KeyOf(t.By.Account, t.Instance, t.Platform) }

// View is a subscription as its account may see it.
type View struct {
	Subscription binding.Subscription
	// WebhooksURL is the platform's page where a user manages the repository's webhooks by hand.
	WebhooksURL string
}

// Remaining is a webhook that could not be removed.
type Remaining = binding.RemainingWebhook

const (
	// claimTTL is how long an invocation has a claim. It makes a webhook at most 45 seconds after it
	// has claimed the row, so that the platform has answered before the claim ends.
	claimTTL = time.Minute
	// minTokenLife is how long a token must remain valid for a request, as for a look at a
	// repository.
	minTokenLife = 20 * time.Second
	// claimWait is how long a request waits for the claim of another.
	claimWait = 6 * time.Second
	// claimPollInterval is the time between two looks at a claimed row.
	claimPollInterval = 200 * time.Millisecond
)

// site is a platform, and the binding and token with which it is asked.
type site struct {
	provider.WebhookPlatform
	record     binding.Record
	credential provider.Credential
	cause      error // why there is no token for a while; nil if there is one
}

// asked returns the token as a row names it.
func (at site) asked() binding.AskedToken {
	return binding.AskedToken{Token: at.record.Token, IdentityID: at.record.Identity.ID}
}

// platform returns a platform that has webhooks. [problem.PlatformUnknown].
func (s *Service) platform(name string) (provider.WebhookPlatform, error) {
	known, _ := s.ledger.Platforms.Get(name)
	if platform, ok := provider.WebhooksOf(known); ok {
		return platform, nil
	}
	return nil, problem.New(problem.PlatformUnknown)
}

// site returns a binding's platform with a valid token.
func (s *Service) site(ctx context.Context, key binding.Key) (site, error) {
	platform, err := s.platform(key.Platform)
	if err != nil {
		return site{}, err
	}
	rec, cred, err := s.credentials.Token(ctx, key, minTokenLife)
	return site{WebhookPlatform: platform, record: rec, credential: cred}, err
}

// openRepository returns the platform's id of a repository. A key that isn't one of the binding is
// [problem.RepositoryUnknown], as a repository that doesn't exist.
func (s *Service) openRepository(rec binding.Record, key string) (string, error) {
	id, ok := binding.RepositoryID(rec, key)
	if !ok {
		return "", problem.New(problem.RepositoryUnknown).
			With("platform", s.ledger.Title(rec.Platform))
	}
	return id, nil
}

// address returns the address of a subscription's webhook.
func (s *Service) address(sub binding.Subscription) string {
	return s.public + "/v1/hooks/" + sub.Binding.Platform + "/" + sub.ID
}

// askDeadline is how long after its start an invocation may begin a call to a platform, so that
// there is time to save what has come of it.
const askDeadline = ledger.CallDeadline - 2*ledger.VerifyTimeout

// tooSlow returns the problem of a platform that has used up the time for its calls.
func (s *Service) tooSlow(at site, cause error) error {
	return s.problem(at, problem.PlatformUnreachable).Because("timeout").From(cause)
}

// ask makes calls to a platform, begun within [askDeadline]. A token that the platform calls
// expired is one that it rejects: the binding says what has expired.
func ask[T any](
	ctx context.Context, s *Service, at site, call string, do func(context.Context) (T, error),
) (T, error) {
	if err := s.ledger.StartedWithin(ctx, askDeadline, call); err != nil {
		var none T
		return none, s.tooSlow(at, err)
	}
	ctx, cancel := context.WithTimeout(ctx, ledger.VerifyTimeout)
	defer cancel()
	result, err := do(ctx)
	if problem.Is(err, problem.TokenExpired) {
		p := problem.Of(err)
		err = problem.New(problem.TokenRejected).With("platform", p.Params["platform"]).From(err)
	}
	return result, err
}

// refused returns the error of a platform that a user's request has asked. One refusal of the token
// ends no binding (see package maintenance), so the problem asks for a check and not for another
// bind.
func refused(err error) error {
	if p := problem.Of(err); p.Code == problem.TokenRejected {
		return p.Because("bound")
	}
	return err
}

// view returns a row as its account may see it. The repository's key is the one of the binding as
// it is now. A held subscription that isn't broken says what it waits for. One that works is
// degraded while the receiver has not been told of everything that a sync has found.
func (s *Service) view(rec binding.Record, sub binding.Subscription) View {
	if sub.Health == binding.SubscriptionGood && slices.ContainsFunc(sub.Events, catchingUp) {
		sub.Health = binding.SubscriptionDegraded
	}
	if sub.Held && sub.Problem == nil {
		sub.Health = binding.SubscriptionDegraded
		sub.Problem = problem.New(problem.SubscriptionHeld).
			With("platform", s.ledger.Title(rec.Platform))
	}
	sub.Repository.Key = binding.RepositoryKey(rec, sub.Repository.ID)
	v := View{Subscription: sub}
	if platform, err := s.platform(rec.Platform); err == nil {
		v.WebhooksURL = platform.WebhooksURL(sub.Repository.WebURL)
	}
	return v
}

func catchingUp(e binding.SourceEvent) bool {
	return e.CaughtUp && e.State == binding.EventWaiting
}
