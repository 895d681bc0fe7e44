package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"bindery/shared/secret"
)

const canary = "canary-4f1e"

// TestD2_RedactedInEveryFormat prints a secret, on its own and inside other values, in every way
// that Go's standard library knows.
func TestD2_RedactedInEveryFormat(t *testing.T) {
	text := secret.New(canary)
	holder := struct {
		Token secret.Text
		Ptr   *secret.Text
		List  []secret.Text
		Map   map[string]secret.Text
	}{text, &text, []secret.Text{text}, map[string]secret.Text{"k": text}}

	hidden := struct{ token secret.Text }{text}

	seen := map[string]string{}
	for _, verb := range []string{"v", "+v", "#v", "q", "s", "x", "X", "d", "T", "10.3s", "w"} {
		seen["%"+verb] = fmt.Sprintf("%"+verb, text)
		seen["pointer %"+verb] = fmt.Sprintf("%"+verb, &text)
		seen["struct %"+verb] = fmt.Sprintf("%"+verb, holder)
		seen["unexported field %"+verb] = fmt.Sprintf("%"+verb, hidden)
	}
	seen["String"] = text.String()
	seen["GoString"] = text.GoString()
	encoded, err := json.Marshal(holder)
	seen["JSON"] = fmt.Sprint(string(encoded), err)
	encoded, err = text.MarshalText()
	seen["text"] = fmt.Sprint(string(encoded), err)
	encoded, err = xml.Marshal(text)
	seen["XML"] = fmt.Sprint(string(encoded), err)
	var out bytes.Buffer
	err = gob.NewEncoder(&out).Encode(text)
	seen["gob"] = fmt.Sprint(out.String(), err)
	out.Reset()
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "token", text, "holder", holder)
	seen["slog JSON"] = out.String()
	out.Reset()
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", text, "holder", holder)
	seen["slog text"] = out.String()

	for format, got := range seen {
		if strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s shows the secret", format)
		}
		// Where fmt can't call the type's methods, it shows an address instead.
		said := strings.Contains(got, secret.Redacted) || strings.Contains(got, "0x")
		if !said && !strings.HasSuffix(format, "%T") && !strings.HasPrefix(format, "unexported") {
			t.Errorf("%s = %q, want it to hold %q", format, got, secret.Redacted)
		}
	}
}

func TestA4_EqualIsNeverTrueForNothing(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", false},
		{"a", "", false},
		{"", "a", false},
		{"a", "ab", false},
		{"ab", "aa", false},
		{"ab", "ab", true},
	} {
		if got := secret.New(c.a).Equal(secret.New(c.b)); got != c.want {
			t.Errorf("Equal(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestUnmarshalJSON(t *testing.T) {
	for in, want := range map[string]string{`"x"`: "x", `""`: "", `null`: "", `"\u4e2d"`: "中"} {
		var got secret.Text
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.Reveal() != want {
			t.Errorf("Unmarshal(%s) = %q, %v, want %q", in, got.Reveal(), err, want)
		}
	}
	var got secret.Text
	err := json.Unmarshal([]byte(`{"`+canary+`":1}`), &got)
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Unmarshal(object) = %v, want an error without the input", err)
	}
	if err := got.GobDecode(nil); err == nil {
		t.Error("GobDecode accepted")
	}
}
