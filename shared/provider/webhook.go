package provider

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// WebhookPlatform is a platform whose repositories tell of their changes by webhooks. Ids of
// repositories are as in [RepositoryPlatform]. Each method that takes a context makes one call to
// the platform unless it says otherwise; the others make none.
//
// Failures are those of [Platform]'s Check, [problem.RepositoryUnknown], and
// [problem.WebhooksForbidden] if the token's user may not administer the repository's webhooks:
// with the reason "scope" if the token lacks the permission, which the parameter "missing" names,
// else "role". To tell them apart, a refused call may cost one more.
type WebhookPlatform interface {
	RepositoryPlatform

	// CreateWebhook installs a webhook. [problem.WebhooksFull] if the repository has as many as the
	// platform allows, [problem.RepositoryArchived] if it takes none. Where the platform refuses a
	// second one with the same URL, the first is found and repaired.
	CreateWebhook(ctx context.Context, cred Credential, repository string, want WebhookParams) (
		Webhook, error,
	)

	// FindWebhook returns the webhook with the id or, if id is "" or there is none with it, with
	// exactly this URL. found is false if there is neither; then err is nil. It pages through the
	// list if it must.
	FindWebhook(ctx context.Context, cred Credential, repository, id, url string) (
		hook Webhook, found bool, err error,
	)

	// RepairWebhook makes a webhook what is wanted: its address, events, secret, and active. It sets
	// the secret in every case, because some edits clear it. It may take two calls.
	// [problem.WebhookLost] if there is none with the id.
	RepairWebhook(ctx context.Context, cred Credential, repository, id string, want WebhookParams) (
		Webhook, error,
	)

	// DeleteWebhook deletes a webhook. One that doesn't exist is nil.
	DeleteWebhook(ctx context.Context, cred Credential, repository, id string) error

	// TestWebhook asks for a test delivery. [ErrNoTest] where the platform's API has none,
	// [problem.WebhookLost] if there is no webhook with the id.
	TestWebhook(ctx context.Context, cred Credential, repository, id string) error

	// WebhooksURL returns the page where a user manages the webhooks of a repository by hand, given
	// the repository's WebURL.
	WebhooksURL(webURL string) string

	// Delivery reads and verifies one request of the platform to a webhook. [ErrNotAuthentic] if its
	// signature or token is missing or wrong, or it is too old; [ErrNotADelivery] if it is authentic
	// and can't be read. It decodes nothing of the body before the signature is verified, where the
	// platform signs it.
	Delivery(in DeliveryRequest) (Delivery, error)
}

// WebhooksOf returns the platform with its webhooks, and reports whether it has any.
func WebhooksOf(p Platform) (WebhookPlatform, bool) {
	if teller, ok := p.(interface{ webhooks() WebhookPlatform }); ok {
		return teller.webhooks(), true
	}
	hooks, ok := p.(WebhookPlatform)
	return hooks, ok
}

// webhooksForbidden returns the problem of a user who may not administer a repository's webhooks
// or, unless missing is "", of a token that lacks that permission.
func (c *client) webhooksForbidden(missing string) *problem.Problem {
	if missing != "" {
		return c.problem(problem.WebhooksForbidden).Because("scope").With("missing", missing)
	}
	return c.problem(problem.WebhooksForbidden).Because("role")
}

// under returns the page at a path under a repository's page, "" if that isn't known.
func under(webURL, path string) string {
	if webURL == "" {
		return ""
	}
	return webURL + path
}

// jsonOf returns the JSON of the fields of a webhook, which may have its secret.
func jsonOf(fields map[string]any) secret.Text {
	text, _ := json.Marshal(fields) // strings, booleans and lists of them can't fail
	return secret.New(string(text))
}

// MaxDelivery is the longest body of a delivery that is read, in bytes. Bitbucket sends no more
// than 256 KB, GitHub and GitLab up to 25 MB; the functions' events take 6 MB on AWS.
const MaxDelivery = 4 << 20

// WebhookParams are what a webhook should be.
type WebhookParams struct {
	URL string
	// Secret is 32 random bytes as 43 letters of base64url without padding. Where a platform wants
	// another form of a key, it is derived from this text.
	Secret secret.Text
	// Push, Tag and Merge are the events that it sends.
	Push, Tag, Merge bool
}

// Webhook is a webhook as the platform describes it, without its secret.
type Webhook struct {
	ID  string
	URL string
	// Push, Tag and Merge say which events it sends; where a platform has one event for pushes and
	// tags, both are set.
	Push, Tag, Merge bool
	// Active is false if the platform doesn't send to it: a user or the platform has disabled it.
	Active bool
	// NeedsTest says that only a successful test delivery makes it active again: GitLab.
	NeedsTest bool
	// Altered says that the platform sends in another way than Bindery asks for: as a form, or without
	// a look at the certificate.
	Altered bool
	// SecretMissing says that the webhook is known to have no secret, or another kind of one.
	SecretMissing bool
	// Signed says that the platform signs the bodies of its deliveries.
	Signed bool
}

// Matches reports whether the webhook sends what is wanted, as it is wanted. It may send more.
func (w Webhook) Matches(want WebhookParams) bool {
	return w.URL == want.URL && w.Active && !w.Altered && !w.SecretMissing &&
		(w.Push || !want.Push) && (w.Tag || !want.Tag) && (w.Merge || !want.Merge)
}

// DeliveryRequest is a request to a webhook.
type DeliveryRequest struct {
	Header http.Header
	Body   []byte
	Secret secret.Text // as in [WebhookParams]
	// Signed says that the webhook's deliveries are signed over their bodies. A delivery without
	// such a signature is then refused.
	Signed bool
	// HookID is the platform's id of the webhook, for the platforms that name it in a delivery; ""
	// if it is not known.
	HookID string
	// WebURL is the repository's, as in [Repository]. A GitLab's links are made for its site; "" if
	// it is not known.
	WebURL string
	Now    time.Time
}

// Delivery is what a request to a webhook says.
type Delivery struct {
	// ID is the same for each try of the same delivery. It is never "": where the platform sends none
	// it is derived from the body.
	ID string
	// Confirmed says that a signature covers the body. Otherwise only the names of refs and the
	// numbers of merge requests may be used, and the platform is asked about them.
	Confirmed bool
	// RepositoryID is the platform's id of the repository that it is about, to be compared by
	// [SameRepository]; "" if the delivery doesn't tell, as in a test.
	RepositoryID string
	// Test says that it is a test or a ping and tells of no change.
	Test bool
	// Changes are what it tells of: Bitbucket puts several refs into one. Empty for an event that is
	// none of a webhook's kinds.
	Changes []Change
}

// StableID returns the part of a repository's id that a rename doesn't change. That is the id
// itself, but for Gitee, whose ids also have the path.
func StableID(id string) string {
	if number, _, ok := strings.Cut(id, "/"); ok && numeric(number) {
		return number
	}
	return id
}

// SameRepository reports whether two ids are of the same repository of a platform.
func SameRepository(a, b string) bool { return StableID(a) == StableID(b) }

// findWebhook looks for a webhook in a list: for the id or, if id is "" or there is none with it,
// for exactly the URL. fetch returns a page of the list, and whether there is another.
func findWebhook(id, url string, fetch func(page int) ([]Webhook, bool, error)) (
	hook Webhook, found bool, err error,
) {
	for n := 1; n <= maxScannedPages; n++ {
		list, more, err := fetch(n)
		if err != nil {
			return Webhook{}, false, err
		}
		for _, h := range list {
			if id != "" && h.ID == id {
				return h, true, nil
			}
			if h.URL == url && !found {
				hook, found = h, true
			}
		}
		if !more {
			break
		}
	}
	return hook, found, nil
}

// Change is a change of a ref or of a merge request, without anything secret.
type Change struct {
	Ref    string // in full: "refs/heads/main", "refs/tags/v1"; of a merge request its target branch
	Before string // the full hash; "" if the ref was created, or it is not known
	// Commit is the full hash of the commit that the ref points at now, also for an annotated tag; ""
	// if the ref was deleted, or if only the platform's API can tell (Bitbucket's short hashes).
	Commit                   string
	Created, Deleted, Forced bool
	Pusher                   string
	// Commits is how many commits were pushed, 0 if none or not known; Titles are the first lines of
	// the newest, at most [MaxTitles], newest first, each at most [MaxTitle] bytes.
	Commits    int
	Titles     []string
	CompareURL string // at the platform's own site, "" if there is none
	// Merge is set for an event of a merge request.
	Merge *MergeRequest
}

// The bounds of a change's titles.
const (
	MaxTitles = 10
	MaxTitle  = 200
)

// MergeRequest is a merge or pull request.
type MergeRequest struct {
	Number string
	Title  string
	Source string // the branch that is merged
	URL    string // at the platform's own site
	// Action is "opened", "updated", "closed" or "merged". A request that is opened again is
	// "opened".
	Action string
}

// WebhookTokenPlatform is a [WebhookPlatform] some of whose deliveries are authentic by a token, which is
// the webhook's secret itself.
type WebhookTokenPlatform interface {
	// SentToken returns the token of a delivery with these headers. sent is false if another header
	// has to make it authentic.
	SentToken(header http.Header) (token secret.Text, sent bool)
}

// MergePlatform is a [WebhookPlatform] that can be asked about a merge request, for the deliveries
// that no signature covers, and for Bitbucket's, which have short hashes.
type MergePlatform interface {
	// MergeRequest returns the target branch, the head or, once merged, the merge commit, and the
	// state as a Change. The Action of an open request is "updated". [problem.RefUnknown] if there is
	// none with the number.
	MergeRequest(ctx context.Context, cred Credential, repository, number string) (Change, error)
}

var (
	// ErrNotAuthentic means that a request to a webhook is not the platform's, or too old.
	ErrNotAuthentic = errors.New("provider: the delivery is not authentic")
	// ErrNotADelivery means that an authentic request can't be read.
	ErrNotADelivery = errors.New("provider: the delivery can't be read")
	// ErrNoTest means that a platform's API has no test delivery.
	ErrNoTest = errors.New("provider: the platform's API has no test delivery")
)
