package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/subscription"
	"bindery/shared/event"
	"bindery/shared/problem"
)

// Subscription adds the routes of subscriptions to the changes of repositories.
func Subscription(a *API, mux *http.ServeMux) {
	const bindingPath = " /v1/instances/{region}/{instance}/bindings/{platform}"
	const one = bindingPath + "/repositories/{repository}/subscription"
	for route, serve := range map[string]handler{
		"GET" + bindingPath + "/subscriptions": a.subscriptions,
		"GET" + one:                            a.getSubscription,
		"GET" + one + "/deliveries":            a.listDeliveries,
	} {
		mux.HandleFunc(route, a.signedIn(ScopeRead, limited(a.repositoryLimiter, serve)))
	}
	for route, serve := range map[string]handler{
		"PUT" + one:            a.subscribe,
		"DELETE" + one:         a.unsubscribe,
		"POST" + one + "/sync": a.sync,
		"POST" + one + "/deliveries/{delivery}/replay": a.replay,
	} {
		mux.HandleFunc(route, a.signedIn(ScopeWrite, limited(a.bindLimiter, serve)))
	}
}

type subscribeJSON struct {
	Events   []binding.SourceKind `json:"events"`
	Branches []string             `json:"branches"`
}

type subscriptionJSON struct {
	Repository     subscribedJSON       `json:"repository"`
	Events         []binding.SourceKind `json:"events"`
	Branches       []string             `json:"branches"`
	Health         string               `json:"health"`
	Problem        *problem.Details     `json:"problem"`
	Waiting        int                  `json:"waiting"`
	CreatedAt      time.Time            `json:"createdAt"`
	SyncedAt       *time.Time           `json:"syncedAt"`
	RefsNotWatched bool                 `json:"refsNotWatched"`
	WebhooksURL    string               `json:"webhooksUrl"`
}

type subscribedJSON struct {
	Key    string `json:"key"`
	Name   string `json:"name"`
	URL    string `json:"url"`
	WebURL string `json:"webUrl"`
}

func subscriptionOf(v subscription.View, lang problem.Language) subscriptionJSON {
	s := v.Subscription
	out := subscriptionJSON{
		Repository: subscribedJSON{
			Key:    s.Repository.Key,
			Name:   s.Repository.Name,
			URL:    s.Repository.URL,
			WebURL: s.Repository.WebURL,
		},
		Branches:       list(s.Branches),
		Health:         string(s.Health),
		CreatedAt:      s.CreatedAt,
		SyncedAt:       optionalTime(s.SyncedAt),
		RefsNotWatched: s.RefsNotWatched,
		WebhooksURL:    v.WebhooksURL,
	}
	for _, kind := range binding.SourceKinds() {
		if s.Subscribes(kind) {
			out.Events = append(out.Events, kind)
		}
	}
	if s.Problem != nil {
		p := s.Problem.DetailsIn(lang)
		out.Problem = &p
	}
	for _, e := range s.Events {
		if e.State == binding.EventWaiting {
			out.Waiting++
		}
	}
	return out
}

// subscriptionTarget returns the binding that the path names, and the repository if it names one.
func (a *API) subscriptionTarget(ctx context.Context, c call) (subscription.Target, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	return subscription.Target{
		By: c.user(), Instance: i, Platform: platform, Repository: c.PathValue("repository"),
	}, err
}

// auditDone writes the audit line of a call about a subscription that succeeded.
func (a *API) auditDone(c call, action string, t subscription.Target) {
	event.Audit(c.Context(), a.log, event.Entry{
		Action: action, User: t.By, Target: binding.KeyOf(t.By.Account, t.Instance, t.Platform),
		Repository: t.Repository, Outcome: event.Done,
	})
}

func (a *API) subscribe(ctx context.Context, c call) (answer, error) {
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	var body subscribeJSON
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	view, created, err := a.subscribed.Put(ctx, subscription.PutRequest{
		Target: target, Kinds: body.Events, Branches: body.Branches,
	})
	if err != nil {
		return answer{}, err
	}
	a.auditDone(c, "subscribe", target)
	out := answer{body: subscriptionOf(view, c.language())}
	if created {
		out.status = http.StatusCreated
	}
	return out, nil
}

func (a *API) getSubscription(ctx context.Context, c call) (answer, error) {
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.subscribed.Get(ctx, target)
	if err != nil {
		return answer{}, err
	}
	return answer{body: subscriptionOf(view, c.language())}, nil
}

type subscriptionsJSON struct {
	Subscriptions []subscriptionJSON `json:"subscriptions"`
	Cursor        *string            `json:"cursor"`
}

func (a *API) subscriptions(ctx context.Context, c call) (answer, error) {
	cursor, err := wordParameter(c, "cursor")
	if err != nil {
		return answer{}, err
	}
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	page, err := a.subscribed.List(ctx, target, cursor)
	if err != nil {
		return answer{}, err
	}
	out := subscriptionsJSON{Subscriptions: []subscriptionJSON{}, Cursor: text(page.Cursor)}
	for _, v := range page.Views {
		out.Subscriptions = append(out.Subscriptions, subscriptionOf(v, c.language()))
	}
	return answer{body: out}, nil
}

type unsubscribedJSON struct {
	WebhookLeft *webhookLeftJSON `json:"webhookLeft"`
}

type webhookLeftJSON struct {
	WebhooksURL string `json:"webhooksUrl"`
}

func (a *API) unsubscribe(ctx context.Context, c call) (answer, error) {
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	left, err := a.subscribed.Delete(ctx, target)
	if err != nil {
		return answer{}, err
	}
	a.auditDone(c, "unsubscribe", target)
	var out unsubscribedJSON
	if left != nil {
		out.WebhookLeft = &webhookLeftJSON{left.WebhooksURL}
	}
	return answer{body: out}, nil
}

func (a *API) sync(ctx context.Context, c call) (answer, error) {
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.subscribed.Sync(ctx, target)
	if err != nil {
		return answer{}, err
	}
	a.auditDone(c, "sync", target)
	return answer{body: subscriptionOf(view, c.language())}, nil
}

type deliveriesJSON struct {
	Deliveries []deliveryJSON `json:"deliveries"`
	Cursor     *string        `json:"cursor"`
}

type deliveryJSON struct {
	Delivery   int64      `json:"delivery"`
	ID         string     `json:"id"`
	Type       string     `json:"type"`
	Ref        string     `json:"ref"`
	Commit     *string    `json:"commit"`
	Before     *string    `json:"before"`
	State      string     `json:"state"`
	Reason     *string    `json:"reason"`
	Answer     *int       `json:"answer"`
	Tries      int        `json:"tries"`
	ReceivedAt time.Time  `json:"receivedAt"`
	At         time.Time  `json:"at"`
	CaughtUp   bool       `json:"caughtUp"`
	Titles     []string   `json:"titles"`
	Pusher     *string    `json:"pusher"`
	Merge      *mergeJSON `json:"merge"`
}

type mergeJSON struct {
	Number string  `json:"number"`
	Title  string  `json:"title"`
	Source string  `json:"source"`
	URL    *string `json:"url"`
}

func deliveryOf(e binding.SourceEvent) deliveryJSON {
	out := deliveryJSON{
		Delivery:   e.Number,
		ID:         e.ID,
		Type:       e.Type,
		Ref:        e.Ref,
		Commit:     text(e.Commit),
		Before:     text(e.Before),
		State:      string(e.State),
		Reason:     text(e.Reason),
		Tries:      e.Tries,
		ReceivedAt: e.ReceivedAt,
		At:         e.At,
		CaughtUp:   e.CaughtUp,
		Titles:     list(e.Titles),
		Pusher:     text(e.Pusher),
	}
	if e.Answer != 0 {
		out.Answer = &e.Answer
	}
	if m := e.Merge; m != nil {
		out.Merge = &mergeJSON{m.Number, m.Title, m.Source, text(m.URL)}
	}
	return out
}

func (a *API) listDeliveries(ctx context.Context, c call) (answer, error) {
	cursor, err := wordParameter(c, "cursor")
	if err != nil {
		return answer{}, err
	}
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.subscribed.Get(ctx, target)
	if err != nil {
		return answer{}, err
	}
	page, err := a.deliveries.Events(ctx, view.Subscription, cursor)
	if err != nil {
		return answer{}, err
	}
	out := deliveriesJSON{Deliveries: []deliveryJSON{}, Cursor: text(page.Cursor)}
	for _, e := range page.Events {
		out.Deliveries = append(out.Deliveries, deliveryOf(e))
	}
	return answer{body: out}, nil
}

func (a *API) replay(ctx context.Context, c call) (answer, error) {
	target, err := a.subscriptionTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.subscribed.Get(ctx, target)
	if err != nil {
		return answer{}, err
	}
	number, err := strconv.ParseInt(c.PathValue("delivery"), 10, 64)
	if err != nil || strconv.FormatInt(number, 10) != c.PathValue("delivery") {
		return answer{}, problem.New(problem.DeliveryUnknown)
	}
	e, err := a.deliveries.Replay(ctx, view.Subscription, number)
	if err != nil {
		return answer{}, err
	}
	a.auditDone(c, "replay", target)
	return answer{body: deliveryOf(e)}, nil
}
