package event

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bindery/shared/binding"
)

// Receipt is a receiver's answer to an event.
type Receipt struct {
	Status int // 0: none came
	// RetryAfter is how long the receiver wants no event; 0: it didn't say.
	RetryAfter time.Duration
}

type sourcePayload struct {
	Type      string     `json:"type"`
	Timestamp time.Time  `json:"timestamp"`
	Data      sourceData `json:"data"`
}

type sourceData struct {
	Account    string           `json:"account"`
	Region     string           `json:"region"`
	Instance   string           `json:"instance"`
	Platform   string           `json:"platform"`
	Repository sourceRepository `json:"repository"`
	Ref        string           `json:"ref"`
	Kind       string           `json:"kind"`
	Before     *string          `json:"before"`
	Commit     *string          `json:"commit"`
	Created    bool             `json:"created"`
	Deleted    bool             `json:"deleted"`
	Forced     bool             `json:"forced"`
	Pusher     *string          `json:"pusher"`
	Commits    int              `json:"commits"`
	Titles     []string         `json:"titles"`
	CompareURL *string          `json:"compareUrl"`
	Merge      *sourceMerge     `json:"merge"`
	CaughtUp   bool             `json:"caughtUp"`
	Number     int64            `json:"number"`
}

type sourceRepository struct {
	Key  string `json:"key"`
	Name string `json:"name"`
	URL  string `json:"url"`
}

type sourceMerge struct {
	Number string `json:"number"`
	Title  string `json:"title"`
	Source string `json:"source"`
	Target string `json:"target"`
	URL    string `json:"url"`
}

// SendSource posts an event of a subscription in the form of docs/build.md, at most
// [binding.MaxSourceEvent] bytes long. It fails unless the answer is 2xx. It follows no redirect.
func (w *Webhook) SendSource(
	ctx context.Context, s binding.Subscription, e binding.SourceEvent, repositoryKey string,
) (Receipt, error) {
	for more := true; ; {
		body, err := json.Marshal(sourcePayload{e.Type, e.ReceivedAt, source(s, e, repositoryKey)})
		if err != nil {
			return Receipt{}, fmt.Errorf("writing a webhook: %w", err)
		}
		if len(body) <= binding.MaxSourceEvent || !more {
			return w.post(ctx, e.ID, body)
		}
		e, more = e.Cut()
	}
}

// source returns what an event tells.
func source(s binding.Subscription, e binding.SourceEvent, repositoryKey string) sourceData {
	d := sourceData{
		Account:    s.Binding.Account,
		Region:     s.Binding.Region,
		Instance:   s.Binding.Instance,
		Platform:   s.Binding.Platform,
		Repository: sourceRepository{repositoryKey, s.Repository.Name, s.Repository.URL},
		Ref:        e.Ref,
		Kind:       sourceKind(e),
		Before:     orNull(e.Before),
		Commit:     orNull(e.Commit),
		Created:    e.Created,
		Deleted:    e.Deleted,
		Forced:     e.Forced,
		Pusher:     orNull(e.Pusher),
		Commits:    e.Commits,
		Titles:     append([]string{}, e.Titles...), // [] and not null
		CompareURL: orNull(e.CompareURL),
		CaughtUp:   e.CaughtUp,
		Number:     e.Number,
	}
	if m := e.Merge; m != nil {
		target := strings.TrimPrefix(e.Ref, "refs/heads/")
		d.Merge = &sourceMerge{m.Number, m.Title, m.Source, target, m.URL}
	}
	return d
}

func sourceKind(e binding.SourceEvent) string {
	switch {
	case e.Merge != nil:
		return "merge"
	case e.Type == binding.SourceTagged:
		return "tag"
	}
	return "branch"
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// retryAfter reads the header: seconds, or a date (RFC 9110, 10.2.3). What is neither is 0.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, math.MaxInt32)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
