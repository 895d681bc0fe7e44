package binding_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// words are all the texts of up to two of the letters.
func words(letters string) []string {
	list := []string{""}
	for _, a := range letters {
		list = append(list, string(a))
		for _, b := range letters {
			list = append(list, string(a)+string(b))
		}
	}
	return list
}

func TestNoTwoListsOfPartsGiveTheSameKey(t *testing.T) {
	seen := map[string][]string{}
	check := func(parts []string) {
		key := binding.Join(parts...)
		if other, ok := seen[key]; ok && !slices.Equal(parts, other) {
			t.Fatalf("%q and %q both give %q", parts, other, key)
		}
		seen[key] = slices.Clone(parts)
	}
	// Every list of up to three parts of the letters that could be taken for a length.
	var extend func(parts []string)
	extend = func(parts []string) {
		check(parts)
		if len(parts) == 3 {
			return
		}
		for _, word := range words("01:a") {
			extend(append(parts, word))
		}
	}
	extend(nil)

	// And longer ones, whose parts look like keys themselves.
	random := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		parts := make([]string, random.IntN(6))
		for i := range parts {
			for range random.IntN(4) {
				parts[i] += []string{"0:", "1:", "2:", ":", "1", "10:", "界", "\x00", "\xff"}[random.IntN(9)]
			}
			if random.IntN(4) == 0 {
				parts[i] = binding.Join(parts[i], "")
			}
		}
		check(parts)
	}
}

func FuzzNoTwoListsOfPartsGiveTheSameKey(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "0:", "0:", "")
	f.Add("1:a", "", "a", "1:")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		same := a == c && b == d
		if got := binding.Join(a, b) == binding.Join(c, d); got != same {
			t.Errorf("%q,%q and %q,%q: the same key: %v, want %v", a, b, c, d, got, same)
		}
		if binding.Join(a, b) == binding.Join(c) || binding.Join(a, b) == binding.Join(c, d, a) {
			t.Errorf("lists of different lengths give the same key: %q %q %q %q", a, b, c, d)
		}
	})
}

func TestTheKeyOfTheFirstPartsBeginsTheWhole(t *testing.T) {
	key := binding.Key{Account: "a:", Region: "", Instance: "1:i", Platform: "github"}
	parts := []string{key.Account, key.Region, key.Instance, key.Platform}
	for n := range len(parts) + 1 {
		if first := binding.Join(parts[:n]...); !strings.HasPrefix(key.String(), first) {
			t.Errorf("%q doesn't begin with %q", key, first)
		}
	}
	if got, want := key.String(), binding.Join(parts...); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVersionsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		version := table.NewVersion()
		if len(version) != 32 || seen[version] {
			t.Fatalf("got version %q: too short, or there before", version)
		}
		seen[version] = true
	}
}

func TestPositionsSortByTimeNumberAndID(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var events []binding.Event
	for _, ms := range []int64{0, 1, 9, 10, 999, 1000, 999_999_999_999, 1_000_000_000_000, 1<<46 - 1} {
		for _, number := range []int64{0, 1, 2, 9, 10, 11, 99, 100, 4_294_967_296, 9_999_999_999} {
			for _, id := range []string{"0", "00", "1", "A", "a", "ab", "b"} {
				at := time.UnixMilli(ms).UTC()
				events = append(events, binding.Event{At: at, Number: number, ID: id})
			}
		}
	}
	byMeaning := func(a, b binding.Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Number, b.Number), cmp.Compare(a.ID, b.ID))
	}
	for _, a := range events {
		for range 50 {
			b := events[random.IntN(len(events))]
			if got, want := cmp.Compare(a.Position(), b.Position()), byMeaning(a, b); got != want {
				t.Fatalf("%q and %q compare as %d, want %d", a.Position(), b.Position(), got, want)
			}
		}
	}
	inOrder := func(a, b binding.Event) int { return cmp.Compare(a.Position(), b.Position()) }
	if !slices.IsSortedFunc(events, inOrder) { // they were made in their order
		t.Error("the positions don't sort as the events do")
	}
}

func TestAPositionIsToldFromOtherText(t *testing.T) {
	at := time.Date(2026, 5, 29, 8, 30, 0, 0, time.UTC)
	for _, id := range []string{"0", "a.b", "0123456789abcdef", "号"} {
		if p := (binding.Event{At: at, Number: 1, ID: id}).Position(); !binding.IsPosition(p) {
			t.Errorf("%q is a position", p)
		}
	}
	good := binding.Event{At: at, Number: 1, ID: "x"}.Position()
	for _, text := range []string{
		"", ".", "x", good[:len(good)-1], good[1:], "x" + good[1:], "0" + good,
		strings.Replace(good, ".", ":", 1), good[:15] + "+" + good[16:], good[:24] + ".." + good[26:],
		fmt.Sprint(at.UnixMilli()), binding.Join(good), strings.Repeat("9", 40),
	} {
		if binding.IsPosition(text) {
			t.Errorf("%q is no position", text)
		}
	}
}
