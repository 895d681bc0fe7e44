package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pageTimeout is how long a test waits for a page or a process. Each takes a fraction of it.
const pageTimeout = time.Minute

// cookiesOff is a host whose cookies the usual browser takes none of, as a person may have set it.
const cookiesOff = "127.0.0.4"

// A browser's settings, as a person makes them in its dialogs.
var (
	// blocksThirdParty blocks third-party cookies.
	blocksThirdParty = settings{"cookie_controls_mode": 1, "content_settings": settings{
		"exceptions": settings{"cookies": settings{
			"http://" + cookiesOff + ",*": settings{"setting": 2},
		}},
	}}
	// blocksNothing is a second browser of another person, who blocks nothing.
	blocksNothing = settings{"cookie_controls_mode": 0}
)

type settings map[string]any

// artifacts is what takes long to make, and so is made once, by whoever needs it first.
type artifacts struct {
	dir string

	mu              sync.Mutex
	browsers        map[string]context.Context
	laptop          string            // the built binary
	functionFolders map[string]string // the folders of the functions' binaries, by cloud
	endings         []func()
}

var built = &artifacts{browsers: map[string]context.Context{}, functionFolders: map[string]string{}}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bindery-story-")
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

// browser starts Chromium with these settings, or is the one that runs already.
func (s *artifacts) browser(t *testing.T, name string, of settings) context.Context {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if running, ok := s.browsers[name]; ok {
		return running
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("BINDERY_TEST_REQUIRE") == "all" {
			t.Fatal("there is no chromium: apt-get install chromium")
		}
		t.Skip("there is no chromium: apt-get install chromium")
	}
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
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("password-store", "basic"))
	// The library complains of every event that is newer than itself.
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
		_ = chromedp.Cancel(gently) // killed, it would leave files and processes behind
		freed()
	})
	return running
}

// writeSettings writes a new profile's.
func writeSettings(dir string, of settings) error {
	text, err := json.Marshal(settings{"profile": of})
	profile := filepath.Join(dir, "Default")
	return errors.Join(err, os.MkdirAll(profile, 0o700),
		os.WriteFile(filepath.Join(profile, "Preferences"), text, 0o600))
}

// newBrowser is somebody in front of a browser of their own: no cookie and no storage is there yet.
func newBrowser(t *testing.T) *tab {
	t.Helper()
	return newProfile(t, built.browser(t, "usual", blocksThirdParty))
}

// otherBrowser is somebody at another machine.
func otherBrowser(t *testing.T) *tab {
	t.Helper()
	return newProfile(t, built.browser(t, "another", blocksNothing))
}

// jsString is a text as JavaScript has it.
func jsString(text string) string {
	literal, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can't fail to become JSON
	}
	return string(literal)
}

// withoutQuery is an address without what may be secret in it.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	return address
}
