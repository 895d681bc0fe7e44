package tabletest

import (
	"fmt"

	"bindery/shared/binding"
)

func keyPromises() []promise {
	return []promise{
		{"Keys/NoTwoAreTheSame", keysApart},
		{"Keys/KindsDontMix", kindsApart},
	}
}

// trickyParts are instances that an implementation could take for each other or for its own
// separators.
func trickyParts() []string {
	return []string{
		"", " ", "i-1", "i-10", "I-1", "i-1 ", " i-1", "1", "1:", ":1", "1:1", "0:", "::", "3:i-1",
		"a|b", "a/b", "a#b", "a%2Fb", "a+b", "a\tb", "a\nb", "a\\b", `"a"`, "..", "*", "\u007f",
		"é", "e\u0301", "实例", "实例一", "🗝", "\U0010ffff",
	}
}

// keysApart creates a row for each tricky key and finds each again, and nothing else with it.
func keysApart(s *suite) {
	var keys []binding.Key
	for _, part := range trickyParts() {
		keys = append(keys,
			binding.Key{Account: s.name, Region: "cn", Instance: part, Platform: "github"},
			binding.Key{Account: s.name, Region: part, Instance: "i", Platform: "github"})
	}
	for _, parts := range [][4]string{ // the same letters, cut at another place
		{"", "cn", "i-1", "github"},
		{"c", "n", "i-1", "github"},
		{"cn", "", "i-1", "github"},
		{"", "cni", "-1", "github"},
		{"", "cn", "i-1g", "ithub"},
		{"", "cni-1", "", "github"},
		{"1:", "cn", "i-1", "github"},
		{"", "1:cn", "i-1", "github"},
		{"", "cn", "i-1", "gitlab"},
	} {
		keys = append(keys, binding.Key{
			Account: s.name + "x" + parts[0], Region: parts[1], Instance: parts[2], Platform: parts[3],
		})
	}
	r := rows[binding.Record]{s, bindings()}
	var saved []binding.Record
	for i, key := range keys {
		saved = append(saved, r.add(binding.Record{Key: key, Revision: fmt.Sprint(i)}))
	}
	for _, want := range saved {
		r.wantRow(fmt.Sprintf("the row of %q", want.Key), want)
		s.wantInstance(want.Key, instanceOf(want, saved)...)
	}
}

// instanceOf is those of all that are of the binding's instance.
func instanceOf(of binding.Record, all []binding.Record) (same []binding.Record) {
	for _, b := range all {
		key := b.Key
		key.Platform = of.Platform
		if key == of.Key {
			same = append(same, b)
		}
	}
	return same
}

// kindsApart gives rows of every kind the same name.
func kindsApart(s *suite) {
	b := rows[binding.Record]{s, bindings()}
	a := rows[binding.Authorization]{s, authorizations()}
	c := rows[binding.Subscription]{s, subscriptions()}
	r := rows[binding.SubscriptionEntry]{s, entries()}
	l := rows[binding.RunLease]{s, leases()}

	key := s.key("i-1")
	name := key.String()
	bound := b.add(binding.Record{Key: key, Revision: "1"})
	for _, other := range []string{name, s.name, binding.Join(s.name)} {
		authorization := a.add(binding.Authorization{ID: other, Platform: "gitee", DueAt: s.base})
		s.addEntry(binding.IdentityEntry{
			Of: binding.IdentityKey{Platform: other}, Authorization: other, At: s.base,
		})
		s.must(s.table.AppendHistory(s.Context(), key, []binding.Event{s.event(1)}))
		subscription := c.add(binding.Subscription{ID: other, Binding: key, DueAt: s.base})
		s.addLog(other, s.sourceEvents(1, 2)...)
		heads := binding.Heads{Subscription: other, List: []binding.Head{{Ref: other}}}
		s.saveHeads(heads)
		s.wantLog("the log of that name", other, 3, 10, s.sourceEvents(2, 1)...)
		lease := l.add(binding.RunLease{Schedule: other, Holder: other})
		c.wantRow("the subscription of that name", subscription)
		l.wantRow("the lease of that name", lease)
		a.wantRow("the authorization of that name", authorization)
		r.add(binding.SubscriptionEntry{Binding: key, RepositoryID: other, Subscription: other})
	}
	b.wantRow("the binding of that name", bound)
	s.wantInstance(key, bound)
	s.wantAccount("an account with one binding", s.name, limitOfFew, []binding.Record{bound})
}
