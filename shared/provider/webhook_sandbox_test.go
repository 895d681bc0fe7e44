package provider_test

import (
	"strings"
	"testing"

	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

func TestWebhooksAreManagedInTheSandbox(t *testing.T) {
	for _, name := range []string{provider.Codeup, provider.Gitee, provider.GitLab} {
		r := newReader(t, name)
		p, _ := r.set.Get(name)
		hooks, _ := provider.WebhooksOf(p)
		ctx, at := t.Context(), r.named(t, "/hello")
		want := provider.WebhookParams{
			URL: "https://bindery.example/v1/hooks/x/1", Push: true, Tag: true, Merge: true,
			Secret: secret.New(strings.Repeat("A", 43)),
		}
		made, err := hooks.CreateWebhook(ctx, r.cred, at.ID, want)
		if err != nil || !made.Matches(want) {
			t.Fatalf("%s: created: %+v, %v", name, made, err)
		}
		found, ok, err := hooks.FindWebhook(ctx, r.cred, at.ID, "", want.URL)
		testkit.WantEqual(t, name+": found", []any{found, ok, err}, []any{made, true, error(nil)})
		want.URL += "2"
		repaired, err := hooks.RepairWebhook(ctx, r.cred, at.ID, made.ID, want)
		if err != nil || !repaired.Matches(want) || repaired.ID != made.ID {
			t.Fatalf("%s: repaired: %+v, %v", name, repaired, err)
		}
		testkit.Want(t, name+": signed", repaired.Signed, name == provider.GitLab)
		for range 2 {
			err := hooks.DeleteWebhook(ctx, r.cred, at.ID, made.ID)
			testkit.Want(t, name+": deleted", err, nil)
		}
		_, ok, err = hooks.FindWebhook(ctx, r.cred, at.ID, made.ID, want.URL)
		testkit.WantEqual(t, name+": gone", []any{ok, err}, []any{false, error(nil)})
	}
}
