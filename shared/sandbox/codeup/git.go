package codeup

import (
	"fmt"
	"net/http"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/platform"
)

// serveGit serves git over HTTPS. A first request in protocol version 0, which asks for the refs,
// is answered here and needs no git; git's own program uses version 2 and can clone.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	path, request, ok := strings.Cut(r.PathValue("rest"), ".git/")
	push := git.IsPush(r)
	refs := request == git.InfoRefs && r.URL.Query().Get("service") == git.UploadPack
	if !ok || !refs && request != git.UploadPack && !push {
		s.fail(w, &apiError{http.StatusNotFound, "NotFound", "No such API"})
		return
	}
	repository, account, err := s.openRepository(r, path)
	switch {
	case err != nil && err.status == http.StatusUnauthorized:
		git.RequireLogin(w, "Codeup (sandbox)")
	case err != nil:
		http.Error(w, err.message, err.status)
	case push || r.Method == http.MethodPost || r.Header.Get("Git-Protocol") != "":
		_, password, _ := r.BasicAuth()
		s.ServeGit(w, r, platform.Codeup, repository, account,
			password == platform.GitPassword(account))
	default:
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(advertisement(repository.Repository))
	}
}

// openRepository checks account, password and permission, and finds the repository and the user's
// clone account. Every member may push with the password of [platform.GitPassword], which needs no
// permission; the tokens may only read.
func (s *Server) openRepository(
	r *http.Request, path string,
) (platform.Repository, string, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	denied, none := &apiError{status: http.StatusUnauthorized}, platform.Repository{}
	account, password, given := r.BasicAuth()
	if !given {
		return none, "", denied
	}
	if s.wrongPasswords[account] >= maxWrongPasswords {
		return none, "", &apiError{
			status: http.StatusForbidden, message: "Account is locked: too many wrong passwords",
		}
	}
	token, err := s.authenticate(password)
	if _, known := s.users[account]; known && password == platform.GitPassword(account) {
		token, err = Token{CloneAccount: account, Permissions: []Permission{Repositories}}, nil
	}
	if err != nil || s.On(CheckName) && account != token.CloneAccount {
		s.wrongPasswords[account]++
		return none, "", denied
	}
	organization := r.PathValue("organization")
	if err := s.checkMember(organization, token, remoteHost(r)); err != nil {
		return none, "", err
	}
	if err := checkPermission(token, Repositories); err != nil {
		return none, "", err
	}
	repository, ok := s.repository(organization, organization+"/"+path)
	if !ok {
		return none, "", &apiError{
			status: http.StatusNotFound, message: "Repository not found",
		}
	}
	return s.contents(organization, repository), token.CloneAccount, nil
}

// advertisement lists refs (gitprotocol-http, "smart server response").
func advertisement(r git.Repository) []byte {
	var b strings.Builder
	b.WriteString(packet("# service=git-upload-pack\n") + "0000")
	const capabilities = "\x00side-band-64k agent=sandbox"
	if len(r.Branches) == 0 {
		b.WriteString(packet(strings.Repeat("0", 40) + " capabilities^{}" + capabilities + "\n"))
	} else {
		head, _ := r.Commit("heads/" + r.Branches[0])
		b.WriteString(packet(fmt.Sprintf("%s HEAD%s symref=HEAD:refs/heads/%s\n",
			head.Hash, capabilities, r.Branches[0])))
	}
	for _, ref := range r.Refs() {
		c, _ := r.Commit(ref)
		if tag := r.TagObject(strings.TrimPrefix(ref, "tags/")); strings.HasPrefix(ref, "tags/") &&
			tag != "" {
			b.WriteString(packet(tag + " refs/" + ref + "\n"))
			ref += "^{}"
		}
		b.WriteString(packet(c.Hash + " refs/" + ref + "\n"))
	}
	b.WriteString("0000")
	return []byte(b.String())
}

// packet is git's pkt-line: the length in four hex digits, itself included, and the text.
func packet(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }
