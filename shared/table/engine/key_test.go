package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
)

// What is written once can't be moved: a change of these is a migration of every table there is.
func TestKeysAreWhatTheyAlwaysWere(t *testing.T) {
	k := binding.Key{Account: "acme", Region: "cn-1", Instance: "cri/1", Platform: "github"}
	of := binding.IdentityKey{Platform: "github", ID: "7"}
	bound := binding.IdentityEntry{Of: of, Binding: k}
	authorized := binding.IdentityEntry{Of: of, Authorization: "id"}
	for want, got := range map[string]Key{
		"7:binding4:acme 4:cn-15:cri/16:github":                      BindingKey(k),
		"13:authorization2:id -":                                     AuthorizationKey("id"),
		"6:holder6:github0:1:7 7:binding4:acme4:cn-15:cri/16:github": IdentityEntryKey(bound),
		"6:holder6:github0:1:7 13:authorization2:id":                 IdentityEntryKey(authorized),
		"7:history4:acme4:cn-15:cri/16:github 1":                     {PK: HistoryPK(k), SK: "1"},
		"12:subscription2:id -":                                      SubscriptionKey("id"),
		"10:subscribed4:acme4:cn-15:cri/16:github 1:7":               SubscriptionEntryKey(k, "7"),
		"6:source2:id 0499":                                          LogKey("id", 499),
		"6:source2:id 0000":                                          LogKey("id", 500),
		"5:heads2:id -":                                              HeadsKey("id"),
	} {
		if got := got.PK + " " + got.SK; got != want {
			t.Errorf("got the key %q, want %q", got, want)
		}
	}
}

func TestStampsSortAsTheirTimesDo(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	got := SortableTime(at)
	if got != "2026-01-02T02:04:05.000000000Z" || len(got) != SortableTimeLength {
		t.Errorf("got the stamp %q", got)
	}
	for _, later := range []time.Duration{1, time.Millisecond, time.Hour, 1000 * time.Hour} {
		if SortableTime(at) >= SortableTime(at.Add(later)) {
			t.Errorf("%v later is not after", later)
		}
	}
}

func TestSplitTakesJoinedKeysApart(t *testing.T) {
	for _, parts := range [][]string{
		nil, {""}, {"a"}, {"", ""}, {"1:", ":"}, {"字", "a:b", "12:"}, {strings.Repeat("x", 1000), ""},
	} {
		if got := Split(binding.Join(parts...)); !slices.Equal(got, parts) {
			t.Errorf("got %q, want %q", got, parts)
		}
	}
	for _, text := range []string{"-", "x", "1", ":", "-1:a", "2:a", "x:a", "99999999999999999999:a"} {
		if got := Split(text); len(got) > 0 {
			t.Errorf("%q: got %q, want nothing", text, got)
		}
	}
}

func TestRowsAreSpreadOverAllShards(t *testing.T) {
	var counts [Shards]int
	for i := range 1000 {
		counts[Shard(AuthorizationKey(fmt.Sprint(i)))]++
	}
	for shard, n := range counts {
		if n < 1000/Shards/2 {
			t.Errorf("shard %d has %d of 1000 rows", shard, n)
		}
	}
	var subscriptions [SubscriptionShards]int
	for i := range 1000 {
		subscriptions[Shard(SubscriptionKey(fmt.Sprint(i)))-Shards]++
	}
	for shard, n := range subscriptions {
		if n < 1000/SubscriptionShards/2 {
			t.Errorf("shard %d has %d of 1000 subscriptions", Shards+shard, n)
		}
	}
}
