package timing_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"bindery/shared/timing"
)

func TestSleepEndsWithTheContext(t *testing.T) {
	if err := timing.Sleep(t.Context(), time.Nanosecond); err != nil {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := timing.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
