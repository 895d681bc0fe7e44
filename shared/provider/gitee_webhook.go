package provider

import (
	"context"
	"net/http"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// Source: gitee.com/api/v5/swagger; replies recorded by go-scm. That a user who may not administer
// the repository is told "not found" or 403 is assumed.

// giteeHookScope may manage webhooks.
const giteeHookScope = "hook"

// giteePullScope is named where Gitee refuses to tell of a pull request for want of a scope. It is
// assumed that projects is enough.
const giteePullScope = "pull_requests"

// giteeHook is a webhook. Its password, which Gitee tells in clear, is not read.
type giteeHook struct {
	ID                  loose `json:"id"`
	URL                 loose `json:"url"`
	PushEvents          bool  `json:"push_events"`
	TagPushEvents       bool  `json:"tag_push_events"`
	MergeRequestsEvents bool  `json:"merge_requests_events"`
	// EncryptionType is 0 for a password and 1 for a key that signs; not every reply has it.
	EncryptionType loose `json:"encryption_type"`
}

func (h giteeHook) webhook() Webhook {
	return Webhook{
		ID:            string(h.ID),
		URL:           string(h.URL),
		Push:          h.PushEvents,
		Tag:           h.TagPushEvents,
		Merge:         h.MergeRequestsEvents,
		Active:        true, // Gitee doesn't disable any, as far as it tells
		SecretMissing: h.EncryptionType == "0",
	}
}

func giteeHookFields(want WebhookParams) secret.Text {
	return jsonOf(map[string]any{
		"url":                   want.URL,
		"encryption_type":       1,
		"password":              want.Secret.Reveal(),
		"push_events":           want.Push,
		"tag_push_events":       want.Tag,
		"merge_requests_events": want.Merge,
		"issues_events":         false,
		"note_events":           false,
	})
}

// giteeWebhooks implements [WebhookPlatform] and [MergePlatform]. Each call about a webhook is
// preceded by one for the repository's path: see [gitee.find].
type giteeWebhooks struct{ *giteeRepositories }

func (g *gitee) webhooks() WebhookPlatform { return &giteeWebhooks{(*giteeRepositories)(g)} }

// CreateWebhook implements [WebhookPlatform]. What Gitee answers at its limit is not known.
func (g *giteeWebhooks) CreateWebhook(
	ctx context.Context, cred Credential, repository string, want WebhookParams,
) (Webhook, error) {
	return g.setHook(ctx, cred, call{method: http.MethodPost}, repository, "", want)
}

// FindWebhook implements [WebhookPlatform].
func (g *giteeWebhooks) FindWebhook(
	ctx context.Context, cred Credential, repository, id, url string,
) (Webhook, bool, error) {
	at, err := g.find(ctx, cred, repository)
	if err != nil {
		return Webhook{}, false, err
	}
	return findWebhook(id, url, func(n int) (hooks []Webhook, more bool, err error) {
		var list []giteeHook
		r, err := g.send(ctx, cred, call{}, at, "?"+giteeQuery(n).Encode(), &list)
		for _, h := range list {
			hooks = append(hooks, h.webhook())
		}
		return hooks, giteeNext(r, n) || r.header.Get(giteePages) == "" && len(list) == listSize, err
	})
}

// RepairWebhook implements [WebhookPlatform].
func (g *giteeWebhooks) RepairWebhook(
	ctx context.Context, cred Credential, repository, id string, want WebhookParams,
) (Webhook, error) {
	if !numeric(id) {
		return Webhook{}, g.problem(problem.WebhookLost)
	}
	return g.setHook(ctx, cred, call{method: http.MethodPatch}, repository, "/"+id, want)
}

func (g *giteeWebhooks) setHook(
	ctx context.Context, cred Credential, k call, repository, path string, want WebhookParams,
) (Webhook, error) {
	at, err := g.find(ctx, cred, repository)
	if err != nil {
		return Webhook{}, err
	}
	var hook giteeHook
	r, err := g.send(ctx, cred, k.withJSON(giteeHookFields(want)), at, path, &hook)
	if err != nil {
		return Webhook{}, err
	}
	if !numeric(string(hook.ID)) {
		return Webhook{}, g.unexpected(r)
	}
	return hook.webhook(), nil
}

// DeleteWebhook implements [WebhookPlatform].
func (g *giteeWebhooks) DeleteWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	err := g.toHook(ctx, cred, http.MethodDelete, repository, id, "")
	if problem.Is(err, problem.WebhookLost) {
		return nil
	}
	return err
}

// TestWebhook implements [WebhookPlatform].
func (g *giteeWebhooks) TestWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	return g.toHook(ctx, cred, http.MethodPost, repository, id, "/tests")
}

// toHook makes a call without a body to a webhook.
func (g *giteeWebhooks) toHook(
	ctx context.Context, cred Credential, method, repository, id, path string,
) error {
	if !numeric(id) {
		return g.problem(problem.WebhookLost)
	}
	at, err := g.find(ctx, cred, repository)
	if err != nil {
		return err
	}
	_, err = g.send(ctx, cred, call{method: method}, at, "/"+id+path, nil)
	return err
}

// WebhooksURL implements [WebhookPlatform].
func (g *giteeWebhooks) WebhooksURL(webURL string) string { return under(webURL, "/hooks") }

// send makes a call about a repository's webhooks, whose address it sets. path follows "hooks". The
// repository was just found, so "not found" is about the webhook or, without one, the right.
func (g *giteeWebhooks) send(
	ctx context.Context, cred Credential, k call, at giteeRepository, path string, into any,
) (reply, error) {
	below, err := g.below(at, "/hooks"+path)
	if err != nil {
		return reply{}, err
	}
	k.address, k.limit = below.address, below.limit
	r, err := g.askAs(ctx, k, cred, into)
	means := g.webhooksForbidden("")
	if strings.HasPrefix(path, "/") {
		means = g.problem(problem.WebhookLost)
	}
	return r, unknown(r, g.forbidden(r, err, giteeHookScope), means)
}

// forbidden returns the problem of a 403 to a call about webhooks or pull requests.
func (g *giteeWebhooks) forbidden(r reply, err error, scope string) error {
	e, _ := r.apiError()
	switch {
	case problem.Is(err, problem.PermissionMissing):
		return g.webhooksForbidden(scope).From(err)
	case problem.Is(err, problem.PlatformError) && r.status == http.StatusForbidden &&
		e.code == onlyMessage:
		return g.webhooksForbidden("").From(err)
	}
	return err
}

// giteePull is a pull request, as the API and a delivery describe it.
type giteePull struct {
	Number    loose       `json:"number"`
	Title     loose       `json:"title"`
	Status    loose       `json:"state"`
	HTMLURL   loose       `json:"html_url"`
	UpdatedAt loose       `json:"updated_at"`
	MergeSHA  loose       `json:"merge_commit_sha"` // of a trial merge while it is open
	Head      giteeBranch `json:"head"`
	Base      giteeBranch `json:"base"`
}

type giteeBranch struct {
	Ref  loose           `json:"ref"`
	SHA  loose           `json:"sha"`
	Repo giteeRepository `json:"repo"`
}

// change returns the change of the request, and whether it can be one.
func (p giteePull) change(site, action string) (Change, bool) {
	commit := p.Head.SHA
	if action == "merged" {
		commit = p.MergeSHA
	}
	return newMerge(p.Base.Ref, commit, MergeRequest{
		Number: string(p.Number), Title: string(p.Title), Source: string(p.Head.Ref),
		URL: onSite(site, string(p.HTMLURL)), Action: action,
	})
}

// giteePullStates are the actions that follow from the states.
var giteePullStates = map[loose]string{"open": "updated", "closed": "closed", "merged": "merged"}

// MergeRequest implements [MergePlatform]. It costs one call more, for the repository's path. The
// commit of a merge is "" if Gitee doesn't tell it.
func (g *giteeWebhooks) MergeRequest(
	ctx context.Context, cred Credential, repository, number string,
) (Change, error) {
	if !numeric(number) {
		return Change{}, g.refUnknown(number)
	}
	at, err := g.find(ctx, cred, repository)
	if err != nil {
		return Change{}, err
	}
	var pull giteePull
	r, err := g.in(ctx, cred, at, "/pulls/"+number, &pull)
	if err != nil {
		return Change{}, unknown(r, g.forbidden(r, err, giteePullScope), g.refUnknown(number))
	}
	change, ok := pull.change(g.site, giteePullStates[pull.Status])
	if !ok || string(pull.Number) != number {
		return Change{}, g.unexpected(r)
	}
	return change, nil
}
