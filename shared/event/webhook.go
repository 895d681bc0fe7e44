package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/secret"
)

// SendTimeout is how long the receiver of a webhook may take.
const SendTimeout = 5 * time.Second

// Webhook posts events to the operator's address, signed as Standard Webhooks requires: with the
// headers webhook-id (the event's id, the same at every try), webhook-timestamp and
// webhook-signature. It may be used at once from many goroutines.
type Webhook struct {
	url     string
	console string
	signer  *webhooks.Webhook
	client  *http.Client
	now     func() time.Time
}

// NewWebhook returns a Webhook for the address. console is the origin of the console page, to whose
// place for the binding each event leads. It follows no redirect: only the operator says where
// events go.
func NewWebhook(
	url, console string, key secret.Text, client *http.Client, now func() time.Time,
) (*Webhook, error) {
	signer, err := webhooks.NewWebhook(key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("the webhooks' key is not base64") // err may quote it
	}
	var own http.Client
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Webhook{url: url, console: console, signer: signer, client: &own, now: now}, nil
}

type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Account  string            `json:"account"`
	Region   string            `json:"region"`
	Instance string            `json:"instance"`
	Platform string            `json:"platform"`
	Number   int64             `json:"number"`
	Actor    string            `json:"actor,omitempty"`
	Identity *binding.Identity `json:"identity,omitempty"`
	Previous *binding.Identity `json:"previous,omitempty"`
	Problem  *problem.Problem  `json:"problem,omitempty"`
	Console  string            `json:"console"`

	Repository *binding.EventRepository `json:"repository,omitempty"`
}

// Send posts one event. Any reply but 2xx is an error.
func (w *Webhook) Send(ctx context.Context, key binding.Key, e binding.Event) error {
	body, err := json.Marshal(payload{e.Type, e.At, data{
		Account:  key.Account,
		Region:   key.Region,
		Instance: key.Instance,
		Platform: key.Platform,
		Number:   e.Number,
		Actor:    e.Actor.Subject,
		Identity: some(e.Identity),
		Previous: some(e.Previous),
		Problem:  e.Problem,
		Console:  w.place(key),

		Repository: some(e.Repository),
	}})
	if err != nil {
		return fmt.Errorf("writing a webhook: %w", err)
	}
	_, err = w.post(ctx, e.ID, body)
	return err
}

// place returns the address of a binding's row on the console page.
func (w *Webhook) place(key binding.Key) string {
	return w.console + "/#/" + url.PathEscape(key.Region) + "/" + url.PathEscape(key.Instance) +
		"/" + url.PathEscape(key.Platform)
}

// post signs and posts the body of an event. It fails unless the answer is 2xx.
func (w *Webhook) post(ctx context.Context, id string, body []byte) (Receipt, error) {
	at := w.now()
	signature, err := w.signer.Sign(id, at, body)
	if err != nil {
		return Receipt{}, fmt.Errorf("signing a webhook: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, SendTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return Receipt{}, fmt.Errorf("posting a webhook: %w", secret.WithoutAddress(err))
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Bindery/1")
	r.Header.Set(webhooks.HeaderWebhookID, id)
	r.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(webhooks.HeaderWebhookSignature, signature)
	reply, err := w.client.Do(r)
	if err != nil {
		return Receipt{}, fmt.Errorf("posting a webhook: %w", secret.WithoutAddress(err))
	}
	_, _ = io.CopyN(io.Discard, reply.Body, 4<<10) // so that the connection can be used again
	_ = reply.Body.Close()
	receipt := Receipt{reply.StatusCode, retryAfter(reply.Header.Get("Retry-After"), at)}
	if reply.StatusCode < 200 || reply.StatusCode > 299 {
		return receipt, fmt.Errorf("posting a webhook: the receiver answers %d", reply.StatusCode)
	}
	return receipt, nil
}

// some returns nil for the zero value.
func some[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}
