package trigger

import (
	"context"
	"io"
	"log/slog"
	"os"
)

// Logger returns a logger that writes JSON lines to stdout, with the keys time, level, msg and
// function, and requestId where the line is logged with the context of a request.
func Logger(function string) *slog.Logger { return newLogger(os.Stdout, function) }

func newLogger(w io.Writer, function string) *slog.Logger {
	return slog.New(identified{slog.NewJSONHandler(w, nil)}).With("function", function)
}

// identified adds the request's id to every line.
type identified struct{ slog.Handler }

func (h identified) Handle(ctx context.Context, line slog.Record) error {
	if id := RequestID(ctx); id != "" {
		line = line.Clone()
		line.AddAttrs(slog.String("requestId", id))
	}
	return h.Handler.Handle(ctx, line)
}

func (h identified) WithAttrs(attributes []slog.Attr) slog.Handler {
	return identified{h.Handler.WithAttrs(attributes)}
}

func (h identified) WithGroup(name string) slog.Handler {
	return identified{h.Handler.WithGroup(name)}
}
