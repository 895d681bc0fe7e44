package delivery_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/delivery"
	"bindery/shared/binding/ledger"
	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// site is the sandbox, and Bindery as its webhooks reach it.
type site struct {
	*harness
	url, hooks string
	answers    chan int // to deliveries
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{harness: newHarness(t), answers: make(chan int, 10)}
	s.Clock.Advance(time.Since(s.Now()).Truncate(time.Second)) // git and TLS have today's
	box := sandbox.New(sandbox.Options{Now: s.Now, Random: rand.Reader})
	platforms := httptest.NewServer(box)
	t.Cleanup(func() { box.Close(); platforms.Close() })
	s.url = platforms.URL
	s.platforms = provider.New(provider.Options{
		Now: s.Now, Endpoints: provider.Endpoints{
			"BINDERY_CODEUP_URL": s.url, "BINDERY_CODEUP_API_URL": s.url,
		},
		Guard: netguard.New(netguard.Options{
			PrivateHosts: []string{strings.TrimPrefix(s.url, "http://")},
		}),
	})
	s.serve()
	bindery := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		err := s.service.Receive(t.Context(), delivery.ReceiveRequest{
			Platform: parts[1], ID: parts[2], Header: r.Header, Body: body,
		})
		status := http.StatusNoContent
		if err != nil {
			status = problem.Of(err).Status()
		}
		w.WriteHeader(status)
		s.answers <- status
	}))
	t.Cleanup(bindery.Close)
	s.hooks = bindery.URL
	return s
}

// git runs git in a folder.
func git(t *testing.T, folder string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = folder
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Dora", "GIT_AUTHOR_EMAIL=dora@example.com", "GIT_COMMITTER_NAME=Dora",
		"GIT_COMMITTER_EMAIL=dora@example.com",
	}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v: %.500s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestAPushByGitToTheSandboxIsToldToTheReceiver(t *testing.T) {
	for _, c := range []struct {
		name, path string
		bundle     ledger.TokenBundle
	}{
		{provider.GitLab, "alice/hello", ledger.TokenBundle{
			Token: provider.Token{Access: secret.New("glpat-sandbox-alice-good")},
		}},
		{provider.Codeup, "sandbox-org-main/hello", ledger.TokenBundle{
			Token:        provider.Token{Access: secret.New("pt-sandbox-good")},
			Organization: "sandbox-org-main",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			if c.name == provider.GitLab {
				c.bundle.Address = s.url + "/gitlab"
			}
			c.bundle.Platform, c.bundle.Method = c.name, provider.ByToken
			sub := s.subscribeTo(c.name, c.path, c.bundle)

			folder := filepath.Join(t.TempDir(), "clone")
			git(t, t.TempDir(), "clone", "--quiet",
				sandbox.PushURL(s.url, sandbox.Platform(c.name), c.path, "alice"), folder)
			git(t, folder, "checkout", "--quiet", "-b", "topic")
			git(t, folder, "commit", "--quiet", "--allow-empty", "-m", "pushed by git")
			head := git(t, folder, "rev-parse", "HEAD")
			git(t, folder, "push", "--quiet", "origin", "topic")
			select {
			case status := <-s.answers:
				testkit.Want(t, "the answer", status, http.StatusNoContent)
			case <-time.After(20 * time.Second):
				t.Fatal("no delivery comes")
			}
			want(t, "told", s.receiver.told(), "heads/topic="+head)
			row, err := s.table.Subscription(t.Context(), sub.ID)
			check(t, err)
			testkit.Want(t, "events", len(row.Events), 1)
			testkit.Want(t, "state", row.Events[0].State, binding.EventForwarded)
		})
	}
}

// subscribeTo binds a platform, and installs a webhook of a subscription to one repository.
func (s *site) subscribeTo(
	name, path string, bundle ledger.TokenBundle,
) binding.Subscription {
	s.Helper()
	at := binding.Key{Account: "acme", Region: "r", Instance: "i", Platform: name}
	s.bind(at, bundle)
	p, _ := s.platforms.Get(name)
	hooks, ok := provider.WebhooksOf(p)
	if !ok {
		s.Fatal("the platform has no webhooks")
	}
	cred := bundle.Credential()
	page, err := hooks.Repositories(s.Context(), cred, "hello", "")
	check(s, err)
	for _, r := range page.Repositories {
		if r.Name != path {
			continue
		}
		id := strings.Repeat("c", 32)
		value := secret.New(strings.Repeat("k", 42) + "A")
		hook, err := hooks.CreateWebhook(s.Context(), cred, r.ID, provider.WebhookParams{
			URL: s.hooks + "/" + name + "/" + id, Secret: value, Push: true, Tag: true, Merge: true,
		})
		check(s, err)
		sub := s.subscribeAs(at, id, value, r.ID)
		sub.HookID, sub.Signed = hook.ID, hook.Signed
		sub.Repository.WebURL = r.WebURL
		sub, err = s.table.SaveSubscription(s.Context(), sub)
		check(s, err)
		return sub
	}
	s.Fatalf("%s isn't listed", path)
	return binding.Subscription{}
}
