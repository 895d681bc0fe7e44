package git

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"strings"
)

// The requests of a clone and of a push (gitprotocol-http): for the refs, and with the objects.
const (
	InfoRefs    = "info/refs"
	UploadPack  = "git-upload-pack"
	ReceivePack = "git-receive-pack"
)

// MaxPush is the largest push that is accepted, in bytes.
const MaxPush = 64 << 20

// service returns the part of a path after ".git/", and the service that a request asks for, ""
// if it is none of git's.
func service(r *http.Request) (call, name string) {
	_, call, _ = strings.Cut(r.URL.Path, ".git/")
	name = call
	if r.Method == http.MethodGet && call == InfoRefs {
		name = r.URL.Query().Get("service")
	} else if r.Method != http.MethodPost {
		return call, ""
	}
	if name != UploadPack && name != ReceivePack {
		return call, ""
	}
	return call, name
}

// IsPush reports whether a request is one of a push.
func IsPush(r *http.Request) bool {
	_, name := service(r)
	return name == ReceivePack
}

// Serve answers one request of a clone or a push. The caller has authenticated the user and has
// checked that the user may push, if it is a push. Before the reply to a push is written, pushed is
// called with the changes of the refs, if there are any, and before another push to the repository
// begins.
func (s *Server) Serve(
	w http.ResponseWriter, r *http.Request, repository Repository, user string,
	pushed func([]Change),
) {
	call, name := service(r)
	if name == "" {
		http.Error(w, "the sandbox serves clones and pushes only", http.StatusForbidden)
		return
	}
	d, err := s.ensure(r.Context(), repository)
	if err != nil {
		http.Error(w, "sandbox: there is no git here: "+err.Error(), http.StatusNotImplemented)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = "/" + repository.Name + "/" + call
	inner.Header.Del("Authorization") // the program needs none
	program := cgi.Handler{
		Path: s.backend, Root: "/", Dir: s.folder,
		Env: append(environment(s.folder), "GIT_PROJECT_ROOT="+s.folder, "GIT_HTTP_EXPORT_ALL=1"),
	}
	if name == UploadPack {
		program.ServeHTTP(w, inner)
		return
	}
	program.Env = append(program.Env, "REMOTE_USER="+user)
	if r.Method == http.MethodGet {
		program.ServeHTTP(w, inner)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPush))
	if err != nil {
		http.Error(w, "the push is too large", http.StatusRequestEntityTooLarge)
		return
	}
	// The program needs the length, which a large push doesn't tell.
	inner.Body, inner.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	inner.TransferEncoding = nil
	done := httptest.NewRecorder()
	err = s.change(r.Context(), repository, d, func() error {
		program.ServeHTTP(done, inner)
		return nil
	}, pushed)
	if err != nil {
		http.Error(w, "sandbox: "+err.Error(), http.StatusInternalServerError)
		return
	}
	maps.Copy(w.Header(), done.Header())
	w.WriteHeader(done.Code)
	_, _ = w.Write(done.Body.Bytes())
}
