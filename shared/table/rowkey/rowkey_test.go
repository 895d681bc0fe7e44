package rowkey_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/table"
	"bindery/shared/table/rowkey"
)

// What is written once can't be moved: a change of these is a migration of every table there is.
func TestKeysAreWhatTheyAlwaysWere(t *testing.T) {
	k := table.Key{Account: "acme", Region: "cn-1", Instance: "cri/1", Platform: "github"}
	of := table.IdentityKey{Platform: "github", ID: "7"}
	held, awaited := table.IdentityEntry{Of: of, Binding: k}, table.IdentityEntry{Of: of, Authorization: "id"}
	for want, got := range map[string]rowkey.Key{
		"7:binding4:acme 4:cn-15:cri/16:github":                      rowkey.Binding(k),
		"4:note3:abc -":                                              rowkey.Note("abc"),
		"13:authorization2:id -":                                     rowkey.Authorization("id"),
		"6:holder6:github0:1:7 7:binding4:acme4:cn-15:cri/16:github": rowkey.IdentityEntry(held),
		"6:holder6:github0:1:7 13:authorization2:id":                 rowkey.IdentityEntry(awaited),
		"7:history4:acme4:cn-15:cri/16:github 1":                     {PK: rowkey.History(k), SK: "1"},
	} {
		if got := got.PK + " " + got.SK; got != want {
			t.Errorf("got the key %q, want %q", got, want)
		}
	}
}

func TestStampsSortAsTheirTimesDo(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	got := rowkey.SortableTime(at)
	if got != "2026-01-02T02:04:05.000000000Z" || len(got) != rowkey.SortableTimeLength {
		t.Errorf("got the stamp %q", got)
	}
	for _, later := range []time.Duration{1, time.Millisecond, time.Hour, 1000 * time.Hour} {
		if rowkey.SortableTime(at) >= rowkey.SortableTime(at.Add(later)) {
			t.Errorf("%v later is not after", later)
		}
	}
}

func TestAnEntryOfTheIndexSaysWhatIsDue(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	k := table.Key{Account: "a", Region: "r", Instance: "9:i", Platform: "gitlab"}
	for _, want := range []struct {
		key   rowkey.Key
		entry table.DueEntry
	}{
		{rowkey.Binding(k), table.DueEntry{At: at, Binding: k}},
		{rowkey.Note("s"), table.DueEntry{At: at, Note: "s"}},
		{rowkey.Authorization("id"), table.DueEntry{At: at, Authorization: "id"}},
	} {
		if got, err := rowkey.DueEntry(want.key, rowkey.SortableTime(at)); err != nil || got != want.entry {
			t.Errorf("got %v, error %v, want %v", got, err, want.entry)
		}
	}
	for _, wrong := range []rowkey.Key{
		{PK: rowkey.History(k), SK: "1"}, {PK: rowkey.Account("a"), SK: "r"}, {PK: "user#1", SK: "-"}, {},
	} {
		if _, err := rowkey.DueEntry(wrong, rowkey.SortableTime(at)); err == nil {
			t.Errorf("%q is due", wrong)
		}
	}
	for _, stamp := range []string{"", "0", strings.Repeat("9", rowkey.SortableTimeLength)} {
		if _, err := rowkey.DueEntry(rowkey.Note("s"), stamp); err == nil {
			t.Errorf("due at %q", stamp)
		}
	}
}

func TestSplitTakesJoinedKeysApart(t *testing.T) {
	for _, parts := range [][]string{
		nil, {""}, {"a"}, {"", ""}, {"1:", ":"}, {"字", "a:b", "12:"}, {strings.Repeat("x", 1000), ""},
	} {
		if got := rowkey.Split(table.Join(parts...)); !slices.Equal(got, parts) {
			t.Errorf("got %q, want %q", got, parts)
		}
	}
	for _, text := range []string{"-", "x", "1", ":", "-1:a", "2:a", "x:a", "99999999999999999999:a"} {
		if got := rowkey.Split(text); len(got) > 0 {
			t.Errorf("%q: got %q, want nothing", text, got)
		}
	}
}

func TestRowsAreSpreadOverAllShards(t *testing.T) {
	var counts [rowkey.Shards]int
	for i := range 1000 {
		counts[rowkey.Shard(rowkey.Note(fmt.Sprint(i)))]++
	}
	for shard, n := range counts {
		if n < 1000/rowkey.Shards/2 {
			t.Errorf("shard %d has %d of 1000 rows", shard, n)
		}
	}
}
