// Package timing waits by the real clock. Everything that waits takes a func with the signature of
// [Sleep], so that a test can hand in another.
package timing

import (
	"context"
	"time"
)

// Sleep waits for d, or returns the context's error if the context ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
