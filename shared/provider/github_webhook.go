package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"bindery/shared/problem"
)

// gitHubWebhooks implements [WebhookPlatform].
//
// Source: docs.github.com, "REST API endpoints for repository webhooks"; the texts of refusals are
// from replies that users have published.
type gitHubWebhooks struct{ *gitHubRepositories }

func (g *gitHub) webhooks() WebhookPlatform { return &gitHubWebhooks{(*gitHubRepositories)(g)} }

// gitHubHook is GitHub's description of a webhook. Its secret is masked: only whether there is one
// is known.
type gitHubHook struct {
	ID     loose   `json:"id"`
	Active bool    `json:"active"`
	Events []loose `json:"events"`
	Config struct {
		URL         loose `json:"url"`
		ContentType loose `json:"content_type"`
		InsecureSSL loose `json:"insecure_ssl"`
		Secret      loose `json:"secret"`
	} `json:"config"`
}

func (h gitHubHook) webhook() Webhook {
	sends := func(event loose) bool {
		return slices.Contains(h.Events, event) || slices.Contains(h.Events, "*")
	}
	return Webhook{
		ID: string(h.ID), URL: string(h.Config.URL), Active: h.Active, Signed: true,
		Push: sends(gitHubPush), Tag: sends(gitHubPush), Merge: sends(gitHubPullRequest),
		Altered: h.Config.ContentType != "json" ||
			h.Config.InsecureSSL != "" && h.Config.InsecureSSL != "0",
		SecretMissing: h.Config.Secret == "",
	}
}

// The events of a webhook. The events "create" and "delete" would tell of refs a second time.
const (
	gitHubPush        = "push"
	gitHubPullRequest = "pull_request"
)

// gitHubHookFields returns what a webhook should be. An edit has all fields: one that has a config
// without its secret clears the secret.
func gitHubHookFields(want WebhookParams) map[string]any {
	var events []string
	if want.Push || want.Tag {
		events = append(events, gitHubPush)
	}
	if want.Merge {
		events = append(events, gitHubPullRequest)
	}
	return map[string]any{
		"active": true, "events": events,
		"config": map[string]string{
			"url": want.URL, "content_type": "json", "insecure_ssl": "0",
			"secret": want.Secret.Reveal(),
		},
	}
}

// CreateWebhook implements [WebhookPlatform]. If there is one with this URL already, it is found
// and repaired.
func (g *gitHubWebhooks) CreateWebhook(
	ctx context.Context, cred Credential, repository string, want WebhookParams,
) (Webhook, error) {
	fields := gitHubHookFields(want)
	fields["name"] = "web"
	var made gitHubHook
	r, err := g.hooks(ctx, cred, http.MethodPost, repository, "", fields, &made)
	if r.status == http.StatusUnprocessableEntity && r.saysOfHook("*already exists*") {
		found, ok, err := g.FindWebhook(ctx, cred, repository, "", want.URL)
		if err != nil {
			return Webhook{}, err
		}
		if ok {
			return g.RepairWebhook(ctx, cred, repository, found.ID, want)
		}
	}
	if err != nil {
		return Webhook{}, g.refused(ctx, cred, repository, r, err, err)
	}
	return g.told(made, r)
}

// FindWebhook implements [WebhookPlatform].
func (g *gitHubWebhooks) FindWebhook(
	ctx context.Context, cred Credential, repository, id, url string,
) (Webhook, bool, error) {
	if numeric(id) {
		var one gitHubHook
		r, err := g.hooks(ctx, cred, http.MethodGet, repository, "/"+id, nil, &one)
		if err == nil {
			hook, err := g.told(one, r)
			return hook, err == nil, err
		}
		if r.status != http.StatusNotFound {
			return Webhook{}, false, g.refused(ctx, cred, repository, r, err, err)
		}
	}
	for n := 1; n <= maxScannedPages; n++ {
		var list []gitHubHook
		page := fmt.Sprintf("?per_page=%d&page=%d", listSize, n)
		r, err := g.hooks(ctx, cred, http.MethodGet, repository, page, nil, &list)
		if err != nil {
			return Webhook{}, false, g.refused(ctx, cred, repository, r, err, err)
		}
		for _, h := range list {
			if string(h.Config.URL) == url && numeric(string(h.ID)) {
				return h.webhook(), true, nil
			}
		}
		if !hasNext(r) {
			break
		}
	}
	return Webhook{}, false, nil
}

// RepairWebhook implements [WebhookPlatform].
func (g *gitHubWebhooks) RepairWebhook(
	ctx context.Context, cred Credential, repository, id string, want WebhookParams,
) (Webhook, error) {
	if !numeric(id) {
		return Webhook{}, g.problem(problem.WebhookLost)
	}
	var made gitHubHook
	r, err := g.hooks(
		ctx, cred, http.MethodPatch, repository, "/"+id, gitHubHookFields(want), &made)
	if err != nil {
		return Webhook{}, g.refused(ctx, cred, repository, r, err, g.problem(problem.WebhookLost))
	}
	return g.told(made, r)
}

// DeleteWebhook implements [WebhookPlatform].
func (g *gitHubWebhooks) DeleteWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	if !numeric(id) {
		return nil
	}
	r, err := g.hooks(ctx, cred, http.MethodDelete, repository, "/"+id, nil, nil)
	return g.refused(ctx, cred, repository, r, err, nil)
}

// TestWebhook implements [WebhookPlatform] by a ping.
func (g *gitHubWebhooks) TestWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	if !numeric(id) {
		return g.problem(problem.WebhookLost)
	}
	r, err := g.hooks(ctx, cred, http.MethodPost, repository, "/"+id+"/pings", nil, nil)
	return g.refused(ctx, cred, repository, r, err, g.problem(problem.WebhookLost))
}

// WebhooksURL implements [WebhookPlatform].
func (g *gitHubWebhooks) WebhooksURL(webURL string) string {
	return under(webURL, "/settings/hooks")
}

// hooks makes a call for a repository's webhooks.
func (g *gitHubWebhooks) hooks(
	ctx context.Context, cred Credential, method, repository, path string,
	fields map[string]any, into any,
) (reply, error) {
	if !numeric(repository) {
		return reply{}, g.repositoryUnknown()
	}
	k := call{
		method: method, address: g.api + "/repositories/" + repository + "/hooks" + path,
		header: gitHubHeader, limit: maxListLength,
	}
	if fields != nil {
		k = k.withJSON(jsonOf(fields))
	}
	return g.askForRepository(ctx, k, cred, into)
}

// told returns the webhook of a successful reply.
func (g *gitHubWebhooks) told(hook gitHubHook, r reply) (Webhook, error) {
	if !numeric(string(hook.ID)) {
		return Webhook{}, g.unexpected(r)
	}
	return hook.webhook(), nil
}

// refused returns what err, the outcome of a call for a repository's webhooks, means. GitHub
// answers 404 to a token without the scope and to a user who isn't an administrator too, and then
// it is asked for the repository. absent is the meaning of a 404 that is about the webhook itself.
func (g *gitHubWebhooks) refused(
	ctx context.Context, cred Credential, repository string, r reply, err, absent error,
) error {
	e, isJSON := r.apiError()
	switch {
	case err == nil || !isJSON || e.text == "":
		return err
	case r.status == http.StatusUnprocessableEntity && r.saysOfHook("*cannot have more than*"):
		return g.problem(problem.WebhooksFull).From(err)
	case r.status != http.StatusForbidden && r.status != http.StatusNotFound:
		return err
	case matches("*archived so is read-only*", e.text):
		return g.problem(problem.RepositoryArchived).From(err)
	case matches("*must have admin rights*", e.text):
		return g.webhooksForbidden("").From(err)
	case r.status == http.StatusForbidden:
		return err
	case lacksAcceptedScope(r):
		return g.webhooksForbidden(g.needs).From(err)
	}
	found, err := g.Repository(ctx, cred, repository)
	if err == nil && !found.CanSubscribe {
		err = g.webhooksForbidden("")
	}
	if err != nil {
		return err
	}
	return absent
}

// lacksAcceptedScope reports whether a reply says that the token has none of the scopes of which
// the call needs one.
func lacksAcceptedScope(r reply) bool {
	granted, told := headerScopes(r)
	accepted := splitScopes(r.header.Get("X-Accepted-OAuth-Scopes"))
	return told && len(accepted) > 0 && !slices.ContainsFunc(accepted, func(scope string) bool {
		return slices.Contains(granted, scope)
	})
}

// saysOfHook reports whether one of a reply's errors about the webhook's fields fits the pattern.
func (r reply) saysOfHook(pattern string) bool {
	var told struct {
		Errors []struct {
			Message loose `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(r.body, &told) != nil {
		return false
	}
	for _, e := range told.Errors {
		if matches(pattern, strings.ToLower(string(e.Message))) {
			return true
		}
	}
	return false
}
