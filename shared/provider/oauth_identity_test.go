package provider

import (
	"strings"
	"testing"
)

func TestIdentityKeepsWhatMayBeShown(t *testing.T) {
	long := strings.Repeat("中", maxLabelLength)
	got := identityOf("7", loose(" a\u202eb\r\n\u0000c "), loose(long), "", "")
	if got.Username != "abc" {
		t.Errorf("the user name is %q, want the printable part", got.Username)
	}
	if len(got.Name) > maxLabelLength || !strings.HasPrefix(long, got.Name) || got.Name == "" {
		t.Errorf("the name has %d bytes, or a torn rune", len(got.Name))
	}
	for id, want := range map[string]string{
		"{87bb15eb}":                          "{87bb15eb}",
		"a b":                                 "",
		"a\n":                                 "",
		"ключ":                                "",
		strings.Repeat("1", maxLabelLength+1): "",
		strings.Repeat("1", maxLabelLength):   strings.Repeat("1", maxLabelLength),
	} {
		if got := identityOf(loose(id), "", "", "", ""); got.ID != want {
			t.Errorf("the id %q is kept as %q, want %q", id, got.ID, want)
		}
	}
}

func TestOnlyWebLinksAreKept(t *testing.T) {
	for address, good := range map[string]bool{
		"https://a.example/x?y=1":      true,
		"http://gitlab.example:8080/u": true,
		"javascript:alert(1)":          false,
		"data:text/html,x":             false,
		"//a.example/x":                false,
		"/x":                           false,
		"https:///x":                   false,
		"https://user:pw@a.example/":   false,
		"https://a.example/\x7f":       false,
		"":                             false,
		"https://a.example/" + strings.Repeat("x", maxLinkLength): false,
	} {
		got := identityOf("1", "", "", loose(address), loose(address))
		want := address
		if !good {
			want = ""
		}
		if got.AvatarURL != want || got.ProfileURL != want {
			t.Errorf("%.40q is kept as %.40q, want %.40q", address, got.AvatarURL, want)
		}
	}
}
