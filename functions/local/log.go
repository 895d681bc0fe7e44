package main

import (
	"context"
	"log/slog"
)

// withoutMetrics drops the lines that only a cloud reads, such as those of each run of the
// schedule. They would soon push the addresses out of the terminal.
type withoutMetrics struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h withoutMetrics) Handle(ctx context.Context, line slog.Record) error {
	switch line.Message {
	case "metric", "listening", "checked", "subscriptions":
		if line.Level == slog.LevelInfo {
			return nil
		}
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements [slog.Handler].
func (h withoutMetrics) WithAttrs(attributes []slog.Attr) slog.Handler {
	return withoutMetrics{h.Handler.WithAttrs(attributes)}
}

// WithGroup implements [slog.Handler].
func (h withoutMetrics) WithGroup(name string) slog.Handler {
	return withoutMetrics{h.Handler.WithGroup(name)}
}
