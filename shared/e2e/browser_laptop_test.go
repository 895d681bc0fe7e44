package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// laptopBinary builds functions/local once with these flags.
func (s *artifacts) laptopBinary(t *testing.T, flags ...string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	binary := filepath.Join(s.dir, strings.Join(append([]string{"local"}, flags...), ""))
	if _, err := os.Stat(binary); err == nil {
		return binary
	}
	args := append([]string{"build", "-buildvcs=false", "-o", binary}, flags...)
	build := exec.Command("go", append(args, "./functions/local")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", build, err, out)
	}
	return binary
}

// raceFlag returns the race detector's flag, if the tests have it.
func raceFlag() []string {
	if info, ok := debug.ReadBuildInfo(); ok &&
		slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return []string{"-race"}
	}
	return nil
}

// startLaptop runs functions/local as a user does, and returns the origins of Bindery and of its
// sandbox. The settings are variables of its environment.
func startLaptop(t *testing.T, settings ...string) (bindery, platforms string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, built.laptopBinary(t, raceFlag()...))
	data := t.TempDir()
	process.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + data, "PORT=0", "BINDERY_DATA=" + data,
		"GORACE=atexit_sleep_ms=0",
	}, settings...)
	var complaints bytes.Buffer
	process.Stderr = &complaints
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	late := time.AfterFunc(pageTimeout, cancel)
	for bindery == "" && lines.Scan() {
		line := strings.Fields(lines.Text())
		switch {
		case strings.HasPrefix(lines.Text(), "Bindery is at"):
			bindery = line[3]
		case strings.HasPrefix(lines.Text(), "The sandbox is at"):
			platforms = line[4]
		}
	}
	late.Stop()
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, out) }()
	t.Cleanup(func() {
		cancel()
		<-drained
		_ = process.Wait()
		if complaints.Len() > 0 {
			t.Errorf("Bindery's stderr: %s", complaints.String())
		}
	})
	if bindery == "" || platforms == "" {
		t.Fatal("Bindery ended before its greeting was complete")
	}
	return bindery, platforms
}

// laptopInstance is the address of a laptop's first instance in the console.
const laptopInstance = "/#/ap-southeast-1/cri-acme-sg"

// sample returns one of the sandbox's sample tokens.
func sample(t *testing.T, platform sandbox.Platform, title string) sandbox.Sample {
	t.Helper()
	box := sandbox.New(sandbox.Options{Now: time.Now, Random: rand.Reader})
	defer box.Close()
	for _, s := range box.Samples() {
		if s.Platform == platform && strings.Contains(s.Title.English, title) {
			return s
		}
	}
	t.Fatalf("%s has no sample %q", platform, title)
	return sandbox.Sample{}
}

// submitSample fills in the form with a sample and submits it.
func submitSample(b *tab, platforms string, s sandbox.Sample) {
	b.t.Helper()
	if s.Address != "" {
		b.fill("#field-address", platforms+s.Address)
	}
	if s.Organization != "" {
		b.fill("#field-organization", s.Organization)
	}
	b.fill("#field-username", s.Username)
	b.fill("#field-token", s.Token.Reveal())
	b.click("#submit")
}

// wantTokenOnlyInField expects the sample's token nowhere but in its field.
func wantTokenOnlyInField(b *tab, s sandbox.Sample) {
	b.t.Helper()
	if got := b.text(`(location.href + JSON.stringify(sessionStorage) +
		JSON.stringify(localStorage) + document.cookie + document.body.innerText).
		includes(` + jsString(s.Token.Reveal()) + `)`); got != "false" {
		b.t.Errorf("%s: the token %q is outside of its field", s.Platform, s.Title.English)
	}
}

// Binds all five platforms against the real process, in a browser whose language is Chinese.
func TestBrowserBindsAllFiveOnALaptop(t *testing.T) {
	bindery, platforms := startLaptop(t)
	b := newBrowser(t)
	b.open(bindery + laptopInstance)
	b.waitReady("#instance", "#row-codeup", "#row-bitbucket")
	first := b.value("#instance")
	refusedThenBound(t, b, platforms, sample(t, sandbox.Codeup, "branches"),
		sample(t, sandbox.Codeup, "good"), "permission_missing")
	refusedThenBound(t, b, platforms, sample(t, sandbox.GitLab, "revoked"),
		sample(t, sandbox.GitLab, "good"), "token_rejected")
	for _, platform := range []string{"gitee", "github", "bitbucket"} {
		b.leave(platform)
		b.click("#login-alice")
		b.click("#authorize")
		if platform == "bitbucket" {
			chooseInstance(b, "personal", "cn-shanghai", "crp-acme-dev")
		}
		b.waitReady(boundSelector(platform))
	}
	b.waitReady("#instance option:checked[value='cn-shanghai/crp-acme-dev']")
	b.fill("#instance", first)
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab"} {
		b.waitReady(boundSelector(platform))
		testkit.Want(t, "the status of "+platform, b.innerText("#status-"+platform), "已绑定")
		unbind(b, platform)
	}
	b.waitReady(unboundSelector("bitbucket"))
	b.fill("#instance", "cn-shanghai/crp-acme-dev")
	b.waitReady(boundSelector("bitbucket"))
	unbind(b, "bitbucket")
}

// refusedThenBound submits a token that is refused, expects the problem and the user's input to be
// shown, and then submits a good one.
func refusedThenBound(
	t *testing.T, b *tab, platforms string, bad, good sandbox.Sample, code string,
) {
	t.Helper()
	platform := string(bad.Platform)
	b.click("#bind-" + platform)
	submitSample(b, platforms, bad)
	b.waitReady(problemSelector(code))
	parts := map[string]string{
		"title": ".problem-title", "detail": ".problem-title + p", "remedy": ".remedy",
	}
	for name, selector := range parts {
		if b.innerText("#problem "+selector) == "" {
			t.Errorf("%s: %s has no %s", platform, code, name)
		}
	}
	if b.value("#field-username") != bad.Username ||
		b.value("#field-token") != bad.Token.Reveal() ||
		bad.Address != "" && b.value("#field-address") != platforms+bad.Address {
		t.Errorf("%s: what was typed is gone", platform)
	}
	wantTokenOnlyInField(b, bad)
	submitSample(b, platforms, good)
	b.waitReady(boundSelector(platform), "#dialog:not([open])")
	wantTokenOnlyInField(b, good)
}

// chooseInstance fills in the dialog after Bitbucket's consent: type, region, instance.
func chooseInstance(b *tab, kind, region, id string) {
	b.t.Helper()
	b.waitReady("#dialog[open] #choose-type")
	b.fill("#choose-type", kind)
	b.fill("#choose-region", region)
	b.fill("#choose-instance", id)
	b.click("#submit")
}

func unbind(b *tab, platform string) {
	b.t.Helper()
	b.click("#unbind-" + platform)
	b.click("#dialog[open] #submit")
	b.waitReady(unboundSelector(platform), "#dialog:not([open])")
}
