package subscription_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

const forgeName = "forge"

// forge is a platform in memory whose repositories can be renamed, archived, deleted and filled
// with refs, which the sandbox's can't.
type forge struct {
	provider.Platform // none of its other methods is called, nor of the next
	provider.WebhookPlatform

	// before, if set, is called before each call is answered. It may refuse the call, or have the
	// reply lost.
	before func(call string) (lost, err error)

	mu           sync.Mutex
	last         int
	repositories map[string]*repository // by id
	test         error                  // of a test delivery
	noMerges     error                  // the answer to questions about merge requests
	unsigned     bool                   // its deliveries aren't signed
	calls        map[string]int
	left         time.Duration // that the last deletion of a webhook might take
}

// repository is a repository with its refs and webhooks.
type repository struct {
	name     string
	archived bool
	admins   []string // the tokens that may manage webhooks
	full     bool
	refs     map[string]string // "heads/main" -> two digits of the commit's hash
	page     int               // refs in a page; 0: all
	pathInID bool              // as at Gitee
	unlisted string            // a ref that a list leaves out
	hooks    map[string]*hook
}

type hook struct {
	provider.Webhook
	secret secret.Text
}

func newForge() *forge {
	return &forge{calls: map[string]int{}, repositories: map[string]*repository{
		"1": newRepository("acme/web", "alice"),
		"2": newRepository("acme/app", "alice"),
	}}
}

func newRepository(name string, admins ...string) *repository {
	return &repository{
		name: name, admins: admins, hooks: map[string]*hook{},
		refs: map[string]string{"heads/main": "c1"},
	}
}

func (f *forge) registration() provider.Registration {
	return provider.Registration{
		Name: forgeName, New: func(provider.Environment) provider.Platform { return f },
	}
}

func (f *forge) Describe() provider.Description {
	return provider.Description{Name: forgeName, Title: "Forge", Method: provider.ByToken}
}

func (f *forge) RevokeURL(string) string { return "https://forge.example/tokens" }

func (f *forge) Revoke(context.Context, provider.App, provider.Credential) error {
	return provider.ErrNoRevoke
}

func (f *forge) WebhooksURL(webURL string) string { return webURL + "/hooks" }

func (f *forge) Verify(_ context.Context, s provider.Submission) (provider.CheckResult, error) {
	name := s.Token.Reveal()
	return provider.CheckResult{
		Identity: provider.Identity{ID: name, Username: name}, Token: s.Token, GitUsername: name,
	}, nil
}

func (f *forge) Check(_ context.Context, c provider.Credential) (provider.CheckResult, error) {
	name := c.Access.Reveal()
	return provider.CheckResult{Identity: provider.Identity{ID: name, Username: name}}, nil
}

// call answers a call about a repository, unless before refuses it.
func (f *forge) call(
	name string, cred provider.Credential, id string, manages bool, do func(*repository) error,
) error {
	var lost error
	if f.before != nil {
		var err error
		if lost, err = f.before(name); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name]++
	number, _, _ := strings.Cut(id, "/")
	r := f.repositories[number]
	switch {
	case r == nil:
		return problem.New(problem.RepositoryUnknown)
	case manages && !slices.Contains(r.admins, cred.Access.Reveal()):
		return problem.New(problem.WebhooksForbidden)
	}
	return cmp.Or(do(r), lost)
}

func (f *forge) Repository(
	_ context.Context, cred provider.Credential, id string,
) (found provider.Repository, err error) {
	err = f.call("Repository", cred, id, false, func(r *repository) error {
		found = provider.Repository{
			ID: id, Name: r.name, Archived: r.archived,
			URL: "https://forge.example/" + r.name + ".git", WebURL: "https://forge.example/" + r.name,
		}
		if r.pathInID {
			number, _, _ := strings.Cut(id, "/")
			found.ID = number + "/" + r.name
		}
		return nil
	})
	return found, err
}

func (f *forge) Refs(
	_ context.Context, cred provider.Credential, id string, kind provider.RefKind, _, cursor string,
) (page provider.RefPage, err error) {
	err = f.call("Refs", cred, id, false, func(r *repository) error {
		first, _ := strconv.Atoi(cursor)
		for _, ref := range slices.Sorted(maps.Keys(r.refs)) {
			if name, ok := strings.CutPrefix(ref, string(kind)+"/"); ok && ref != r.unlisted {
				page.Refs = append(page.Refs, provider.Ref{Name: name, Commit: hash(r.refs[ref])})
			}
		}
		if page.Refs = page.Refs[first:]; r.page > 0 && len(page.Refs) > r.page {
			page.Refs, page.Cursor = page.Refs[:r.page], strconv.Itoa(first+r.page)
		}
		return nil
	})
	return page, err
}

func (f *forge) Commit(
	_ context.Context, cred provider.Credential, id, ref string,
) (found provider.Commit, err error) {
	err = f.call("Commit", cred, id, false, func(r *repository) error {
		if r.refs[ref] == "" {
			return problem.New(problem.RefUnknown)
		}
		found.Hash = hash(r.refs[ref])
		found.Message = "Title of " + r.refs[ref] + "\n\nand more"
		found.URL = "https://forge.example/" + r.name + "/commit/" + found.Hash
		return nil
	})
	return found, err
}

func (f *forge) CreateWebhook(
	_ context.Context, cred provider.Credential, id string, want provider.WebhookParams,
) (made provider.Webhook, err error) {
	err = f.call("CreateWebhook", cred, id, true, func(r *repository) error {
		switch {
		case r.archived:
			return problem.New(problem.RepositoryArchived)
		case r.full:
			return problem.New(problem.WebhooksFull)
		}
		f.last++
		made = webhook(strconv.Itoa(f.last), want)
		made.Signed = !f.unsigned
		r.hooks[made.ID] = &hook{made, want.Secret}
		return nil
	})
	return made, err
}

// hash returns the hash that begins with two digits.
func hash(digits string) string { return digits + strings.Repeat("0", 38) }

func webhook(id string, want provider.WebhookParams) provider.Webhook {
	return provider.Webhook{
		ID: id, URL: want.URL, Push: want.Push, Tag: want.Tag, Merge: want.Merge,
		Active: true, Signed: true,
	}
}

func (f *forge) FindWebhook(
	_ context.Context, cred provider.Credential, id, hookID, url string,
) (hook provider.Webhook, found bool, err error) {
	err = f.call("FindWebhook", cred, id, true, func(r *repository) error {
		if h := r.hooks[hookID]; h != nil {
			hook, found = h.Webhook, true
			return nil
		}
		for _, h := range r.hooks {
			if h.URL == url {
				hook, found = h.Webhook, true
			}
		}
		return nil
	})
	return hook, found, err
}

func (f *forge) RepairWebhook(
	_ context.Context, cred provider.Credential, id, hookID string, want provider.WebhookParams,
) (made provider.Webhook, err error) {
	err = f.call("RepairWebhook", cred, id, true, func(r *repository) error {
		h := r.hooks[hookID]
		made = webhook(hookID, want)
		made.NeedsTest = h.NeedsTest
		made.Active = !h.NeedsTest
		h.Webhook, h.secret = made, want.Secret
		return nil
	})
	return made, err
}

func (f *forge) DeleteWebhook(
	ctx context.Context, cred provider.Credential, id, hookID string,
) error {
	deadline, _ := ctx.Deadline()
	return f.call("DeleteWebhook", cred, id, true, func(r *repository) error {
		f.left = time.Until(deadline)
		delete(r.hooks, hookID)
		return nil
	})
}

func (f *forge) TestWebhook(_ context.Context, cred provider.Credential, id, hookID string) error {
	return f.call("TestWebhook", cred, id, true, func(r *repository) error {
		if f.test == nil {
			r.hooks[hookID].Active, r.hooks[hookID].NeedsTest = true, false
		}
		return nil
	})
}

// Delivery reads a delivery that has the webhook's secret and tells of a push.
func (f *forge) Delivery(in provider.DeliveryRequest) (provider.Delivery, error) {
	if !in.Secret.Equal(secret.New(in.Header.Get("Secret"))) {
		return provider.Delivery{}, provider.ErrNotAuthentic
	}
	return provider.Delivery{
		ID: string(in.Body), Confirmed: true, RepositoryID: "1", Changes: []provider.Change{{
			Ref: "refs/heads/main", Before: hash("c1"), Commit: hash(string(in.Body)),
		}},
	}, nil
}

func (f *forge) MergeRequest(
	_ context.Context, cred provider.Credential, id, _ string,
) (found provider.Change, err error) {
	err = f.call("MergeRequest", cred, id, false, func(*repository) error {
		return cmp.Or(f.noMerges, error(problem.New(problem.RefUnknown)))
	})
	return found, err
}

// set changes a repository.
func (f *forge) set(id string, change func(*repository)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.repositories[id])
}

// hooks returns the webhooks of all repositories, by their addresses.
func (f *forge) hooks() map[string][]*hook {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string][]*hook{}
	for _, r := range f.repositories {
		for _, h := range r.hooks {
			all[h.URL] = append(all[h.URL], h)
		}
	}
	return all
}
