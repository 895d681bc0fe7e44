package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"bindery/shared/testkit"
)

// pageTimeout is how long a test waits for a page or a process. Each takes a fraction of it.
const pageTimeout = time.Minute

// cookiesOff is a host from which newBrowser accepts no cookies, by a setting of its user.
const cookiesOff = "127.0.0.4"

// Chromium's preferences, as a user sets them in its dialogs.
var (
	// blocksThirdParty blocks third-party cookies, and every cookie of cookiesOff.
	blocksThirdParty = settings{"cookie_controls_mode": 1, "content_settings": settings{
		"exceptions": settings{"cookies": settings{
			"http://" + cookiesOff + ",*": settings{"setting": 2},
		}},
	}}
	// blocksNothing accepts every cookie.
	blocksNothing = settings{"cookie_controls_mode": 0}
)

type settings map[string]any

// artifacts holds what takes long to make. The first test that needs one makes it.
type artifacts struct {
	dir string

	mu              sync.Mutex
	browsers        map[string]context.Context
	functionFolders map[string]string // the folders of the functions' binaries, by cloud
	olderFolder     string            // the folder of an older version's binaries
	endings         []func()
}

var built = &artifacts{browsers: map[string]context.Context{}, functionFolders: map[string]string{}}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bindery-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	built.dir = dir
	defer built.end()
	return m.Run()
}

func (s *artifacts) end() {
	for _, end := range s.endings {
		end()
	}
	if err := os.RemoveAll(s.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// browser starts Chromium with these preferences, or returns the one of this name that runs
// already.
func (s *artifacts) browser(t *testing.T, name string, of settings) context.Context {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if running, ok := s.browsers[name]; ok {
		return running
	}
	program := testkit.Program(t, "chromium")
	dir := filepath.Join(s.dir, name)
	if err := writeSettings(dir, of); err != nil {
		t.Fatal(err)
	}
	allocator, freed := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(program), chromedp.UserDataDir(dir), chromedp.NoSandbox,
		chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(pageTimeout),
		chromedp.Env("TMPDIR="+dir),
		chromedp.Flag("accept-lang", "zh-CN"),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-extensions", true),
		chromedp.Flag("disable-hang-monitor", true),
		chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("password-store", "basic"))
	// The library reports every event that is newer than itself.
	silent := chromedp.WithErrorf(func(string, ...any) {})
	running, stopped := chromedp.NewContext(allocator, silent)
	if err := chromedp.Run(running); err != nil {
		stopped()
		freed()
		t.Fatalf("starting chromium: %v", err)
	}
	s.browsers[name] = running
	s.endings = append(s.endings, func() {
		gently, cancel := context.WithTimeout(running, pageTimeout)
		defer cancel()
		_ = chromedp.Cancel(gently) // a killed browser leaves files and processes
		freed()
	})
	return running
}

// writeSettings writes the preferences of a new profile.
func writeSettings(dir string, of settings) error {
	text, err := json.Marshal(settings{"profile": of})
	profile := filepath.Join(dir, "Default")
	return errors.Join(err, os.MkdirAll(profile, 0o700),
		os.WriteFile(filepath.Join(profile, "Preferences"), text, 0o600))
}

// newBrowser returns a tab of a browser that blocks third-party cookies, with neither cookies nor
// storage yet.
func newBrowser(t *testing.T) *tab {
	t.Helper()
	return newProfile(t, built.browser(t, "usual", blocksThirdParty))
}

// otherBrowser returns a tab of another browser, which shares nothing with those of newBrowser.
func otherBrowser(t *testing.T) *tab {
	t.Helper()
	return newProfile(t, built.browser(t, "another", blocksNothing))
}

// jsString returns the text as a string literal of JavaScript.
func jsString(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err) // encoding a string never fails
	}
	return string(literal)
}

// withoutQuery returns the address without query and fragment, which may hold secrets.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	return address
}
