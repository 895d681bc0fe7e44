package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const output = `goos: linux
pkg: bindery/functions/local
BenchmarkGrowth/bindings=100-2      1   12.5 start-ms   0.25 data-MB
BenchmarkGrowth/bindings=100000-2   1   50 start-ms     250 data-MB
pkg: bindery/shared/auth
BenchmarkCaller/cached-2   100   1234567 ns/op   1 allocs/op
PASS
`

func TestTheTablesAndThePictureShowWhatWasMeasured(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "growth.svg")
	var tables strings.Builder
	if err := run(strings.NewReader(output), &tables, picture); err != nil {
		t.Fatal(err)
	}
	want := `
### Growth (functions/local)

| | start-ms | data-MB |
| --- | ---: | ---: |
| bindings=100 | 12.5 | 0.25 |
| bindings=100000 | 50 | 250 |

### Caller (shared/auth)

| | ns/op | allocs/op |
| --- | ---: | ---: |
| cached | 1,234,567 | 1 |
`
	if tables.String() != want {
		t.Errorf("got %s, want %s", tables.String(), want)
	}
	text, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	// From 100 to 100,000, and from 1 to 4 and to 1,000 times the value.
	for _, line := range []string{"M226.7,282.5 476.7,229.8", "M226.7,282.5 476.7,20.0"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the picture has no line %s", line)
		}
	}
	for decoder := xml.NewDecoder(strings.NewReader(string(text))); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
