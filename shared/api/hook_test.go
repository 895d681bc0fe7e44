package api_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// unknownID has the form of a subscription's id.
const unknownID = "0123456789abcdef0123456789abcdef"

// deliver posts a body to a webhook, as a platform does.
func (w *world) deliver(platform, id, body string, header map[string]string) reply {
	w.t.Helper()
	all := map[string]string{"Authorization": "", "Content-Type": "application/json"}
	for name, value := range header {
		all[name] = value
	}
	return w.do(request{
		method: "POST", path: "/v1/hooks/" + platform + "/" + id, body: body, header: all,
		unlisted: body == "" || len(id) != 32 || strings.ToLower(id) != id ||
			!slices.Contains(provider.Names(), platform),
	})
}

// wantNoCall fails if the table or the vault was called.
func (w *world) wantNoCall(what string) {
	w.t.Helper()
	if n := len(w.table.made()) + len(w.vault.made()); n != 0 {
		w.t.Errorf("%s: %d calls were made", what, n)
	}
}

func TestE7_ADeliveryOverTheCapIsRefused(t *testing.T) {
	w := newWorld(t)
	w.table.reset(nil)
	large := strings.Repeat(" ", provider.MaxDelivery+1)
	r := w.deliver("github", unknownID, large, nil).refused(problem.BodyTooLarge, "")
	if !strings.Contains(r.text("detail"), "4194304") {
		t.Errorf("the limit isn't told: %s", r.text("detail"))
	}
	w.wantNoCall("a body over the cap")

	// Its length is not announced, and it doesn't end.
	endless := io.MultiReader(strings.NewReader(large), readerOf(' '))
	req, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, w.url+"/v1/hooks/github/"+unknownID, endless)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	testkit.Want(t, "the status of a body without an end", resp.StatusCode, 413)
	w.wantNoCall("a body without an end")

	w.deliver("github", unknownID, large[1:], nil).refused(problem.WebhookUnknown, "")
	for _, path := range []string{"/v1/hooks", "/v1/hooksx/github/" + unknownID, home + "/gitlab"} {
		w.do(request{
			method: "POST", path: path, body: strings.Repeat(" ", 32<<10+1), unlisted: true,
		}).refused(problem.BodyTooLarge, "")
	}
}

// readerOf is the same byte without an end.
type readerOf byte

func (r readerOf) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r)
	}
	return len(b), nil
}

func TestE7_ACompressedDeliveryIsNotUnpacked(t *testing.T) {
	w := newWorld(t)
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(zip, readerOf('['), 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	w.table.reset(nil)
	for _, encoding := range []string{
		"gzip", "deflate", "br", "GZIP", "gzip, gzip", "identity, gzip",
	} {
		r := w.deliver("github", unknownID, bomb.String(), map[string]string{
			"Content-Encoding": encoding, "Content-Type": "application/octet-stream",
		}).refused(problem.MediaTypeUnknown, "compressed")
		readsWell(t, r.json(), problem.English)
	}
	w.wantNoCall("a compressed body")
	for _, encoding := range []string{"", "identity"} {
		w.deliver("github", unknownID, bomb.String(), map[string]string{
			"Content-Encoding": encoding, "Content-Type": "application/octet-stream",
		}).refused(problem.WebhookUnknown, "")
	}
}

// TestE11_AFloodOfForgedDeliveriesKeepsNoTrueOneOut and costs no more than a read of a row for each
// of them.
func TestE11_AFloodOfForgedDeliveriesKeepsNoTrueOneOut(t *testing.T) {
	w, r, one := newSubscriptionWorld(t)
	w.subscribe(one)
	w.push("Try a build")
	sent := w.box.Deliveries(sandbox.GitLab, "alice/hello")
	last := sent[len(sent)-1].Outgoing
	id, body, header := w.webhook(), string(last.Body), map[string]string{}
	for name := range last.Header {
		header[name] = last.Header.Get(name)
	}
	forged := changedHeader(header, "webhook-signature", "v1,YQ==")
	calls := w.counted(func() {
		for range 650 {
			w.deliver("gitlab", id, body, forged).refused(problem.WebhookUnknown, "")
			w.deliver("gitlab", unknownID, body, header).refused(problem.WebhookUnknown, "")
		}
	})
	w.wantCalls("of forged deliveries", calls, map[string]int{"Subscription": 1300})
	w.push("Try another")
	testkit.Want(t, "forwarded", len(r.received()), 2)
}

func TestNoBrowserReadsAWebhooksReply(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{"POST", "OPTIONS"} {
		r := w.do(request{
			method: method, path: "/v1/hooks/github/" + unknownID, unlisted: true,
			header: map[string]string{
				"Origin": consoleURL, "Access-Control-Request-Method": "POST", "Authorization": "",
			},
		})
		for name := range r.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: got the header %s", method, name)
			}
		}
	}
}
