package e2e_test

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"bindery/shared/testkit"
)

// maxTransfer is how many bytes a first visit may transfer, with all headers and replies.
const maxTransfer = 60_000

// usableAt records when the page has become usable, in milliseconds since the navigation began.
const usableAt = `new MutationObserver((_, observer) => {
	if (document.body?.dataset.ready !== "true") return;
	observer.disconnect();
	window.usableAt = Math.round(performance.now());
}).observe(document, { attributes: true, childList: true, subtree: true })`

// TestBrowserLoadsThePageQuickly measures a first and a second visit over a line of 1.6 Mbit/s
// whose round trips take 150 ms: by HTTP/2 as the clouds serve it, and by HTTP/1.1 as a laptop
// does. It asserts the bytes; the time, which depends on the machine, is only logged.
func TestBrowserLoadsThePageQuickly(t *testing.T) {
	for protocol, scheme := range map[string]string{"h2": "https", "http/1.1": "http"} {
		t.Run(protocol, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			url := scheme + "://" + server.Listener.Addr().String()
			server.Config.Handler = many(url, 6)
			server.EnableHTTP2 = true
			if scheme == "https" {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			files, err := filepath.Glob("../console/page/*.js")
			if err != nil {
				t.Fatal(err)
			}
			modules := strconv.Itoa(len(files) - 1) // of the texts, one language
			b := newBrowser(t)
			transferred := b.slowLine()
			for _, visit := range []string{"first", "second"} {
				transferred.Store(0)
				b.open(url + "/?" + visit + "#/cn-hangzhou/cri-0001")
				b.waitReady("#main button")
				testkit.Want(t, "the protocol", b.text(
					`performance.getEntriesByType("navigation")[0].nextHopProtocol`), protocol)
				usable, first := b.text("usableAt"), transferred.Load()
				b.until("the modules of the buttons", `performance.getEntriesByType("resource").
					filter((e) => e.responseEnd && e.name.endsWith(".js")).length === `+modules)
				t.Logf("%s visit: usable after %s ms and %d bytes, %d bytes in all", visit, usable,
					first, transferred.Load())
				if transferred.Load() > maxTransfer && protocol == "h2" {
					t.Errorf("more than %d bytes are transferred", maxTransfer)
				}
			}
		})
	}
}

// slowLine makes the tab's line slow, and returns the counter of the bytes that it receives.
func (b *tab) slowLine() *atomic.Int64 {
	b.t.Helper()
	var transferred atomic.Int64
	chromedp.ListenTarget(b.ctx, func(happened any) {
		if e, ok := happened.(*network.EventLoadingFinished); ok {
			transferred.Add(int64(e.EncodedDataLength))
		}
	})
	const bytesPerSecond = 1.6e6 / 8
	b.do("a slow line", func(ctx context.Context) error {
		if err := network.Enable().Do(ctx); err != nil {
			return err
		}
		if _, err := page.AddScriptToEvaluateOnNewDocument(usableAt).Do(ctx); err != nil {
			return err
		}
		_, err := network.EmulateNetworkConditionsByRule(false, []*network.Conditions{{
			Latency: 150, DownloadThroughput: bytesPerSecond, UploadThroughput: bytesPerSecond,
		}}).Do(ctx)
		return err
	})
	return &transferred
}
