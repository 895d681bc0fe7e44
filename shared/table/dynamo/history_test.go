package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"bindery/shared/table"
)

// handBack answers a batch as if only its first row, or none, had been taken. It writes none.
func handBack(t *testing.T, w http.ResponseWriter, body string) {
	t.Helper()
	var request struct{ RequestItems map[string][]json.RawMessage }
	if err := json.Unmarshal([]byte(body), &request); err != nil {
		t.Error(err)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	reply := map[string]any{"UnprocessedItems": request.RequestItems}
	if err := json.NewEncoder(w).Encode(reply); err != nil {
		t.Error(err)
	}
}

func TestRowsThatAreHandedBackAreSentAgain(t *testing.T) {
	opened, p := open(t)
	key, left := keyOfInstance("1"), 2
	p.answering(func(w http.ResponseWriter, operation, body string) bool {
		if operation != "BatchWriteItem" || left == 0 {
			return false
		}
		left--
		handBack(t, w, body)
		return true
	})
	asked := p.count(func() {
		if err := opened.AppendHistory(t.Context(), key, eventsOf(table.MaxEvents)); err != nil {
			t.Error(err)
		}
	})
	if asked != "3 BatchWriteItem" {
		t.Errorf("asked %s, want 3 BatchWriteItem", asked)
	}
	page, err := opened.ListHistory(t.Context(), key, table.OldestFirst, "", 100)
	if err != nil || len(page.Items) != table.MaxEvents {
		t.Errorf("got %d events, error %v, want %d", len(page.Items), err, table.MaxEvents)
	}
}

func TestRowsThatAreHandedBackAgainAndAgainAreAnError(t *testing.T) {
	opened, p := open(t)
	p.answering(func(w http.ResponseWriter, _, body string) bool {
		handBack(t, w, body)
		return true
	})
	asked := p.count(func() {
		err := opened.AppendHistory(t.Context(), keyOfInstance("1"), eventsOf(2))
		unknown(t, "AppendHistory", err)
		if err != nil && !strings.Contains(err.Error(), "2 rows were not taken") {
			t.Errorf("got error %v, want one that says how many rows are missing", err)
		}
	})
	if asked != "4 BatchWriteItem" {
		t.Errorf("asked %s, want 4 BatchWriteItem", asked)
	}

	ctx, cancel := context.WithCancel(t.Context())
	p.answering(func(w http.ResponseWriter, _, body string) bool {
		handBack(t, w, body)
		return true
	})
	done := make(chan error)
	go func() { done <- opened.AppendHistory(ctx, keyOfInstance("1"), eventsOf(1)) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("while it waits: got error %v, want %v", err, context.Canceled)
	}
}

func TestAnEventTwiceInACallIsThereOnce(t *testing.T) {
	opened, p := open(t)
	key, events := keyOfInstance("1"), eventsOf(3)
	asked := p.count(func() {
		if err := opened.AppendHistory(t.Context(), key, append(events, events...)); err != nil {
			t.Error(err)
		}
	})
	page, err := opened.ListHistory(t.Context(), key, table.OldestFirst, "", 100)
	if err != nil || len(page.Items) != 3 || asked != "1 BatchWriteItem" {
		t.Errorf("got %d events, error %v, after %s, want 3 after 1 BatchWriteItem",
			len(page.Items), err, asked)
	}
}
