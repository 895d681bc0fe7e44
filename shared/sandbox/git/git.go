// Package git serves the sandbox's repositories for cloning and pushing, with git's own program for
// HTTP, and tells what a push changed.
package git

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server serves small repositories by git-http-backend. It makes a repository at the first request
// for it. Without git on the machine it answers 501. The zero value is ready to use, by several
// goroutines at once.
type Server struct {
	mu      sync.Mutex
	folder  string // "" until the first request
	backend string
	disks   map[string]*disk // repositories, by name
	closed  bool

	pushedTo sync.Map // the name of a repository that was pushed to -> its Repository
}

// DemoFolder returns the folder in the URL of a platform's [Demo] repository.
func DemoFolder(platform string) string { return "/sandbox-" + platform + "/" }

// IsPath reports whether a path is one of git's.
func IsPath(path string) bool { return strings.Contains(path, ".git/") }

// RequireLogin asks for a user name and a token, as a git server does.
func RequireLogin(w http.ResponseWriter, realm string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
	http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
}

// ensure makes a repository unless it is there.
func (s *Server) ensure(ctx context.Context, repository Repository) (*disk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, http.ErrServerClosed
	}
	if d := s.disks[repository.Name]; d != nil {
		return d, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	if err := s.create(ctx, repository); err != nil {
		return nil, err
	}
	d := &disk{
		server: s, folder: filepath.Join(s.folder, repository.Name), commits: map[string]Commit{},
	}
	s.disks[repository.Name] = d
	return d, nil
}

// prepare finds git's program and makes the folder of the repositories, once. Hold mu.
func (s *Server) prepare(ctx context.Context) error {
	if s.folder != "" {
		return nil
	}
	folder, err := os.MkdirTemp("", "bindery-sandbox-git-")
	if err != nil {
		return err
	}
	s.folder, s.disks = folder, map[string]*disk{}
	programs, err := s.run(ctx, "", "--exec-path")
	if err != nil {
		return err
	}
	s.backend = filepath.Join(strings.TrimSpace(programs), "git-http-backend")
	return nil
}

// create makes a repository on disk, in one run of git-fast-import. Hold mu.
func (s *Server) create(ctx context.Context, repository Repository) error {
	first := "main"
	if len(repository.Branches) > 0 {
		first = repository.Branches[0]
	}
	folder := filepath.Join(s.folder, repository.Name)
	_, err := s.run(ctx, "", "init", "--quiet", "--bare", "--initial-branch="+first, folder)
	if err != nil || len(repository.Branches) == 0 {
		return err
	}
	_, err = s.run(ctx, repository.stream(),
		"-C", folder, "fast-import", "--quiet")
	return err
}

// stream returns the repository as git-fast-import reads it.
func (r Repository) stream() string {
	var b strings.Builder
	data := func(text string) string { return fmt.Sprintf("data %d\n%s\n", len(text), text) }
	shared, first := r.shared(), r.first()
	for i, f := range shared {
		fmt.Fprintf(&b, "blob\nmark :%d\n%s", i+1, data(f.Content))
	}
	base := len(shared) + 1
	fmt.Fprintf(&b, "commit refs/heads/%s\nmark :%d\ncommitter %s\n%sM 100644 :1 %s\n\n",
		r.Branches[0], base, signature(), data(first.Message), shared[0].Path)
	for i, ref := range r.Refs() {
		c := r.commit(ref, shared, first.Hash)
		fmt.Fprintf(&b, "commit refs/%s\nmark :%d\ncommitter %s\n%sfrom :%d\n",
			ref, base+1+i, signature(), data(c.Message), base)
		fmt.Fprintf(&b, "M 100644 inline %s\n%s", c.Files[0].Path, data(c.Files[0].Content))
		for n, f := range shared {
			fmt.Fprintf(&b, "M 100644 :%d %s\n", n+1, f.Path)
		}
		// The tag's object takes the place of the commit.
		name, isTag := strings.CutPrefix(ref, "tags/")
		if isTag && slices.Contains(r.Annotated, name) {
			fmt.Fprintf(&b, "\ntag %s\nfrom :%d\ntagger %s\n%s",
				name, base+1+i, signature(), data(tagMessage(name)))
		}
	}
	return b.String()
}

// run runs git without this machine's settings, with text as its input.
func (s *Server) run(ctx context.Context, text string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Env, command.Dir = environment(s.folder), s.folder
	command.Stdin = strings.NewReader(text)
	out, err := command.Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		return "", fmt.Errorf("git %s: %w: %.200s", strings.Join(args, " "), err, failed.Stderr)
	}
	return string(out), err
}

func environment(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		// A push leaves no program behind it that collects garbage.
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=receive.autogc", "GIT_CONFIG_VALUE_0=false",
		"GIT_CONFIG_KEY_1=core.fsync", "GIT_CONFIG_VALUE_1=none",
	}
}

// Close removes the repositories. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}
