// Package page writes the sandbox's pages. It has their templates, their style and the users'
// avatars; what the pages show comes from the caller.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed *.html style.css
var files embed.FS

// templates has each page under its file's name. Every page uses "head" and "foot" of layout.html,
// and so says that this is a sandbox.
var templates = template.Must(template.New("").ParseFS(files, "*.html"))

// Write writes a page of this folder, such as "index.html".
func Write(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Sprintf("sandbox: page %s: %v", name, err))
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// Style serves the pages' style sheet.
func Style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "style.css")
}
