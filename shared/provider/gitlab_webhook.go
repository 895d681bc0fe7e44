package provider

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// Source: gitlabhq's doc/api/project_webhooks.md, lib/api/helpers/web_hooks_helpers.rb,
// lib/api/hooks/trigger_test.rb and app/models/concerns/web_hooks/auto_disabling.rb.

// gitLabHook is a webhook. Its tokens are never told.
type gitLabHook struct {
	ID                  loose `json:"id"`
	URL                 loose `json:"url"`
	PushEvents          bool  `json:"push_events"`
	BranchFilter        loose `json:"push_events_branch_filter"`
	TagPushEvents       bool  `json:"tag_push_events"`
	MergeRequestsEvents bool  `json:"merge_requests_events"`
	VerifiesTLS         loose `json:"enable_ssl_verification"`
	// AlertStatus is "executable", "temporarily_disabled" or "disabled"; older servers have none.
	AlertStatus loose `json:"alert_status"`
	// TokenPresent and SigningTokenPresent are told since 19.0.
	TokenPresent        *bool `json:"token_present"`
	SigningTokenPresent bool  `json:"signing_token_present"`
}

func (h gitLabHook) webhook() Webhook {
	active := h.AlertStatus == "" || h.AlertStatus == "executable"
	return Webhook{
		ID:            string(h.ID),
		URL:           string(h.URL),
		Push:          h.PushEvents,
		Tag:           h.TagPushEvents,
		Merge:         h.MergeRequestsEvents,
		Active:        active,
		NeedsTest:     !active,
		Altered:       h.BranchFilter != "" || insecure(h.URL, h.VerifiesTLS),
		SecretMissing: h.TokenPresent != nil && !*h.TokenPresent,
		Signed:        h.SigningTokenPresent,
	}
}

// insecure reports whether a webhook over TLS is sent without a look at the certificate.
func insecure(url, verifies loose) bool {
	return strings.HasPrefix(string(url), "https://") && verifies == "false"
}

// gitLabHookFields returns what a webhook is set to. Every event is named, since some are on by
// default. Both forms of the secret are sent: a server before 19.0 ignores the signing token, and a
// new address clears the token.
func gitLabHookFields(want WebhookParams) secret.Text {
	fields := map[string]any{
		"url":                       want.URL,
		"token":                     want.Secret.Reveal(),
		"enable_ssl_verification":   strings.HasPrefix(want.URL, "https://"),
		"push_events":               want.Push,
		"tag_push_events":           want.Tag,
		"merge_requests_events":     want.Merge,
		"push_events_branch_filter": "",
		"branch_filter_strategy":    "all_branches",
	}
	for _, event := range []string{
		"issues", "confidential_issues", "note", "confidential_note", "job", "pipeline",
		"wiki_page", "deployment", "feature_flag", "releases", "resource_access_token",
	} {
		fields[event+"_events"] = false
	}
	if key, ok := gitLabSigningKey(want.Secret); ok {
		fields["signing_token"] = "whsec_" + base64.StdEncoding.EncodeToString(key)
	}
	return jsonOf(fields)
}

// gitLabSigningKey returns the 32 bytes of a webhook's secret, which are its signing token, and
// whether it has them.
func gitLabSigningKey(s secret.Text) ([]byte, bool) {
	key, err := base64.RawURLEncoding.DecodeString(s.Reveal())
	return key, err == nil && len(key) == 32
}

// gitLabWebhooks implements [WebhookPlatform] and [MergePlatform].
type gitLabWebhooks struct{ *gitLabRepositories }

func (g *gitLab) webhooks() WebhookPlatform { return &gitLabWebhooks{(*gitLabRepositories)(g)} }

// CreateWebhook implements [WebhookPlatform]. GitLab limits how often a user may do this.
func (g *gitLabWebhooks) CreateWebhook(
	ctx context.Context, cred Credential, repository string, want WebhookParams,
) (Webhook, error) {
	return g.setHook(ctx, cred, call{method: http.MethodPost}, repository, "", want)
}

// FindWebhook implements [WebhookPlatform]. It is one call for each hundred webhooks.
func (g *gitLabWebhooks) FindWebhook(
	ctx context.Context, cred Credential, repository, id, url string,
) (Webhook, bool, error) {
	return findWebhook(id, url, func(n int) (hooks []Webhook, more bool, err error) {
		var list []gitLabHook
		path := fmt.Sprintf("?per_page=%d&page=%d", listSize, n)
		r, err := g.send(ctx, cred, call{}, repository, path, &list)
		for _, h := range list {
			hooks = append(hooks, h.webhook())
		}
		return hooks, toldNext(r, len(list)), err
	})
}

// RepairWebhook implements [WebhookPlatform]. A webhook that GitLab has disabled stays so until a
// test.
func (g *gitLabWebhooks) RepairWebhook(
	ctx context.Context, cred Credential, repository, id string, want WebhookParams,
) (Webhook, error) {
	if !numeric(id) {
		return Webhook{}, g.problem(problem.WebhookLost)
	}
	return g.setHook(ctx, cred, call{method: http.MethodPut}, repository, "/"+id, want)
}

func (g *gitLabWebhooks) setHook(
	ctx context.Context, cred Credential, k call, repository, path string, want WebhookParams,
) (Webhook, error) {
	var hook gitLabHook
	r, err := g.send(ctx, cred, k.withJSON(gitLabHookFields(want)), repository, path, &hook)
	if err != nil {
		return Webhook{}, err
	}
	if !numeric(string(hook.ID)) {
		return Webhook{}, g.unexpected(r)
	}
	return hook.webhook(), nil
}

// DeleteWebhook implements [WebhookPlatform].
func (g *gitLabWebhooks) DeleteWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	if !numeric(id) {
		return nil
	}
	_, err := g.send(ctx, cred, call{method: http.MethodDelete}, repository, "/"+id, nil)
	if problem.Is(err, problem.WebhookLost) {
		return nil
	}
	return err
}

// TestWebhook implements [WebhookPlatform]. GitLab sends the test and then answers, with 422 if the
// receiver refused it. Servers before 16.11 have no such call.
func (g *gitLabWebhooks) TestWebhook(
	ctx context.Context, cred Credential, repository, id string,
) error {
	if !numeric(id) {
		return g.problem(problem.WebhookLost)
	}
	r, err := g.send(ctx, cred, call{method: http.MethodPost}, repository,
		"/"+id+"/test/push_events", nil)
	if e, isJSON := r.apiError(); tooOld(r) && isJSON && e.code == "404 not found" {
		return ErrNoTest
	}
	return err
}

// WebhooksURL implements [WebhookPlatform].
func (g *gitLabWebhooks) WebhooksURL(webURL string) string { return under(webURL, "/-/hooks") }

// send makes a call about a project's webhooks, whose address and credential it sets. path follows
// "hooks". GitLab refuses an administrator's change of an archived project as it refuses another
// user's: after such an answer it is asked for the project, which costs a call more.
func (g *gitLabWebhooks) send(
	ctx context.Context, cred Credential, k call, repository, path string, into any,
) (reply, error) {
	if !numeric(repository) {
		return reply{}, g.repositoryUnknown()
	}
	at := (*gitLab)(g.gitLabRepositories).get(cred, "projects/"+repository+"/hooks"+path)
	k.address, k.auth, k.limit = at.address, at.auth, maxListLength
	r, err := g.ask(ctx, k, into)
	err = g.hookProblem(r, err)
	forbidden := problem.Is(err, problem.WebhooksForbidden) && problem.Of(err).Reason == "role"
	if forbidden && k.method != "" {
		if found, _ := g.Repository(ctx, cred, repository); found.Archived {
			err = g.problem(problem.RepositoryArchived).From(err)
		}
	}
	return r, err
}

// hookProblem returns the problem of a call about webhooks.
func (g *gitLabWebhooks) hookProblem(r reply, err error) error {
	e, isJSON := r.apiError()
	message := e.text
	if e.code != onlyMessage {
		message = e.code + e.text
	}
	switch {
	case err == nil || !isJSON:
		return err
	case problem.Is(err, problem.PermissionMissing) && problem.Of(err).Reason == "":
		return g.webhooksForbidden(gitLabScope).From(err)
	// The text is within a list or a map in some versions.
	case bytes.Contains(r.body, []byte("Maximum number of project hooks")):
		return g.problem(problem.WebhooksFull).From(err)
	case r.status == http.StatusUnprocessableEntity && message == "invalid url given":
		return g.problem(problem.WebhooksForbidden).Because("address").From(err)
	case r.status == http.StatusForbidden && message == "403 forbidden":
		return g.webhooksForbidden("").From(err)
	case r.status == http.StatusNotFound && message == "404 project not found":
		return g.repositoryUnknown().From(err)
	case r.status == http.StatusNotFound && matches("404 *", message):
		return g.problem(problem.WebhookLost).From(err)
	}
	return err
}

// gitLabMerge is a merge request as the API describes it.
type gitLabMerge struct {
	IID          loose `json:"iid"`
	Title        loose `json:"title"`
	Status       loose `json:"state"`
	SourceBranch loose `json:"source_branch"`
	TargetBranch loose `json:"target_branch"`
	WebURL       loose `json:"web_url"`
	SHA          loose `json:"sha"`
	MergeSHA     loose `json:"merge_commit_sha"`
	SquashSHA    loose `json:"squash_commit_sha"`
}

// gitLabMergeStates are the actions that follow from the states. A merge request is locked while it
// is merged.
var gitLabMergeStates = map[loose]string{
	"opened": "updated", "locked": "updated", "closed": "closed", "merged": "merged",
}

// MergeRequest implements [MergePlatform]. A merge without a commit of its own, a fast-forward, has
// the commit of the squash or the head.
//
// Source: gitlabhq's doc/api/merge_requests.md.
func (g *gitLabWebhooks) MergeRequest(
	ctx context.Context, cred Credential, repository, number string,
) (Change, error) {
	if !numeric(repository) || !numeric(number) {
		return Change{}, g.refUnknown(number)
	}
	var m gitLabMerge
	r, err := g.look(ctx, cred, "projects/"+repository+"/merge_requests/"+number, &m)
	if err != nil {
		return Change{}, unknown(r, err, g.refUnknown(number))
	}
	commit := m.SHA
	if m.Status == "merged" {
		commit = firstHash(m.MergeSHA, m.SquashSHA, m.SHA)
	}
	change, ok := newMerge(m.TargetBranch, commit, MergeRequest{
		Number: string(m.IID), Title: string(m.Title), Source: string(m.SourceBranch),
		URL: onSite(cred.Address, string(m.WebURL)), Action: gitLabMergeStates[m.Status],
	})
	if !ok || string(m.IID) != number {
		return Change{}, g.unexpected(r)
	}
	return change, nil
}

// firstHash returns the first that is a full hash, "" if none is.
func firstHash(told ...loose) loose {
	for _, hash := range told {
		if isFullHash(string(hash)) {
			return hash
		}
	}
	return ""
}
