package binding_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/subscription"
	"bindery/shared/event"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// TestASubscriptionOfEachPlatform is made, found as it was made, changed, made again after a user
// has deleted its webhook, and removed.
func TestASubscriptionOfEachPlatform(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.shortenWaits()
		b.receiver()
		in := b.hello(name)
		platform := b.webhooks(name)
		ctx := b.services.Ledger.StartInvocation(context.Background())
		rec, cred, err := b.Credentials.Token(ctx, key("i-1", name), credential.MinimumLife)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := binding.RepositoryID(rec, in.Repository)
		made, created, err := b.Subscribe.Put(ctx, in)
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "created", created, true)
		wantGood := func(when string) {
			t.Helper()
			b.clock().Advance(time.Minute)
			v, err := b.Subscribe.Sync(context.Background(), in.Target)
			testkit.Want(t, when+", error", err, nil)
			testkit.Want(t, when+", health", v.Subscription.Health, binding.SubscriptionGood)
			testkit.Want(t, when+", webhook", v.Subscription.HookID, made.Subscription.HookID)
		}
		wantGood("as it was made")
		in.Kinds = in.Kinds[:1]
		ctx = b.services.Ledger.StartInvocation(context.Background())
		_, _, err = b.Subscribe.Put(ctx, in)
		testkit.Want(t, "error of a change", err, nil)
		wantGood("changed")

		err = platform.DeleteWebhook(context.Background(), cred, id, made.Subscription.HookID)
		testkit.Want(t, "error of a user's deletion", err, nil)
		v, err := b.Subscribe.Sync(context.Background(), in.Target)
		testkit.Want(t, "error of the repair", err, nil)
		testkit.Want(t, "health after it", v.Subscription.Health, binding.SubscriptionDegraded)
		made = v
		wantGood("made again")

		left, err := b.Subscribe.Delete(context.Background(), in.Target)
		testkit.Want(t, "error of the end", err, nil)
		testkit.Want(t, "webhook left", left, nil)
		_, found, err := platform.FindWebhook(context.Background(), cred, id,
			made.Subscription.HookID, public+"/v1/hooks/"+name+"/"+made.Subscription.ID)
		testkit.Want(t, "error of a look", err, nil)
		testkit.Want(t, "found", found, false)
		testkit.Want(t, "secrets", len(b.secrets()), 1)
	})
}

// TestASubscriptionToMergesOfBitbucketNeedsAScope that the operator's consumer may lack. Others
// don't.
func TestASubscriptionToMergesOfBitbucketNeedsAScope(t *testing.T) {
	b := newHarness(t)
	b.shortenWaits()
	b.receiver()
	app := b.sandbox.Apps()[provider.Bitbucket]
	app.Scopes = []string{"account", "repository", "webhook"}
	b.sandbox.AddApp(provider.Bitbucket, app)
	in := b.hello(provider.Bitbucket)
	_, _, err := b.Subscribe.Put(t.Context(), in)
	testkit.WantProblem(t, "with merges", err, problem.WebhooksForbidden, "scope")
	testkit.Want(t, "what is missing", problem.Of(err).Params["missing"], "pullrequest")
	in.Kinds = []binding.SourceKind{binding.PushKind, binding.TagKind}
	v, created, err := b.Subscribe.Put(t.Context(), in)
	testkit.Want(t, "error without merges", err, nil)
	testkit.Want(t, "created", created, true)
	testkit.Want(t, "health", v.Subscription.Health, binding.SubscriptionGood)
}

// receiver sets an address that receives events.
func (b *harness) receiver() {
	b.Helper()
	receiver, err := event.NewWebhook("http://127.0.0.1:1/", "",
		secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), http.DefaultClient, b.clock().Now)
	if err != nil {
		b.Fatal(err)
	}
	b.services.Ledger.Webhook = receiver
}

// hello binds a platform, and returns the request for a subscription of the repository hello.
func (b *harness) hello(name string) subscription.PutRequest {
	b.Helper()
	rec := b.bound("i-1", name)
	ctx := b.services.Ledger.StartInvocation(context.Background())
	_, cred, err := b.Credentials.Token(ctx, rec.Key, credential.MinimumLife)
	if err != nil {
		b.Fatal(err)
	}
	page, err := b.webhooks(name).Repositories(ctx, cred, "", "")
	if err != nil {
		b.Fatal(err)
	}
	at := slices.IndexFunc(page.Repositories, func(r provider.Repository) bool {
		return strings.HasSuffix(r.Name, "/hello")
	})
	return subscription.PutRequest{
		Target: subscription.Target{
			By: user, Instance: registry("i-1"), Platform: name,
			Repository: binding.RepositoryKey(rec, page.Repositories[at].ID),
		},
		Kinds: binding.SourceKinds(),
	}
}

func (b *harness) webhooks(name string) provider.WebhookPlatform {
	known, _ := b.services.Ledger.Platforms.Get(name)
	platform, _ := provider.WebhooksOf(known)
	return platform
}
