package testkit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Log keeps what is written to it. The zero Log is empty and ready to use. Its methods may be
// called from several goroutines at once.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Logger returns a logger that writes every level to l, each record as one line of JSON, as the
// functions do.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write implements [io.Writer]. It never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all that has been written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Records returns the fields of the records written so far that have this message.
func (l *Log) Records(t testing.TB, message string) []map[string]any {
	t.Helper()
	return Records(t, l.String(), message)
}

// Records returns the fields of the records with this message in a log of JSON lines. A line that
// isn't a JSON object ends the test.
func Records(t testing.TB, log, message string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("a line of the log isn't a JSON object: %v", err)
		}
		if fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found
}
