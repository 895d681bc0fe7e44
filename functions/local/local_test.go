package main

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bindery/shared/config"
	"bindery/shared/testkit"
)

// A sample token in the greeting would be found by [process.end]. They are on the sandbox's page.
func TestTheGreetingEndsWithTheAddress(t *testing.T) {
	data := t.TempDir()
	p := start(t, data)
	if !strings.HasPrefix(p.url, "http://localhost:") {
		t.Errorf("Bindery is said to be at %q", p.url)
	}
	if !strings.HasPrefix(p.sandbox, "http://127.0.0.1:") {
		t.Errorf("the sandbox is said to be at %q", p.sandbox)
	}
	if p.data != data {
		t.Errorf("the data is said to be in %q, want %q", p.data, data)
	}
	for _, address := range []string{p.url + "/healthz", p.sandbox + "/"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := send(r); err != nil || got.status >= http.StatusBadRequest {
			t.Errorf("%s answers %d, %v", address, got.status, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.log[len(p.log)-1]; !strings.HasSuffix(last, p.url) {
		t.Errorf("the last line is %q, want Bindery's address", last)
	}
}

func TestTheLogHasNoLineOfARunOfTheSchedule(t *testing.T) {
	var log testkit.Log
	l := slog.New(withoutMetrics{slog.NewJSONHandler(&log, nil)}).With("function", "local")
	for _, message := range []string{"metric", "checked", "subscriptions", "listening"} {
		l.Info(message)
	}
	testkit.Want(t, "log", log.String(), "")
	l.Error("subscriptions")
	l.Info("a subscription works again")
	testkit.Want(t, "lines", strings.Count(log.String(), "\n"), 2)
}

func TestASecondRunStillHasTheBindings(t *testing.T) {
	data := t.TempDir()
	first := start(t, data)
	first.wantBound("at first")
	first.bind("codeup", "gitlab")
	first.wantBound("after binding", "codeup", "gitlab")
	first.stop()

	second := start(t, data)
	second.wantBound("at the second run", "codeup", "gitlab")
	second.stop()
}

// The second run reads the token from the vault, since it asks the sandbox's GitLab to revoke it.
func TestASecondRunStillHasTheTokens(t *testing.T) {
	data, port := t.TempDir(), "PORT="+strconv.Itoa(ports(t))
	first := start(t, data, port)
	first.bind("gitlab")
	first.stop()

	second := start(t, data, port)
	got := second.call(http.MethodDelete, bindings+"/gitlab?revoke=true", second.signIn(nil), nil)
	if got.status != http.StatusOK || !strings.Contains(string(got.body), `"revoked":true`) {
		t.Errorf("unbinding with revoke: status %d: %s", got.status, got.body)
	}
	second.wantBound("after unbinding")
}

// The process is killed several times at random moments during binds.
func TestAKillDuringBindsLosesNothing(t *testing.T) {
	for _, vault := range []string{config.NativeVault, config.EnvelopeVault} {
		t.Run(vault, func(t *testing.T) {
			data := t.TempDir()
			killDuringBinds(t, data, "PORT="+strconv.Itoa(ports(t)), "BINDERY_VAULT="+vault)
			_, err := os.Stat(filepath.Join(data, "vault.db"))
			if (err == nil) != (vault == config.EnvelopeVault) {
				t.Errorf("its rows are there: %v", err)
			}
		})
	}
}

func killDuringBinds(t *testing.T, data string, settings ...string) {
	t.Helper()
	p := start(t, data, settings...)
	p.bind("codeup", "gitlab")
	for range 3 {
		token, form := p.signIn(nil), form(p.sample("gitlab", "good"))
		replied := make(chan struct{}, 40)
		for range 4 {
			go func() {
				for range 10 { // until it is killed
					_, err := p.try(http.MethodPut, bindings+"/gitlab", token, form)
					replied <- struct{}{}
					if err != nil {
						return
					}
				}
			}()
		}
		<-replied
		p.kill()
		p = start(t, data, settings...)
		p.wantBound("after the kill", "codeup", "gitlab")
	}
	for path, text := range files(t, data) {
		for _, hidden := range p.secrets {
			if strings.Contains(text, hidden.Reveal()) {
				t.Errorf("a token is in the file %s", filepath.Base(path))
			}
		}
	}
	got := p.call(http.MethodDelete, bindings+"/gitlab?revoke=true", p.signIn(nil), nil)
	if got.status != http.StatusOK || !strings.Contains(string(got.body), `"revoked":true`) {
		t.Errorf("after the kills, unbinding with revoke: status %d: %s", got.status, got.body)
	}
	p.wantBound("after unbinding", "codeup")
	p.stop()
}

func TestCtrlCEndsItToo(t *testing.T) {
	p := start(t, t.TempDir())
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if p.err != nil || p.stderr.Len() > 0 {
		t.Errorf("on SIGINT it ended with %v, stderr %q", p.err, p.stderr.String())
	}
}

// The test uses every sample token, and sends tokens where they don't belong. At its end the log is
// searched for all of them.
func TestD1_NoTokenIsInTheLog(t *testing.T) {
	p := start(t, t.TempDir())
	token := p.signIn(nil)
	for _, s := range p.samples {
		got := p.call(http.MethodPut, bindings+"/"+string(s.Platform), token, form(s))
		for _, hidden := range p.secrets {
			if strings.Contains(string(got.body), hidden.Reveal()) {
				t.Errorf("%s: %s: a token is in the reply", s.Platform, s.Title.English)
			}
		}
	}
	good := p.sample("gitlab", "good")
	for _, wrong := range []map[string]string{
		{"username": good.Token.Reveal(), "token": good.Token.Reveal(), "address": good.Address},
		{"username": "alice", "token": "x", "address": good.Address + "/" + good.Token.Reveal()},
		{"username": "alice", "token": "Bearer " + good.Token.Reveal(), "address": good.Address},
		{"username": "alice", "token": good.Token.Reveal(), "address": "http://127.0.0.1:1"},
		{"username": "alice", good.Token.Reveal(): "x", "address": good.Address},
	} {
		p.call(http.MethodPut, bindings+"/gitlab", token, wrong)
	}
	p.call(http.MethodPut, bindings+"/gitlab?token="+good.Token.Reveal(), token, form(good))
	p.call(http.MethodGet, bindings+"?access_token="+token.Reveal(), good.Token, nil)
	p.call(http.MethodDelete, bindings+"/gitlab?revoke=true", token, nil)
	p.stop()
	refusals := 0
	for _, line := range p.log {
		if strings.Contains(line, `"msg":"refused"`) {
			refusals++
		}
	}
	if refusals < 10 {
		t.Errorf("the log has %d refusals, so it isn't what was to be searched", refusals)
	}
}
