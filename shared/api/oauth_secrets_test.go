package api_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"

	"bindery/shared/sandbox"
)

// drawn is the process's source of randomness. It remembers the bytes of each read, as hex.
type drawn struct {
	source io.Reader
	mu     sync.Mutex
	reads  map[string]bool
}

// recordRandom makes crypto/rand remember what is drawn from it, until the test ends.
func recordRandom(t *testing.T) *drawn {
	t.Helper()
	d := &drawn{source: rand.Reader, reads: map[string]bool{}}
	rand.Reader = d
	t.Cleanup(func() { rand.Reader = d.source })
	return d
}

func (d *drawn) Read(b []byte) (int, error) {
	n, err := d.source.Read(b)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads[hex.EncodeToString(b[:n])] = true
	return n, err
}

// has reports whether a value is the hex form of the bytes of one read.
func (d *drawn) has(value string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads[value]
}

// TestA4_EverySecretOfAnAttemptIsDrawnWhole compares the values with what was drawn from
// crypto/rand: a value of the right length may repeat a few random bytes.
func TestA4_EverySecretOfAnAttemptIsDrawnWhole(t *testing.T) {
	random := recordRandom(t)
	w := newConsentWorld(t)
	seen := map[string]bool{}
	for range 20 {
		a := w.start(sandbox.Bitbucket)
		b := newBrowser(w)
		address := b.authorizeURL(a)
		state := queryOf(address).Get("state")
		id, ofState, _ := strings.Cut(state, ".")
		if id != a.id {
			t.Fatal("the state doesn't begin with the id of its attempt")
		}
		_, verifier, _ := strings.Cut(b.value(), state+".")
		end := b.callback(w.grant(a.platform, "alice", address, nil)).consented()
		for name, c := range map[string]struct {
			value string
			bits  int
		}{
			"id": {id, 128}, "state": {ofState, 256}, "verifier": {verifier, 256},
			"confirmation code": {end.confirmationCode, 256},
		} {
			if len(c.value)*4 != c.bits || !random.has(c.value) {
				t.Errorf("the %s isn't %d bits that were drawn at once", name, c.bits)
			}
			if seen[c.value] {
				t.Errorf("the %s was there before", name)
			}
			seen[c.value] = true
		}
	}
}

// TestD4_AnAttemptsRowHoldsHashesOnly reads the row at each stage, as a thief of the table would.
// What the browsers have seen is looked for in every row, and at the end in the files.
func TestD4_AnAttemptsRowHoldsHashesOnly(t *testing.T) {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	for _, platform := range byConsent {
		w := newConsentWorld(t)
		b := newBrowser(w)
		a := w.start(platform)
		wantRow := func(stage, stateHash, confirmationHash string) {
			t.Helper()
			row, err := w.lost.Authorization(t.Context(), a.id)
			if err != nil {
				t.Fatal(err)
			}
			if string(row.Stage) != stage || row.StateHash != stateHash {
				t.Errorf("%s: the row is %s, want %s with the state's hash", platform, row.Stage, stage)
			}
			if row.ConfirmationHash != confirmationHash {
				t.Errorf("%s, %s: the confirmation code's hash is another", platform, stage)
			}
			text, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			w.wantNoSecret(stage, text)
		}
		wantRow("started", "", "")
		address := b.authorizeURL(a)
		ofState := hash(queryOf(address).Get("state"))
		wantRow("redirected", ofState, "")
		end := b.callback(w.grant(a.platform, "alice", address, nil)).consented()
		wantRow("consented", ofState, hash(end.confirmationCode))
		w.confirm(a.id, end.confirmationCode).ok()
		wantRow("consented", ofState, hash(end.confirmationCode))
	}
}
