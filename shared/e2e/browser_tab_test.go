package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// tab is a tab of a browser. An exception, an error on the console or a violation of the content
// security policy in one of its pages fails the test.
type tab struct {
	t       *testing.T
	browser context.Context
	profile cdp.BrowserContextID
	ctx     context.Context
	marks   int
	// keyboard says that a person without a mouse uses the page: something must always have the focus.
	keyboard bool

	mu         sync.Mutex
	complaints []string
}

// newTab opens a tab in a window of its own, so that it is never in the background.
func newTab(t *testing.T, browser context.Context, profile cdp.BrowserContextID) *tab {
	t.Helper()
	var id target.ID
	command(t, browser, "opening a tab", func(ctx context.Context) (err error) {
		id, err = target.CreateTarget("about:blank").WithBrowserContextID(profile).
			WithNewWindow(true).Do(ctx)
		return err
	})
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(id))
	t.Cleanup(cancel)
	b := &tab{t: t, browser: browser, profile: profile, ctx: ctx}
	chromedp.ListenTarget(ctx, b.listen)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	t.Cleanup(b.wantNoComplaints)
	return b
}

// newProfile returns the first tab of a new browser profile.
func newProfile(t *testing.T, browser context.Context) *tab {
	t.Helper()
	var profile cdp.BrowserContextID
	command(t, browser, "a new profile", func(ctx context.Context) (err error) {
		profile, err = target.CreateBrowserContext().Do(ctx)
		return err
	})
	t.Cleanup(func() {
		command(t, browser, "dropping a profile", func(ctx context.Context) error {
			return target.DisposeBrowserContext(profile).Do(ctx)
		})
	})
	return newTab(t, browser, profile)
}

// command runs a command of the browser that belongs to no tab.
func command(
	t *testing.T, browser context.Context, what string, do func(context.Context) error,
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(browser, pageTimeout)
	defer cancel()
	if err := do(cdp.WithExecutor(ctx, chromedp.FromContext(browser).Browser)); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// openTab opens another tab of the same browser.
func (b *tab) openTab() *tab {
	b.t.Helper()
	return newTab(b.t, b.browser, b.profile)
}

func (b *tab) listen(happened any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	trouble := func(format string, parts ...any) {
		b.complaints = append(b.complaints, fmt.Sprintf(format, parts...))
	}
	switch e := happened.(type) {
	case *runtime.EventExceptionThrown:
		trouble("an exception: %s", e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		bad := []runtime.APIType{
			runtime.APITypeError, runtime.APITypeWarning, runtime.APITypeAssert,
		}
		if slices.Contains(bad, e.Type) {
			trouble("console.%s", e.Type)
		}
	case *cdplog.EventEntryAdded:
		// The browser itself logs the API's refusals, which the console shows to the user. The platforms
		// have no icon.
		refusal := e.Entry.Source == cdplog.SourceNetwork &&
			(strings.Contains(e.Entry.URL, "/v1/") || strings.HasSuffix(e.Entry.URL, "/favicon.ico"))
		if e.Entry.Level != cdplog.LevelVerbose && e.Entry.Level != cdplog.LevelInfo && !refusal {
			trouble("%s %s: %s (%s)", e.Entry.Source, e.Entry.Level, e.Entry.Text, withoutQuery(e.Entry.URL))
		}
	}
}

func (b *tab) wantNoComplaints() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.complaints {
		b.t.Errorf("the browser reports: %s", trouble)
	}
}

// try evaluates JavaScript with a user gesture, as if the user had clicked.
func (b *tab) try(ctx context.Context, expression string, to any) error {
	gesture := func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithUserGesture(true)
	}
	return chromedp.Run(ctx, chromedp.Evaluate(expression, to, gesture))
}

// until waits until the condition is true, across page loads. The condition may have side effects
// before it becomes true.
func (b *tab) until(what, condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTimeout)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		var holds bool
		err := b.try(ctx, "!!("+condition+")", &holds)
		if holds {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("timed out waiting for %s (%v), at %s", what, err, b.describe())
		case <-again.C:
		}
	}
}

// describe returns what the tab shows, for the message of a failing test.
func (b *tab) describe() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	var text string
	err := b.try(ctx, `location.origin + location.pathname + "\n" +
		document.body.innerText.slice(0, 2000)`, &text)
	if err != nil {
		return fmt.Sprintf("a page that doesn't answer: %v", err)
	}
	return text
}

// pageIdle is true when a page has loaded and isn't busy.
const pageIdle = `document.readyState === "complete" && !("busy" in document.body.dataset)`

// waitReady waits until the console is idle and has an element for each selector.
func (b *tab) waitReady(selectors ...string) {
	b.t.Helper()
	condition := pageIdle + ` && document.body.dataset.ready === "true"`
	for _, selector := range selectors {
		condition += " && document.querySelector(" + jsString(selector) + ")"
	}
	what := "the console with " + strings.Join(selectors, " and ")
	b.until(what, condition)
	if b.keyboard {
		b.wantFocusInPage(what)
	}
}

// waitVisible waits until a page shows the element.
func (b *tab) waitVisible(selector string) {
	b.t.Helper()
	b.until(selector, pageIdle+" && document.querySelector("+jsString(selector)+")?.checkVisibility()")
}

// click clicks on an element when it is visible and enabled.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.until(selector+" to press", pageIdle+` && (() => {
		const e = document.querySelector(`+jsString(selector)+`);
		if (!e || e.disabled || !e.checkVisibility()) return false;
		e.click();
		return true;
	})()`)
}

// fill enters a text into a field, or selects it in a list.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.until(selector+" to fill in", pageIdle+` && (() => {
		const e = document.querySelector(`+jsString(selector)+`);
		if (!e || e.disabled || !e.checkVisibility()) return false;
		e.focus();
		e.value = `+jsString(text)+`;
		e.dispatchEvent(new Event("input", { bubbles: true }));
		e.dispatchEvent(new Event("change", { bubbles: true }));
		return e.value === `+jsString(text)+`;
	})()`)
}

// text returns the value of the expression as a string.
func (b *tab) text(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTimeout)
	defer cancel()
	var text string
	if err := b.try(ctx, "String("+expression+")", &text); err != nil {
		b.t.Fatalf("reading %s: %v", expression, err)
	}
	return text
}

// innerText returns what an element shows, "" if there is none.
func (b *tab) innerText(selector string) string {
	b.t.Helper()
	return b.text("document.querySelector(" + jsString(selector) + ")?.innerText ?? ''")
}

// value returns the value of a field.
func (b *tab) value(selector string) string {
	b.t.Helper()
	return b.text("document.querySelector(" + jsString(selector) + ").value")
}

// do runs a command of the browser, such as an address that is typed or a button of its toolbar.
func (b *tab) do(what string, action chromedp.ActionFunc) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTimeout)
	defer cancel()
	if err := chromedp.Run(ctx, action); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// navigate runs the action and waits until another document has replaced the current one.
func (b *tab) navigate(what string, action chromedp.ActionFunc) {
	b.t.Helper()
	b.marks++
	mark := fmt.Sprint("document ", b.marks)
	b.text("window.mark = " + jsString(mark))
	b.do(what, action)
	b.until("another page after "+what, "window.mark !== "+jsString(mark))
}

// open types an address. Its messages leave out query and fragment.
func (b *tab) open(address string) {
	b.t.Helper()
	b.navigate("opening "+withoutQuery(address), func(ctx context.Context) error {
		_, _, failure, _, err := page.Navigate(address).Do(ctx)
		if failure != "" {
			return fmt.Errorf("the browser says %s", failure)
		}
		return err
	})
}

func (b *tab) reload() {
	b.t.Helper()
	b.navigate("a reload", func(ctx context.Context) error { return page.Reload().Do(ctx) })
}

// history returns the addresses of the tab's history.
func (b *tab) history() (addresses []string) {
	b.t.Helper()
	entries, _ := b.entries()
	for _, entry := range entries {
		addresses = append(addresses, entry.URL)
	}
	return addresses
}

// entries returns the tab's history, and which entry is shown.
func (b *tab) entries() (entries []*page.NavigationEntry, at int) {
	b.t.Helper()
	b.do("reading the history", func(ctx context.Context) error {
		current, all, err := page.GetNavigationHistory().Do(ctx)
		entries, at = all, int(current)
		return err
	})
	return entries, at
}

// back goes back to the nearest entry whose address begins with origin.
func (b *tab) back(origin string) {
	b.t.Helper()
	entries, at := b.entries()
	for i := at - 1; i >= 0; i-- {
		if strings.HasPrefix(entries[i].URL, origin) {
			b.navigate("going back", func(ctx context.Context) error {
				return page.NavigateToHistoryEntry(entries[i].ID).Do(ctx)
			})
			return
		}
	}
	b.t.Fatalf("there is nothing of %s to go back to", origin)
}
