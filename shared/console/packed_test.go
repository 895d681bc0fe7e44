package console_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

var update = flag.Bool("update", false, "pack the page's files again")

// decoders are the encodings in which files are packed, by the ends of their names.
var decoders = map[string]struct {
	coding string
	decode func(io.Reader) (io.Reader, error)
}{
	".br": {"br", func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
	".gz": {"gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
}

const command = "go test ./shared/console -run TestThePacked -update"

// TestThePackedFilesAreThePage writes the files of the folder packed with -update.
func TestThePackedFilesAreThePage(t *testing.T) {
	want := map[string]bool{}
	for name, body := range served(t) {
		if name == "index.html" { // its addresses and the configuration are filled in later
			continue
		}
		for end, of := range decoders {
			sum := sha256.Sum256([]byte(body))
			file := name + "." + base64.RawURLEncoding.EncodeToString(sum[:16]) + end
			packed := path.Join("packed", file)
			want[file] = true
			if unpack(t, packed, of.decode) == body {
				continue
			}
			if !*update {
				t.Errorf("%s is missing: %s", packed, command)
			} else if err := os.WriteFile(packed, pack(t, end, body), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir("packed")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if want[e.Name()] {
			continue
		}
		if !*update {
			t.Errorf("packed/%s is of no file of the page: %s", e.Name(), command)
		} else if err := os.Remove(path.Join("packed", e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// unpack returns a packed file's content, "" if it can't be read.
func unpack(t *testing.T, name string, decode func(io.Reader) (io.Reader, error)) string {
	t.Helper()
	packed, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	r, err := decode(bytes.NewReader(packed))
	if err != nil {
		return ""
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return string(body)
}

func pack(t *testing.T, end, body string) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = brotli.NewWriterLevel(&out, brotli.BestCompression)
	if end == ".gz" {
		w, _ = gzip.NewWriterLevel(&out, gzip.BestCompression)
	}
	_, err := io.WriteString(w, body)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Go's client asks for gzip by itself, and hides it, unless a request names an encoding.
func TestFilesAreCompressedForClientsThatAcceptIt(t *testing.T) {
	plain, _ := ask(t, options(), http.MethodGet, "/main.js", "Accept-Encoding", "identity")
	want := served(t)["main.js"]
	etags := map[string]string{"": plain.Header.Get("ETag")}
	for accept, coding := range map[string]string{
		"gzip": "gzip", "gzip, deflate, br, zstd": "br", "br;q=1.0, GZIP;q=0.5": "br",
		"": "", "identity": "", "br": "br", "gzip;q=0": "", "gzip; q=0.000": "",
		"br;q=0, gzip": "gzip", "deflate, GZIP;q=0.5": "gzip",
	} {
		reply, body := ask(t, options(), http.MethodGet, "/main.js", "Accept-Encoding", accept)
		got := reply.Header.Get("Content-Encoding")
		if got != coding || reply.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("for %q the encoding is %q, and Vary %q", accept, got,
				reply.Header.Get("Vary"))
		}
		if etag := reply.Header.Get("ETag"); etags[coding] == "" {
			etags[coding] = etag
		} else if etag != etags[coding] {
			t.Errorf("for %q the ETag is %s, want %s", accept, etag, etags[coding])
		}
		for _, of := range decoders {
			if of.coding != coding {
				continue
			}
			unpacked, err := of.decode(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			all, err := io.ReadAll(unpacked)
			if err != nil || len(body) > len(want)/2 {
				t.Errorf("%d bytes of %d: %v", len(body), len(want), err)
			}
			body = string(all)
		}
		if body != want {
			t.Errorf("for %q the file differs", accept)
		}
	}
	if etags["br"] == etags["gzip"] || etags["br"] == etags[""] || etags["gzip"] == etags[""] {
		t.Errorf("two encodings have the same ETag: %v", etags)
	}
	reply, body := ask(t, options(), http.MethodGet, "/main.js", "Accept-Encoding", "gzip",
		"Range", "bytes=0-9")
	if reply.Header.Get("Content-Encoding") != "" || body != want[:10] {
		t.Errorf("a part is %q", body)
	}
}

func TestThePageIsLight(t *testing.T) {
	total := 0
	for name := range served(t) {
		if name == "text-en.js" { // a browser loads one language: the longer is counted
			continue
		}
		target := "/" + name
		if name == "index.html" {
			target = "/"
		}
		_, body := ask(t, options(), http.MethodGet, target, "Accept-Encoding", "br")
		total += len(body)
	}
	t.Logf("all files of a language, compressed: %d bytes", total)
	if total > 57_000 { // with the headers and the first replies of the API, 60,000
		t.Errorf("the page's files are %d bytes in Brotli, want at most 57,000", total)
	}
}
