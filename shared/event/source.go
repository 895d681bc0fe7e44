package event

import (
	"context"
	"errors"
	"time"

	"bindery/shared/binding"
)

// Receipt is a receiver's answer to an event.
type Receipt struct {
	Status int // 0: none came
	// RetryAfter is how long the receiver wants to be left alone; 0: it didn't say.
	RetryAfter time.Duration
}

// SendSource posts an event of a subscription in the form of docs/build.md, at most 20 KB long. It
// fails unless the answer is 2xx. It follows no redirect.
func (w *Webhook) SendSource(
	ctx context.Context, s binding.Subscription, e binding.SourceEvent, repositoryKey string,
) (Receipt, error) {
	return Receipt{}, errors.New("not implemented")
}
