package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// gitServer serves small repositories by git's own program for HTTP (git-http-backend). They are
// made when somebody first asks for them. Nothing can be pushed. Where git isn't installed it
// answers 501.
type gitServer struct {
	mu      sync.Mutex
	folder  string // "" until somebody clones
	backend string
	made    map[string]bool // repositories, by name
	closed  bool
}

// gitRepository is what is to be cloned: one file, the same on every branch.
type gitRepository struct {
	name           string // the folder's; words and dashes
	branches, tags []string
}

// demo is the repository of a platform whose API names none.
func demo(p Platform) gitRepository {
	return gitRepository{name: string(p), branches: []string{"main"}}
}

// The two requests of a clone (gitprotocol-http): which refs are there, and their objects.
const (
	gitRefs = "info/refs"
	gitPack = "git-upload-pack"
)

// gitOf is the folder below which a platform's one repository is cloned from, for those whose API
// names none.
func gitOf(p Platform) string { return "/sandbox-" + string(p) + "/" }

// isGit reports whether a path is one of git's.
func isGit(path string) bool { return strings.Contains(path, ".git/") }

// serve answers one request of a clone of a repository, for a caller who was let in.
func (g *gitServer) serve(w http.ResponseWriter, r *http.Request, repository gitRepository) {
	_, call, _ := strings.Cut(r.URL.Path, ".git/")
	refs := r.Method == http.MethodGet && call == gitRefs &&
		r.URL.Query().Get("service") == gitPack
	if !refs && (r.Method != http.MethodPost || call != gitPack) {
		http.Error(w, "the sandbox serves clones alone", http.StatusForbidden)
		return
	}
	folder, backend, err := g.ready(r.Context(), repository)
	if err != nil {
		http.Error(w, "sandbox: there is no git here: "+err.Error(), http.StatusNotImplemented)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = "/" + repository.name + "/.git/" + call
	inner.Header.Del("Authorization") // the program needs none
	program := cgi.Handler{
		Path: backend, Root: "/", Dir: folder,
		Env: append(gitEnvironment(folder), "GIT_PROJECT_ROOT="+folder, "GIT_HTTP_EXPORT_ALL=1"),
	}
	program.ServeHTTP(w, inner)
}

// ready makes a repository, once.
func (g *gitServer) ready(
	ctx context.Context, repository gitRepository,
) (folder, backend string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return "", "", http.ErrServerClosed
	}
	if !g.made[repository.name] {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := g.make(ctx, repository); err != nil {
			return "", "", err
		}
		g.made[repository.name] = true
	}
	return g.folder, g.backend, nil
}

// find finds git's program and a folder for the repositories. The lock is held.
func (g *gitServer) find(ctx context.Context) error {
	if g.folder != "" {
		return nil
	}
	folder, err := os.MkdirTemp("", "bindery-sandbox-git-")
	if err != nil {
		return err
	}
	g.folder, g.made = folder, map[string]bool{}
	programs, err := g.git(ctx, "--exec-path")
	if err != nil {
		return err
	}
	g.backend = filepath.Join(strings.TrimSpace(programs), "git-http-backend")
	return nil
}

// make makes a repository. The lock is held.
func (g *gitServer) make(ctx context.Context, repository gitRepository) error {
	if err := g.find(ctx); err != nil {
		return err
	}
	tree := filepath.Join(g.folder, repository.name)
	calls := [][]string{{"init", "--quiet", "--initial-branch=main", tree}}
	if len(repository.branches) > 0 {
		calls[0][2] = "--initial-branch=" + repository.branches[0]
		calls = append(calls,
			[]string{"-C", tree, "add", "README.md"},
			[]string{
				"-C", tree, "-c", "user.name=Sandbox", "-c", "user.email=sandbox@sandbox.invalid",
				"commit", "--quiet", "--message=First",
			})
		for _, name := range repository.branches[1:] {
			calls = append(calls, []string{"-C", tree, "branch", name})
		}
	}
	for _, name := range repository.tags {
		calls = append(calls, []string{"-C", tree, "tag", name})
	}
	for i, args := range calls {
		if _, err := g.git(ctx, args...); err != nil {
			return err
		}
		text := []byte("A repository of the sandbox: " + repository.name + ".\n")
		if i == 0 {
			if err := os.WriteFile(filepath.Join(tree, "README.md"), text, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// git runs git with nothing of this machine's settings.
func (g *gitServer) git(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Env, command.Dir = gitEnvironment(g.folder), g.folder
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %.200s", args[0], err, out)
	}
	return string(out), nil
}

func gitEnvironment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
	}
}

// close removes the repositories.
func (g *gitServer) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.folder != "" {
		_ = os.RemoveAll(g.folder)
	}
}

// refuseGit asks for a user name and a token, as a git server does.
func refuseGit(w http.ResponseWriter, realm string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
	http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
}

// gitRule is who may clone from a platform that is bound by consent.
type gitRule struct {
	user  string // beside the token; "" is any
	scope string
}

// gitRules are what the platforms tell of git over HTTPS with a token.
func gitRules() map[Platform]gitRule {
	return map[Platform]gitRule{
		Gitee:     {"oauth2", "projects"},
		GitHub:    {"", "repo"},
		Bitbucket: {"x-token-auth", "repository"},
	}
}

// serveGit serves demo.git of a platform that is bound by consent.
func (p *oauthPlatform) serveGit(w http.ResponseWriter, r *http.Request) {
	rule := gitRules()[p.platform]
	user, password, _ := r.BasicAuth()
	caller, fault := p.caller(password)
	if fault != bearerGood || user == "" || rule.user != "" && user != rule.user {
		refuseGit(w, p.title+" (sandbox)")
		return
	}
	if !caller.may(rule.scope) {
		http.Error(w, "the token lacks the scope "+rule.scope, http.StatusForbidden)
		return
	}
	if !strings.HasPrefix(r.URL.Path, gitOf(p.platform)+"demo.git/") {
		http.Error(w, "Repository not found", http.StatusNotFound)
		return
	}
	p.sandbox.git.serve(w, r, demo(p.platform))
}

// serveGit serves a project's repository. The name beside the token is its user's, or oauth2.
func (g *gitlab) serveGit(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	inner := r.Clone(r.Context())
	inner.Header.Set("Private-Token", password)
	path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/gitlab/"), ".git/")
	g.mu.Lock()
	t, u, refused := g.authenticate(inner)
	var lacks bool
	if refused == nil {
		lacks = t.allow("api", "read_repository", "write_repository") != nil
	}
	g.mu.Unlock()
	switch {
	case refused != nil || user != u.Username && user != "oauth2":
		refuseGit(w, "GitLab (sandbox)")
	case lacks:
		http.Error(w, "the token lacks a scope", http.StatusForbidden)
	case !u.sees(path):
		http.Error(w, "The project you were looking for could not be found", http.StatusNotFound)
	default:
		g.sandbox.git.serve(w, r, demo(GitLab))
	}
}
