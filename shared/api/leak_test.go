package api_test

import (
	"bytes"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Every platform token in these tests begins with one of these.
var canaries = []string{"glpat-sandbox-", "pt-sandbox-"}

// traces returns the canaries in plain text and in base64 (for example in a Basic header) at each
// alignment.
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
	// The header and the claims of every JWT begin with the base64 of {".
	if bytes.Contains(text, []byte("eyJhbGciOi")) {
		w.t.Errorf("%s shows an access token", what)
	}
}

// scanStorage scans the log, the table's file and the vault's folder.
func (w *world) scanStorage() {
	w.scan("the log", []byte(w.log.String()))
	w.wantNoSecret("the log", []byte(w.log.String()))
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
		w.wantNoSecret(name, data)
		return nil
	})
	if err != nil || seen == 0 {
		w.t.Errorf("%d files were scanned: %v", seen, err)
	}
}
