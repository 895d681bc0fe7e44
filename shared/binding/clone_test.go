package binding_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding/credential"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

// cloneURL is the repository that the sandbox has for a platform.
func (b *harness) cloneURL(name string) string {
	return b.url + map[string]string{
		provider.Codeup: "/sandbox-org-main/hello.git", provider.GitLab: "/gitlab/alice/hello.git",
		provider.GitHub: "/sandbox-github/demo.git", provider.Gitee: "/sandbox-gitee/demo.git",
		provider.Bitbucket: "/sandbox-bitbucket/demo.git",
	}[name]
}

// clone is what a build does with a credential: git asks a helper for it, so that it is in no
// address, no argument and no configuration. It returns what git says.
func clone(t *testing.T, address, username string, token secret.Text) (said string, err error) {
	t.Helper()
	git := testkit.Program(t, "git")
	home := t.TempDir()
	answer := filepath.Join(home, "credential")
	text := "username=" + username + "\npassword=" + token.Reveal() + "\n"
	if err := os.WriteFile(answer, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const helper = `credential.helper=!f() { test "$1" = get && cat "$ANSWER"; }; f`
	tree := filepath.Join(home, "tree")
	command := exec.CommandContext(t.Context(), git, "-c", helper, "clone", address, tree)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "ANSWER=" + answer,
		"GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
	}
	out, err := command.CombinedOutput()
	if strings.Contains(string(out), token.Reveal()) {
		t.Error("git shows the token")
	}
	if err != nil {
		return string(out), err
	}
	readme, err := os.ReadFile(filepath.Join(tree, "README.md"))
	return string(readme), err
}

func TestGitClonesFromEachPlatformWithWhatIsHandedOut(t *testing.T) {
	each(t, provider.Names(), func(t *testing.T, name string) {
		b := newHarness(t)
		b.bound("i-1", name)
		b.clock().Advance(9 * time.Hour) // some have to be refreshed first
		given, err := b.Credentials.Credential(context.Background(), credential.Request{
			By: user, Instance: registry("i-1"), Platform: name, MinimumLife: credential.MinimumLife,
		})
		if err != nil {
			t.Fatal(err)
		}
		said, err := clone(t, b.cloneURL(name), given.Username, given.Token)
		if err != nil {
			t.Fatalf("git clone: %v: %s", err, said)
		}
		testkit.Want(t, "what was cloned", strings.HasPrefix(said, "A repository of the sandbox: "+name),
			true)

		said, err = clone(t, b.cloneURL(name), given.Username, secret.New("another-token"))
		testkit.Want(t, "cloned with another token", err == nil, false)
		testkit.Want(t, "git says so", strings.Contains(said, "Authentication failed"), true)
		if name != provider.GitHub { // which looks at no name
			_, err = clone(t, b.cloneURL(name), "mallory", given.Token)
			testkit.Want(t, "cloned under another name", err == nil, false)
		}
		switch name {
		case provider.Codeup:
			b.sandbox.Codeup.RevokeToken(given.Token)
		case provider.GitLab:
			b.sandbox.GitLab.RevokeToken(given.Token)
		default:
			b.sandbox.RevokeTokens(sandbox.Platform(name), "alice")
		}
		_, err = clone(t, b.cloneURL(name), given.Username, given.Token)
		testkit.Want(t, "cloned after it was revoked", err == nil, false)
	})
}
