package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"bindery/shared/problem"
)

// bitbucketWebhooks implements [WebhookPlatform] and [MergePlatform].
//
// Source: developer.atlassian.com/cloud/bitbucket/rest, "Webhooks" and "Pull requests".
type bitbucketWebhooks struct{ *bitbucketRepositories }

func (b *bitbucket) webhooks() WebhookPlatform {
	return &bitbucketWebhooks{(*bitbucketRepositories)(b)}
}

// bitbucketHook is Bitbucket's description of a webhook. The secret is never told.
type bitbucketHook struct {
	UUID      loose   `json:"uuid"`
	URL       loose   `json:"url"`
	Active    bool    `json:"active"`
	Events    []loose `json:"events"`
	SecretSet *bool   `json:"secret_set"` // since 2023
	NoCheck   bool    `json:"skip_cert_verification"`
}

func (h bitbucketHook) webhook() Webhook {
	push, merge := slices.Contains(h.Events, bitbucketPush), true
	for event := range bitbucketActions {
		merge = merge && slices.Contains(h.Events, loose(event))
	}
	return Webhook{
		ID: string(h.UUID), URL: string(h.URL), Push: push, Tag: push, Merge: merge,
		Active: h.Active, Altered: h.NoCheck, SecretMissing: h.SecretSet != nil && !*h.SecretSet,
		Signed: true,
	}
}

// bitbucketHookFields returns what a webhook should be. An edit that leaves the secret out doesn't
// change it.
func bitbucketHookFields(want WebhookParams) map[string]any {
	var events []string
	if want.Push || want.Tag {
		events = append(events, bitbucketPush)
	}
	if want.Merge {
		for event := range bitbucketActions {
			events = append(events, event)
		}
		slices.Sort(events)
	}
	return map[string]any{
		"description": "Bindery", "url": want.URL, "active": true, "events": events,
		"skip_cert_verification": false, "secret": want.Secret.Reveal(),
	}
}

// CreateWebhook implements [WebhookPlatform]. It doesn't look for a webhook with this URL, since
// Bitbucket allows several.
func (b *bitbucketWebhooks) CreateWebhook(
	ctx context.Context, cred Credential, repository string, want WebhookParams,
) (Webhook, error) {
	var made bitbucketHook
	r, err := b.hooks(
		ctx, cred, http.MethodPost, repository, "", bitbucketHookFields(want), &made)
	if err != nil {
		return Webhook{}, b.refused(ctx, cred, repository, r, err, err)
	}
	return b.told(made, r)
}

// FindWebhook implements [WebhookPlatform].
func (b *bitbucketWebhooks) FindWebhook(
	ctx context.Context, cred Credential, repository, id, url string,
) (Webhook, bool, error) {
	if isUUID(id) {
		var one bitbucketHook
		r, err := b.hooks(ctx, cred, http.MethodGet, repository, id, nil, &one)
		if err == nil {
			hook, err := b.told(one, r)
			return hook, err == nil, err
		}
		if r.status != http.StatusNotFound {
			return Webhook{}, false, b.refused(ctx, cred, repository, r, err, err)
		}
	}
	page := ""
	for range maxScannedPages {
		list, next, err := b.hookPage(ctx, cred, repository, page)
		if err != nil {
			return Webhook{}, false, err
		}
		for _, h := range list {
			if string(h.URL) == url && isUUID(string(h.UUID)) {
				return h.webhook(), true, nil
			}
		}
		if page = next; page == "" {
			break
		}
	}
	return Webhook{}, false, nil
}

// hookPage returns a page of a repository's webhooks, and the name of the next one.
func (b *bitbucketWebhooks) hookPage(
	ctx context.Context, cred Credential, repository, page string,
) ([]bitbucketHook, string, error) {
	path, ok := bitbucketPath(repository)
	if !ok {
		return nil, "", b.repositoryUnknown()
	}
	var list struct {
		Values []bitbucketHook `json:"values"`
		Next   loose           `json:"next"`
	}
	query := url.Values{"pagelen": {strconv.Itoa(listSize)}}
	if page != "" {
		query.Set("page", page)
	}
	r, err := b.look(ctx, cred, path+"/hooks?"+query.Encode(), &list)
	if err != nil {
		return nil, "", b.refused(ctx, cred, repository, r, err, err)
	}
	next, err := b.nextPage(r, list.Next)
	return list.Values, next, err
}

// RepairWebhook implements [WebhookPlatform].
func (b *bitbucketWebhooks) RepairWebhook(
	ctx context.Context, cred Credential, repository, id string, want WebhookParams,
) (Webhook, error) {
	if !isUUID(id) {
		return Webhook{}, b.problem(problem.WebhookLost)
	}
	var made bitbucketHook
	r, err := b.hooks(
		ctx, cred, http.MethodPut, repository, id, bitbucketHookFields(want), &made)
	if err != nil {
		return Webhook{}, b.refused(ctx, cred, repository, r, err, b.problem(problem.WebhookLost))
	}
	return b.told(made, r)
}

// DeleteWebhook implements [WebhookPlatform].
func (b *bitbucketWebhooks) DeleteWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	if !isUUID(id) {
		return nil
	}
	r, err := b.hooks(ctx, cred, http.MethodDelete, repository, id, nil, nil)
	return b.refused(ctx, cred, repository, r, err, nil)
}

// TestWebhook implements [WebhookPlatform]: there is no test.
func (b *bitbucketWebhooks) TestWebhook(context.Context, Credential, string, string) error {
	return ErrNoTest
}

// WebhooksURL implements [WebhookPlatform].
func (b *bitbucketWebhooks) WebhooksURL(webURL string) string {
	return under(webURL, "/admin/webhooks")
}

// hooks makes a call for a repository's webhooks, or for the one with the id.
func (b *bitbucketWebhooks) hooks(
	ctx context.Context, cred Credential, method, repository, id string,
	fields map[string]any, into any,
) (reply, error) {
	path, ok := bitbucketPath(repository)
	if !ok {
		return reply{}, b.repositoryUnknown()
	}
	k := call{method: method, address: b.api + path + "/hooks"}
	if id != "" {
		k.address += "/" + url.PathEscape(id)
	}
	if fields != nil {
		k = k.withJSON(jsonOf(fields))
	}
	return b.askAs(ctx, k, cred, into)
}

// told returns the webhook of a successful reply.
func (b *bitbucketWebhooks) told(hook bitbucketHook, r reply) (Webhook, error) {
	if !isUUID(string(hook.UUID)) {
		return Webhook{}, b.unexpected(r)
	}
	return hook.webhook(), nil
}

// refused returns what err, the outcome of a call for a repository's webhooks or pull requests,
// means. After a 404 it asks for the repository; absent is the meaning if that is there. How
// Bitbucket refuses one webhook too many is assumed.
func (b *bitbucketWebhooks) refused(
	ctx context.Context, cred Credential, repository string, r reply, err, absent error,
) error {
	e, _ := r.apiError()
	switch {
	case err == nil:
		return nil
	case problem.Is(err, problem.PermissionMissing):
		return b.webhooksForbidden(b.lackingScopes(r)).From(err)
	case e.code != bitbucketShape:
		return err
	case r.status == http.StatusForbidden && problem.Is(err, problem.PlatformError):
		return b.webhooksForbidden("").From(err)
	case r.status == http.StatusBadRequest &&
		(matches("*limit*", e.text) || matches("*maximum*", e.text)):
		return b.problem(problem.WebhooksFull).From(err)
	case r.status != http.StatusNotFound:
		return err
	}
	if _, err := b.one(ctx, cred, repository); err != nil {
		return err
	}
	return absent
}

// lackingScopes returns the scopes that a refusal says the token needs and lacks. A webhook's
// events need scopes of their own: those of pull requests "pullrequest".
func (b *bitbucketWebhooks) lackingScopes(r reply) string {
	var told struct {
		Error struct {
			Detail struct {
				Required json.RawMessage `json:"required"`
				Granted  json.RawMessage `json:"granted"`
			} `json:"detail"`
		} `json:"error"`
	}
	_ = json.Unmarshal(r.body, &told)
	detail := told.Error.Detail
	missing := b.scopes.lacking(scopesOf(detail.Required), scopesOf(detail.Granted))
	return cmp.Or(strings.Join(missing, ", "), "webhook")
}
