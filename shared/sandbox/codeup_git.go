package sandbox

import (
	"fmt"
	"net/http"
	"strings"

	"bindery/shared/secret"
)

// serveGit serves git over HTTPS. The first request, which refs are there, is answered here for who
// asks for it in protocol version 0; git's own program asks for version 2, and gets a clone.
func (c *codeup) serveGit(w http.ResponseWriter, r *http.Request) {
	path, call, ok := strings.Cut(r.PathValue("rest"), ".git/")
	refs := call == gitRefs && r.URL.Query().Get("service") == gitPack
	if !ok || !refs && call != gitPack {
		c.refuse(w, &codeupError{http.StatusNotFound, "NotFound", "No such API"})
		return
	}
	repository, status, text := c.openRepository(r, path)
	if status != http.StatusOK {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="Codeup (sandbox)"`)
		}
		http.Error(w, text, status)
		return
	}
	if r.Method == http.MethodPost || r.Header.Get("Git-Protocol") != "" {
		c.sandbox.git.serve(w, r, gitRepository{
			fmt.Sprintf("codeup-%d", repository.ID), repository.Branches, repository.Tags,
		})
		return
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(advertisement(repository))
}

// openRepository checks account, password and permission, and finds the repository.
func (c *codeup) openRepository(r *http.Request, path string) (CodeupRepository, int, string) {
	var none CodeupRepository
	c.mu.Lock()
	defer c.mu.Unlock()
	account, password, given := r.BasicAuth()
	if !given {
		return none, http.StatusUnauthorized, "HTTP Basic: Access denied"
	}
	if c.wrongPasswords[account] >= maxWrongPasswords {
		return none, http.StatusForbidden, "Account is locked: too many wrong passwords"
	}
	token, refused := c.authenticate(password)
	wrongName := c.sandbox.on(Codeup, CodeupCheckName) &&
		!secret.New(account).Equal(secret.New(token.CloneAccount))
	if refused != nil || wrongName {
		c.wrongPasswords[account]++
		return none, http.StatusUnauthorized, "HTTP Basic: Access denied"
	}
	organization := r.PathValue("organization")
	refused = c.enter(organization, token, caller(r))
	if refused == nil {
		refused = permit(token, CodeupRepositories)
	}
	if refused != nil {
		return none, refused.status, refused.message
	}
	repository, ok := c.repository(organization, organization+"/"+path)
	if !ok {
		return none, http.StatusNotFound, "Repository not found"
	}
	return repository, http.StatusOK, ""
}

// advertisement lists refs (gitprotocol-http, "smart server response").
func advertisement(r CodeupRepository) []byte {
	var b strings.Builder
	b.WriteString(packet("# service=git-upload-pack\n") + "0000")
	const capabilities = "\x00side-band-64k agent=sandbox"
	if len(r.Branches) == 0 {
		b.WriteString(packet(strings.Repeat("0", 40) + " capabilities^{}" + capabilities + "\n"))
	} else {
		head := r.Branches[0]
		b.WriteString(packet(fmt.Sprintf("%s HEAD%s symref=HEAD:refs/heads/%s\n",
			commitID(r.ID, head), capabilities, head)))
	}
	for _, name := range r.Branches {
		b.WriteString(packet(commitID(r.ID, name) + " refs/heads/" + name + "\n"))
	}
	for _, name := range r.Tags {
		b.WriteString(packet(commitID(r.ID, name) + " refs/tags/" + name + "\n"))
	}
	b.WriteString("0000")
	return []byte(b.String())
}

// packet is git's pkt-line: the length in four hex digits, itself included, and the text.
func packet(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
