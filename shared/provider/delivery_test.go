package provider

import (
	"errors"
	"strings"
	"testing"

	"bindery/shared/testkit"
)

// Two full hashes, and git's zero hash.
const (
	oldHash  = "1111111111222222222233333333334444444444"
	newHash  = "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"
	zeroHash = "0000000000000000000000000000000000000000"
)

func TestE7_JSONThatNestsTooDeepIsNotDecoded(t *testing.T) {
	for body, want := range map[string]error{
		strings.Repeat("[", maxDeliveryDepth) + strings.Repeat("]", maxDeliveryDepth): nil,
		`{"a":` + strings.Repeat(`{"b":[`, maxDeliveryDepth/2) + "1" +
			strings.Repeat(`]}`, maxDeliveryDepth/2) + `}`: ErrNotADelivery,
		strings.Repeat("[", 1<<20): ErrNotADelivery,
		`{"a":"` + strings.Repeat("[", 1000) + `\"` + strings.Repeat("{", 1000) + `"}`: nil,
		`"` + strings.Repeat("x", MaxDelivery) + `"`:                                   ErrNotADelivery,
		`{"a":`: ErrNotADelivery,
		``:      ErrNotADelivery,
	} {
		var into any
		err := DeliveryRequest{Body: []byte(body)}.decode(&into)
		if !errors.Is(err, want) {
			t.Errorf("%.40s… gives %v, want %v", body, err, want)
		}
	}
}

func TestE10_AChangeOfARefThatCantBeIsDropped(t *testing.T) {
	for ref, want := range map[string]bool{
		"refs/heads/main": true, "refs/tags/v1": true, "refs/heads/<img/src=x>": true,
		"refs/heads/a/ü&\"'": true,
		"refs/heads/":        false, "refs/heads/a..b": false, "refs/heads/../x": false, "main": false,
		"refs/heads/a\nb": false, "refs/heads/a\x00": false, "refs/heads/a b": false,
		"refs/heads/\x1b[2J": false, "refs/notes/commits": false, "refs/heads/a.lock": false,
		"refs/heads/a\u2028/\xff": false, "refs/heads/" + strings.Repeat("a", 2000): false, "": false,
		"refs/pull/1/head": false, "refs/tags//a": false, "refs/heads/x~1": false,
	} {
		change, ok := newChange(loose(ref), oldHash, newHash, newHash)
		if ok != want || ok && change.Ref != ref {
			t.Errorf("%q gives %+v, %v", ref, change, ok)
		}
	}
}

func TestAZeroHashIsNoCommit(t *testing.T) {
	for _, tt := range []struct {
		before, after loose
		want          Change
		ok            bool
	}{
		{oldHash, newHash, Change{Before: oldHash, Commit: newHash}, true},
		{zeroHash, newHash, Change{Commit: newHash, Created: true}, true},
		{oldHash, zeroHash, Change{Before: oldHash, Deleted: true}, true},
		{oldHash, loose(strings.ToUpper(newHash)), Change{Before: oldHash, Commit: newHash}, true},
		{zeroHash, zeroHash, Change{}, false},
		{oldHash, loose(newHash[:12]), Change{}, false},
		{"", newHash, Change{}, false},
		{oldHash, "", Change{}, false},
	} {
		tt.want.Ref = "refs/heads/main"
		got, ok := newChange("refs/heads/main", tt.before, tt.after, "")
		testkit.Want(t, string("ok of "+tt.before+" "+tt.after), ok, tt.ok)
		if tt.ok {
			testkit.WantEqual(t, string(tt.before+" "+tt.after), got, tt.want)
		}
	}
}

func TestATagsHashesMayBeThoseOfTagObjects(t *testing.T) {
	moved, _ := newChange("refs/tags/v1", oldHash, newHash, oldHash)
	testkit.WantEqual(t, "a moved tag", moved, Change{Ref: "refs/tags/v1", Commit: oldHash})
	untold, _ := newChange("refs/tags/v1", zeroHash, newHash, "")
	testkit.WantEqual(t, "a tag whose commit isn't told", untold,
		Change{Ref: "refs/tags/v1", Created: true})
	deleted, _ := newChange("refs/tags/v1", oldHash, zeroHash, "")
	testkit.WantEqual(t, "a deleted tag", deleted, Change{Ref: "refs/tags/v1", Deleted: true})
}

func TestTitlesAreTheNewestCommitsFirstLines(t *testing.T) {
	var commits []pushedCommit
	for _, c := range "abcdefghijklm" {
		commits = append(commits, pushedCommit{loose(string(c) + "\n\nbody")})
	}
	testkit.Want(t, "the titles", strings.Join(titles(commits), ""), "mlkjihgfed")
	testkit.Want(t, "no commits", len(titles(nil)), 0)
	for message, want := range map[string]string{
		"Fix\r\nbody": "Fix", "\n Fix \rbody": "Fix", "a\x00\x1b[31mb": "a[31mb", "": "",
		"<b>Fix</b>": "<b>Fix</b>", strings.Repeat("é", 200): strings.Repeat("é", MaxTitle/2),
		"x\xff\u202ey": "xy",
	} {
		testkit.Want(t, message, title(message), want)
	}
}

func TestADeliveryWithoutAUsableIDIsTheSameByItsBody(t *testing.T) {
	id := func(header, body string) string {
		in := DeliveryRequest{Header: map[string][]string{"X-Id": {header}}, Body: []byte(body)}
		return in.id("X-Id")
	}
	testkit.Want(t, "the header's", id("72d3162e-cc78-11e3-81ab-4c9367dc0958", "{}"),
		"72d3162e-cc78-11e3-81ab-4c9367dc0958")
	for _, header := range []string{"", "a b", "a\nb", "ü", strings.Repeat("a", 200)} {
		testkit.Want(t, header, id(header, "{}"), bodyID([]byte("{}")))
	}
	testkit.Want(t, "another body's is another", id("", "{}") == id("", "[]"), false)
}

func wantNotADelivery(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrNotADelivery) {
		t.Errorf("%s: got %v, want ErrNotADelivery", what, err)
	}
}
