package provider

import (
	"context"
	"net/http"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// Source: help.aliyun.com/zh/yunxiao/developer-reference, CreateWebhook, UpdateWebhook,
// DeleteWebhook, ListWebhooks and GetChangeRequest.

// mayMerges is asked for when a merge request is confirmed, and users aren't asked to grant it.
const mayMerges = "合并请求：只读"

// given reports whether a text of a reply is not empty, without keeping it.
type given bool

// UnmarshalJSON never fails.
func (g *given) UnmarshalJSON(data []byte) error {
	*g = string(data) != `""`
	return nil
}

// codeupHook is a webhook. Of its token, which Codeup tells in clear, only its presence is kept.
type codeupHook struct {
	ID            loose  `json:"id"`
	URL           loose  `json:"url"`
	HasSecret     *given `json:"token"`
	PushEvents    loose  `json:"pushEvents"`
	TagPushEvents loose  `json:"tagPushEvents"`
	VerifiesTLS   loose  `json:"enableSslVerification"` // or "enableSSLVerification"
	// Codeup's replies have either spelling.
	MergeRequestsEvents loose `json:"mergeRequestsEvents"`
	MergeRequestEvents  loose `json:"mergeRequestEvents"`
}

func (h codeupHook) webhook() Webhook {
	return Webhook{
		ID:            string(h.ID),
		URL:           string(h.URL),
		Push:          h.PushEvents == "true",
		Tag:           h.TagPushEvents == "true",
		Merge:         h.MergeRequestsEvents == "true" || h.MergeRequestEvents == "true",
		Active:        true, // Codeup doesn't disable any, as far as it tells
		Altered:       insecure(h.URL, h.VerifiesTLS),
		SecretMissing: h.HasSecret != nil && !bool(*h.HasSecret),
	}
}

func codeupHookFields(want WebhookParams) secret.Text {
	return jsonOf(map[string]any{
		"url":                   want.URL,
		"token":                 want.Secret.Reveal(),
		"description":           "Bindery",
		"enableSslVerification": strings.HasPrefix(want.URL, "https://"),
		"pushEvents":            want.Push,
		"tagPushEvents":         want.Tag,
		"mergeRequestsEvents":   want.Merge,
		"noteEvents":            false,
	})
}

// codeupWebhooks implements [WebhookPlatform] and [MergePlatform].
type codeupWebhooks struct{ *codeupRepositories }

func (p *codeup) webhooks() WebhookPlatform { return &codeupWebhooks{(*codeupRepositories)(p)} }

// CreateWebhook implements [WebhookPlatform]. What Codeup answers at its limit is not known.
func (p *codeupWebhooks) CreateWebhook(
	ctx context.Context, cred Credential, repository string, want WebhookParams,
) (Webhook, error) {
	return p.setHook(ctx, cred, call{method: http.MethodPost}, repository, "", want)
}

// FindWebhook implements [WebhookPlatform].
func (p *codeupWebhooks) FindWebhook(
	ctx context.Context, cred Credential, repository, id, url string,
) (Webhook, bool, error) {
	return findWebhook(id, url, func(n int) (hooks []Webhook, more bool, err error) {
		var list []codeupHook
		k := call{limit: maxListLength}
		r, err := p.sendHook(ctx, cred, k, repository, "?"+codeupQuery("", n), mayReadHooks, &list)
		for _, h := range list {
			hooks = append(hooks, h.webhook())
		}
		return hooks, toldNext(r, len(list)), err
	})
}

// RepairWebhook implements [WebhookPlatform].
func (p *codeupWebhooks) RepairWebhook(
	ctx context.Context, cred Credential, repository, id string, want WebhookParams,
) (Webhook, error) {
	if !numeric(id) {
		return Webhook{}, p.problem(problem.WebhookLost)
	}
	return p.setHook(ctx, cred, call{method: http.MethodPut}, repository, "/"+id, want)
}

func (p *codeupWebhooks) setHook(
	ctx context.Context, cred Credential, k call, repository, path string, want WebhookParams,
) (Webhook, error) {
	var hook codeupHook
	k = k.withJSON(codeupHookFields(want))
	r, err := p.sendHook(ctx, cred, k, repository, path, mayWriteHooks, &hook)
	if err != nil {
		return Webhook{}, err
	}
	if !numeric(string(hook.ID)) {
		return Webhook{}, p.unexpected(r)
	}
	return hook.webhook(), nil
}

// DeleteWebhook implements [WebhookPlatform].
func (p *codeupWebhooks) DeleteWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	if !numeric(id) {
		return nil
	}
	k := call{method: http.MethodDelete}
	_, err := p.sendHook(ctx, cred, k, repository, "/"+id, mayWriteHooks, nil)
	if problem.Is(err, problem.WebhookLost) {
		return nil
	}
	return err
}

// TestWebhook implements [WebhookPlatform]: only the console has a test.
func (p *codeupWebhooks) TestWebhook(context.Context, Credential, string, string) error {
	return ErrNoTest
}

// WebhooksURL implements [WebhookPlatform]. The address of the page with the webhooks is not known,
// so it is the repository's, which has the settings in its menu.
func (p *codeupWebhooks) WebhooksURL(webURL string) string { return webURL }

// sendHook makes a call about a repository's webhooks. path follows "webhooks". Codeup answers 403
// to a token without the permission, to a user without the role, and to a change of an archived
// repository. After one it is asked for the repository and the user's access, which costs a call
// more.
func (p *codeupWebhooks) sendHook(
	ctx context.Context, cred Credential, k call, repository, path, permission string, into any,
) (reply, error) {
	if !numeric(repository) {
		return reply{}, p.repositoryUnknown()
	}
	r, err := p.send(ctx, cred, k, "/"+repository+"/webhooks"+path, permission, into)
	if problem.Is(err, problem.PermissionMissing) {
		var at codeupProject
		_, other := p.look(ctx, cred, "/"+repository, mayRepositories, &at)
		if other == nil && at.Archived && k.method != "" {
			return r, p.problem(problem.RepositoryArchived).From(err)
		}
		if other == nil && at.AccessLevel != "" && at.AccessLevel != highestAccess {
			permission = ""
		}
		return r, p.webhooksForbidden(asDocumented(permission)).From(err)
	}
	means := p.repositoryUnknown()
	if strings.HasPrefix(path, "/") {
		means = p.problem(problem.WebhookLost)
	}
	return r, unknown(r, err, means)
}

// codeupMerge is a merge request as the API describes it.
type codeupMerge struct {
	LocalID        loose `json:"localId"`
	Title          loose `json:"title"`
	Status         loose `json:"status"`
	SourceBranch   loose `json:"sourceBranch"`
	TargetBranch   loose `json:"targetBranch"`
	SourceCommit   loose `json:"sourceCommitId"`
	MergedRevision loose `json:"mergedRevision"` // of a merged one only
	DetailURL      loose `json:"detailUrl"`
}

// codeupMergeStates are the actions that follow from the states.
var codeupMergeStates = map[loose]string{
	"UNDER_DEV": "updated", "UNDER_REVIEW": "updated", "TO_BE_MERGED": "updated",
	"CLOSED": "closed", "MERGED": "merged",
}

// MergeRequest implements [MergePlatform].
func (p *codeupWebhooks) MergeRequest(
	ctx context.Context, cred Credential, repository, number string,
) (Change, error) {
	if !numeric(repository) || !numeric(number) {
		return Change{}, p.refUnknown(number)
	}
	var m codeupMerge
	path := "/" + repository + "/changeRequests/" + number
	r, err := p.look(ctx, cred, path, mayMerges, &m)
	if problem.Is(err, problem.PermissionMissing) {
		return Change{}, p.webhooksForbidden(mayMerges).From(err)
	}
	if err != nil {
		return Change{}, unknown(r, err, p.refUnknown(number))
	}
	commit := m.SourceCommit
	if m.Status == "MERGED" {
		commit = m.MergedRevision
	}
	change, ok := newMerge(m.TargetBranch, commit, MergeRequest{
		Number: string(m.LocalID), Title: string(m.Title), Source: string(m.SourceBranch),
		URL: onSite(p.site, string(m.DetailURL)), Action: codeupMergeStates[m.Status],
	})
	if !ok || string(m.LocalID) != number {
		return Change{}, p.unexpected(r)
	}
	return change, nil
}
