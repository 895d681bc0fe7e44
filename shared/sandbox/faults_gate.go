package sandbox

import (
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"

	"bindery/shared/sandbox/platform"
)

// serveGate answers as something that stands in front of the platform.
func serveGate(w http.ResponseWriter, r *http.Request, kind FaultKind) {
	page := func(status int, text string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><body><h1>"+text+"</h1></body></html>")
	}
	switch kind {
	case FaultGate302:
		signIn := "https://sso.sandbox.invalid/login?return=" + url.QueryEscape(r.URL.Path)
		http.Redirect(w, r, signIn, http.StatusFound)
	case FaultGate401:
		platform.WriteJSON(w, http.StatusUnauthorized, platform.Object{
			"message": "Missing API key found in request",
		})
	case FaultGate403:
		page(http.StatusForbidden, "Checking your browser")
	case FaultGate407:
		w.Header().Set("Proxy-Authenticate", `Basic realm="sandbox"`)
		page(http.StatusProxyAuthRequired, "Proxy authentication required")
	}
}

// compress sends a recorded reply compressed by gzip, whatever the request accepts.
func compress(w http.ResponseWriter, done *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), done.Header())
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(done.Code)
	packed := gzip.NewWriter(w)
	_, _ = packed.Write(done.Body.Bytes())
	_ = packed.Close()
}
