//go:build contract

package contract_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"bindery/shared/provider"
)

// The vendor's own client calls the sandbox, and its schemas read the replies. It has no call for
// tags and webhooks.
func TestTheCallsOfCodeupAreThoseOfItsClient(t *testing.T) {
	rows := readTable(t)
	made := map[int]exchange{}
	for _, e := range codeupClientCalls(t) {
		i := slices.IndexFunc(rows, func(r row) bool { return r.matches(e) })
		if i < 0 {
			t.Errorf("the client calls %s, which isn't in the table", e.call)
			continue
		}
		if e.status != http.StatusOK {
			t.Errorf("%s gives the client %d", e.call, e.status)
		}
		made[i] = e
	}
	for i, r := range rows {
		_, ok := made[i]
		if want := r.platform == provider.Codeup && r.sure == described; ok != want {
			t.Errorf("the table says %q of %s; that the client makes it is %t", r.sure, r.call, ok)
		}
	}
	total, requests := 0, 0
	for _, e := range recordAll(t) {
		if e.platform != provider.Codeup {
			continue
		}
		total++
		i := slices.IndexFunc(rows, func(r row) bool { return r.matches(e) })
		theirs, ok := made[i]
		if !ok {
			continue // see the facts
		}
		requests++
		for name := range e.sent.URL.Query() {
			if !theirs.sent.URL.Query().Has(name) {
				t.Errorf("%s has the parameter %s, which the client doesn't send", e.call, name)
			}
		}
		if e.sent.Header.Get("X-Yunxiao-Token") == "" || len(e.body) > 0 {
			t.Errorf("%s isn't the client's call", e.call)
		}
	}
	t.Logf("%s: %d requests of %d calls, and the replies of %d kinds of call, held against %s",
		provider.Codeup, requests, total, len(made), "alibabacloud-devops-mcp-server")
}

// codeupClientCalls returns the calls of the vendor's client.
func codeupClientCalls(t *testing.T) []exchange {
	t.Helper()
	w := newWorld(t)
	folder, err := filepath.Abs(installed)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(
		t.Context(), "node", "codeup_client.mjs", folder, mainOrganization, "1001",
	)
	node.Env = append(os.Environ(),
		"YUNXIAO_API_BASE_URL="+w.origins[codeupAPI], "YUNXIAO_EDITION=central",
		"YUNXIAO_ACCESS_TOKEN="+w.fullCodeupToken().Reveal(),
	)
	if out, err := node.CombinedOutput(); err != nil {
		t.Fatalf("the vendor's client can't use the sandbox: %v\n%s", err, out)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records
}
