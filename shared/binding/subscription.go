package binding

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/vault"
)

// SourceKind is a kind of change that a subscription asks for.
type SourceKind string

// The kinds.
const (
	PushKind  SourceKind = "push"  // of a branch
	TagKind   SourceKind = "tag"   // a tag was created, moved or deleted
	MergeKind SourceKind = "merge" // a merge request was opened, updated, closed or merged
)

// SourceKinds returns all kinds.
func SourceKinds() []SourceKind { return []SourceKind{PushKind, TagKind, MergeKind} }

// SubscriptionStage is where a subscription is in its life.
type SubscriptionStage string

// The stages. A row is written as creating before its secret and its webhook exist, and deleted
// after both are gone, so that a crash leaves nothing that no row names.
const (
	SubscriptionCreating SubscriptionStage = "creating" // the webhook may exist or not
	SubscriptionActive   SubscriptionStage = "active"
	SubscriptionEnding   SubscriptionStage = "ending" // deliveries are refused
)

// SubscriptionHealth is what a user sees of a subscription.
type SubscriptionHealth string

// The states of a subscription's health.
const (
	SubscriptionGood     SubscriptionHealth = "active"
	SubscriptionDegraded SubscriptionHealth = "degraded" // being set up, repaired or catching up
	SubscriptionBroken   SubscriptionHealth = "broken"   // Problem says why
)

// SubscribedRepository is the repository of a subscription. The ID decides which repository it is;
// the rest is as the platform last told it.
type SubscribedRepository struct {
	ID string `json:"id"`
	// Key is the [RepositoryKey] of the binding that last synced it.
	Key    string `json:"key"`
	Name   string `json:"name"`
	URL    string `json:"url,omitempty"`
	WebURL string `json:"webUrl,omitempty"`
}

// Subscription is the wish to hear of the changes of one repository. It has one webhook at the
// platform. Its row also holds the events that are not in its log yet, so that one save stores a
// delivery, recognizes a repeated one, and keeps the order.
type Subscription struct {
	// ID is 128 random bits in hex, the last part of the webhook's address.
	ID      string `json:"id"`
	Version string `json:"-"`

	Binding    Key                  `json:"binding"`
	Repository SubscribedRepository `json:"repository"`
	Kinds      []SourceKind         `json:"kinds"`
	// Branches are the patterns of [MatchBranch] of the branches that count, and of the target
	// branches of merges; empty for all.
	Branches  []string  `json:"branches,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	CreatedBy User      `json:"createdBy"`

	Stage SubscriptionStage `json:"stage"`
	// Secret has the webhook's secret in its first generation. The row owns it until the sweep has
	// deleted it and then the row.
	Secret vault.SecretName `json:"secret"`
	// SecretHash is the [HashSecret] of it, for the deliveries that have the secret itself as their
	// token; "" if it isn't known.
	SecretHash string `json:"secretHash,omitempty"`
	// HookID is the platform's id of the webhook; "" while it is not known.
	HookID string `json:"hookId,omitempty"`
	// WebhookGone says that the webhook of an ending subscription was removed.
	WebhookGone bool `json:"webhookGone,omitempty"`
	// Signed reports whether the platform signs the bodies of this webhook's deliveries: GitHub and
	// Bitbucket always, GitLab since version 19.
	Signed bool `json:"signed,omitempty"`
	// IdentityID is the platform's user with whose token the webhook was last seen. Another one
	// means that the binding was bound again, and deliveries are refused until a sync.
	IdentityID string `json:"identityId,omitempty"`
	// Asked is a token with which the platform was asked, for the next question.
	Asked AskedToken `json:"asked,omitzero"`

	Health  SubscriptionHealth `json:"health"`
	Problem *problem.Problem   `json:"problem,omitempty"`
	// Refused is a merge request that the platform refused to tell of; nil if it tells of them. What
	// deliveries say of such is not forwarded.
	Refused *RefusedMerge `json:"refused,omitempty"`
	// Held says that deliveries are refused until a sync has found that the binding's user may
	// administer the repository: the binding was bound again.
	Held bool `json:"held,omitempty"`

	// SyncAt is when the webhook and the heads of the refs are next compared; SyncedAt is the last
	// time that this went well.
	SyncAt   time.Time `json:"syncAt,omitzero"`
	SyncedAt time.Time `json:"syncedAt,omitzero"`
	// SyncTries counts the syncs in a row that were begun and did not go well.
	SyncTries int `json:"syncTries,omitempty"`
	// Claim is until when only the invocation that has claimed the row may make a webhook: it
	// creates the subscription, or syncs it. Zero: none does, and none has crashed.
	Claim time.Time `json:"claim,omitzero"`
	// RefsNotWatched says that the repository has more refs than a sync compares.
	RefsNotWatched bool `json:"refsNotWatched,omitempty"`

	// Events are the events that are not in the log yet, in the order of their numbers: those that
	// wait for the receiver, and those that have ended since the log was last written.
	Events []SourceEvent `json:"events,omitempty"`
	// EventCount is the last event's number.
	EventCount int64 `json:"eventCount,omitempty"`
	// Seen are the ids of the last events, oldest first, at most [MaxSeen].
	Seen []string `json:"seen,omitempty"`
	// Heads are the last known heads of the refs that changed last, at most [MaxRecentHeads], or of
	// all (see AllHeads), and the states of [MaxMergeStates] merge requests. The heads of all refs are
	// also in a row of their own: see [Heads].
	Heads []Head `json:"heads,omitempty"`
	// AllHeads says that Heads has those of all watched refs: the last sync has found few.
	AllHeads bool `json:"allHeads,omitempty"`
	// Lease is until when one invocation forwards the events of this subscription; zero: none does.
	Lease time.Time `json:"lease,omitzero"`

	DueAt time.Time `json:"dueAt,omitzero"` // zero: never due

	// Attributes are the row's attributes that this version does not know, in the store's own type.
	Attributes any `json:"-"`
	unknown    unknownFields
}

// AskedToken is a token of a subscription's binding. It is a hint and owns no secret: the token may
// have been refreshed since. It is used only while its user is the subscription's.
type AskedToken struct {
	Token      Token  `json:"token"`
	IdentityID string `json:"identityId"`
}

// HashSecret returns the SHA-256 of a webhook's secret in hex. A row may hold it: 256 random bits
// can't be found by their hash.
func HashSecret(value secret.Text) string {
	sum := sha256.Sum256([]byte(value.Reveal()))
	return hex.EncodeToString(sum[:])
}

// RefusedMerge is a merge request that the token or its user may not read.
type RefusedMerge struct {
	Number  string           `json:"number"`
	Problem *problem.Problem `json:"problem"` // [problem.MergesForbidden]
}

// NewRefusedMerge returns a merge request of which the platform with a title refuses to tell. why
// is its [problem.WebhooksForbidden].
func NewRefusedMerge(number, title string, why error) *RefusedMerge {
	p := problem.New(problem.MergesForbidden).With("platform", title)
	if cause := problem.Of(why); cause.Reason == "scope" {
		p = p.Because("scope").With("missing", cause.Params["missing"])
	}
	return &RefusedMerge{Number: number, Problem: p}
}

// Head is a ref and the commit that it points at; or a merge request whose deliveries aren't signed
// and its last known state.
type Head struct {
	Ref    string `json:"ref"`    // "refs/heads/main", or the OrderKey of a merge request
	Commit string `json:"commit"` // "": the ref was deleted; "closed"
}

const (
	// MaxSeen is how many ids of events a subscription remembers. An older delivery that comes again
	// doesn't fit the ref's head, from the row or from the last sync, and the platform is asked.
	MaxSeen = 64
	// MaxRecentHeads is how many heads of refs a subscription's row has. The run moves older ones to
	// [Heads] before there are as many; changes of further refs are left to the next sync.
	MaxRecentHeads = 128
	// MaxMergeStates is how many states of merge requests a row has. Older ones are forgotten.
	MaxMergeStates = 32
	// MaxWaiting is how many events of a subscription may wait for the receiver. Further ones of refs
	// are left to the next sync, which sees the heads. It doesn't see merge requests: the platform is
	// asked to send those again. Bitbucket does, twice and at once; on GitHub and GitLab a user can,
	// who sees that the delivery failed; of Gitee and Codeup it isn't known.
	MaxWaiting = 64
	// MaxLogged is how many events the log of a subscription keeps: the last ones.
	MaxLogged = 500
)

// SubscriptionEntry says which subscription a repository of a binding has. It is written before
// the subscription's row, and deleted after it.
type SubscriptionEntry struct {
	Version string `json:"-"`

	Binding Key `json:"binding"`
	// RepositoryID is the part of the platform's id that a rename doesn't change.
	RepositoryID string `json:"repositoryId"`
	Subscription string `json:"subscription"` // its ID

	Attributes any `json:"-"`
}

// EventState says what has become of an event.
type EventState string

// The states.
const (
	EventWaiting   EventState = "waiting"   // for the receiver, at At
	EventForwarded EventState = "forwarded" // the receiver has taken it
	EventDead      EventState = "dead"      // the receiver answered 410, or failed for two days
	EventIgnored   EventState = "ignored"   // nobody subscribed to it; Reason says why
)

// The reasons of an ignored event. They are part of the API.
const (
	IgnoredKind        = "kind"        // the subscription doesn't ask for such events
	IgnoredBranch      = "branch"      // no pattern of the subscription matches the branch
	IgnoredTest        = "test"        // a test delivery
	IgnoredSuperseded  = "superseded"  // the ref has moved on, and the receiver was told
	IgnoredUnconfirmed = "unconfirmed" // the delivery isn't signed, and the platform says otherwise
)

// The types of forwarded events. They are part of the API.
const (
	SourcePushed  = "source.pushed"
	SourceTagged  = "source.tagged"
	SourceOpened  = "source.opened"
	SourceUpdated = "source.updated"
	SourceClosed  = "source.closed"
	SourceMerged  = "source.merged"
)

// SourceEvent is one change of a repository.
type SourceEvent struct {
	// ID is the same for each delivery of the same change, and what the receiver gets as webhook-id.
	ID     string `json:"id"`
	Number int64  `json:"number"` // 1, 2, 3, … of a subscription
	Type   string `json:"type"`   // source.pushed

	Ref     string `json:"ref"`              // "refs/heads/main"; of a merge the target branch
	Before  string `json:"before,omitempty"` // "": the ref was created, or it is not known
	Commit  string `json:"commit,omitempty"` // "": the ref was deleted
	Created bool   `json:"created,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
	Forced  bool   `json:"forced,omitempty"`
	// Pusher is a name as the platform shows it; "" if it is not known.
	Pusher     string   `json:"pusher,omitempty"`
	Commits    int      `json:"commits,omitempty"` // how many were pushed; 0: none, or not known
	Titles     []string `json:"titles,omitempty"`  // of the newest commits
	CompareURL string   `json:"compareUrl,omitempty"`
	Merge      *Merge   `json:"merge,omitempty"`
	// CaughtUp says that no delivery told of it: a sync found it.
	CaughtUp bool `json:"caughtUp,omitempty"`

	ReceivedAt time.Time  `json:"receivedAt"`
	State      EventState `json:"state"`
	Reason     string     `json:"reason,omitempty"`
	// At is when it is next sent, while it waits; else when it ended.
	At    time.Time `json:"at"`
	Tries int       `json:"tries,omitempty"` // failed ones
	// TriedAt is when the first of the failed tries was.
	TriedAt time.Time `json:"triedAt,omitzero"`
	// Answer is the last HTTP status of the receiver; 0: none came.
	Answer int `json:"answer,omitempty"`

	unknown unknownFields
}

// Merge is the merge request of an event.
type Merge struct {
	Number string `json:"number"`
	Title  string `json:"title"`
	Source string `json:"source"` // the branch
	URL    string `json:"url,omitempty"`
}

// OrderKey returns what events must share for their order to be kept: the ref, or the merge
// request.
func (e SourceEvent) OrderKey() string {
	if e.Merge != nil {
		return Join("merge", e.Merge.Number)
	}
	return Join("ref", e.Ref)
}

// Subscribes reports whether a subscription asks for a kind.
func (s Subscription) Subscribes(kind SourceKind) bool { return slices.Contains(s.Kinds, kind) }

// Refuse notes that a platform refuses to tell of a merge request, or tells of them if r is nil. A
// health that is not broken shows a refusal.
func (s *Subscription) Refuse(r *RefusedMerge) {
	if s.Refused = r; r != nil && s.Health != SubscriptionBroken {
		s.Health, s.Problem = SubscriptionDegraded, r.Problem
	}
}

// plainSubscription is a type without methods, which encoding/json would call without end.
type plainSubscription Subscription

// MarshalJSON writes the unknown fields too.
func (s Subscription) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainSubscription(s), s.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (s *Subscription) UnmarshalJSON(text []byte) (err error) {
	s.unknown, err = unmarshalKnown(text, (*plainSubscription)(s))
	return err
}

// plainSourceEvent is a type without methods, which encoding/json would call without end.
type plainSourceEvent SourceEvent

// MarshalJSON writes the unknown fields too.
func (e SourceEvent) MarshalJSON() ([]byte, error) {
	return marshalKnown(plainSourceEvent(e), e.unknown)
}

// UnmarshalJSON keeps the fields that this version does not know.
func (e *SourceEvent) UnmarshalJSON(text []byte) (err error) {
	e.unknown, err = unmarshalKnown(text, (*plainSourceEvent)(e))
	return err
}
