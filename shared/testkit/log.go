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

// Records returns the fields of the records written so far that have this message. A line that
// isn't a JSON object ends the test: use it where only the logger writes.
func (l *Log) Records(t testing.TB, message string) []map[string]any {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		if fields(line) == nil {
			t.Fatal("a line of the log isn't a JSON object")
		}
	}
	return Records(l.String(), message)
}

// Records returns the fields of the records that have this message. It skips lines that aren't JSON
// objects, such as those that a cloud's runtime adds to a function's output.
func Records(log, message string) (found []map[string]any) {
	for line := range strings.Lines(log) {
		if record := fields(line); record != nil && record["msg"] == message {
			found = append(found, record)
		}
	}
	return found
}

// fields returns the fields of a line, nil if it isn't a JSON object.
func fields(line string) (record map[string]any) {
	if json.Unmarshal([]byte(line), &record) != nil {
		return nil
	}
	return record
}
