package api_test

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Every platform token in these tests begins with one of these, be it the sandbox's or made up.
var canaries = []string{"glpat-sandbox-", "pt-sandbox-"}

// traces are what the canaries look like in plain text and in base64 (of a Basic header, say),
// wherever in it they begin.
func traces() []string {
	var all []string
	for _, c := range canaries {
		all = append(all, c)
		for shift := range 3 {
			text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + c))
			text = strings.TrimRight(text, "=")
			all = append(all, text[(shift*8+5)/6:len(text)-1])
		}
	}
	return all
}

// scan fails the test if a text holds a secret: a platform's token or the caller's.
func (w *world) scan(what string, text []byte) {
	w.t.Helper()
	for i, trace := range traces() {
		if bytes.Contains(text, []byte(trace)) {
			w.t.Errorf("%s shows a token (trace %d)", what, i)
		}
	}
	// Every JWT begins with the base64 of {" and has such a header and such claims.
	if bytes.Contains(text, []byte("eyJhbGciOi")) {
		w.t.Errorf("%s shows an access token", what)
	}
}

// scanWhatIsKept looks into the log, the table's file and the vault's folder, byte by byte.
func (w *world) scanWhatIsKept() {
	w.scan("the log", []byte(w.log.text()))
	w.hide("the log", []byte(w.log.text()))
	seen := 0
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		seen++
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(w.dir, path)
		w.scan(name, data)
		w.hide(name, data)
		return nil
	})
	if err != nil || seen == 0 {
		w.t.Errorf("%d files were scanned: %v", seen, err)
	}
}
