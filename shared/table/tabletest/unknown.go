package tabletest

import (
	"encoding/json"
	"reflect"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/table"
)

func unknownPromises() []promise {
	return []promise{
		{"Binding/KeepsFieldsOfANewerVersion", unknownOfBinding},
		{"Authorization/KeepsFieldsOfANewerVersion", unknownOfAuthorization},
		{"Subscription/KeepsFieldsOfANewerVersion", unknownOfSubscription},
		{"Log/KeepsFieldsOfANewerVersion", unknownOfLog},
		{"History/KeepsFieldsOfANewerVersion", unknownOfHistory},
	}
}

// The members that a newer version would write, with text that JSON may write in more than one way.
const (
	newerMembers = `"newText":"<字&>\u2028","newNumber":9007199254740993,` +
		`"newObject":{"b":[1,null],"a":{}}`
	newerEvent = `{"id":"1","number":1,"type":"t","at":"2001-02-03T04:05:06Z",` + newerMembers + `}`
)

// newer is the record as a newer version has it: with members of its own in the record and in the
// objects that are values of these names.
func newer[T any](s *suite, record T, objects ...string) T {
	s.Helper()
	var members map[string]json.RawMessage
	s.must(json.Unmarshal(encoded(s, record), &members))
	for _, name := range objects {
		members[name] = json.RawMessage("{" + newerMembers + "}")
	}
	members["events"] = json.RawMessage("[" + newerEvent + "]")
	members["secrets"] = json.RawMessage(`[{"name":"1","generation":1,` + newerMembers + "}]")
	text := encoded(s, members)
	var made T
	s.must(json.Unmarshal([]byte(strings.TrimSuffix(string(text), "}")+","+newerMembers+"}"), &made))
	return made
}

func encoded(s *suite, value any) []byte {
	s.Helper()
	text, err := json.Marshal(value)
	s.must(err)
	return text
}

// wantNewer expects the newer version's members in a JSON object.
func wantNewer(s *suite, where string, object any) {
	s.Helper()
	var got, want map[string]any
	s.must(json.Unmarshal(encoded(s, object), &got))
	s.must(json.Unmarshal([]byte("{"+newerMembers+"}"), &want))
	for name, value := range want {
		if !reflect.DeepEqual(got[name], value) {
			s.Errorf("%s: %s is %v, want %v", where, name, got[name], value)
		}
	}
	if !strings.Contains(string(encoded(s, object)), "9007199254740993") {
		s.Errorf("%s: the number isn't kept to its last digit", where)
	}
}

func unknownOfBinding(s *suite) {
	r := rows[binding.Record]{s, bindings()}
	saved := r.add(newer(s, binding.Record{Key: s.key("i-1"), Method: "token"}, "token"))
	for _, when := range []string{"as it was saved", "after a change", "after another"} {
		r.wantRow(when, saved)
		got, err := s.table.Binding(s.Context(), saved.Key)
		s.must(err)
		wantNewer(s, when+", the binding", got)
		wantNewer(s, when+", its token", got.Token)
		if len(got.Events) != 1 || len(got.Secrets) != 1 {
			s.Fatalf("%s: got %d events and %d secrets, want 1", when, len(got.Events), len(got.Secrets))
		}
		wantNewer(s, when+", its secret", got.Secrets[0])
		wantNewer(s, when+", its event", got.Events[0])
		got.CheckAttempts++
		got.Token.Generation++
		got.Events[0].Number++
		got.Secrets[0].SweepAttempts++
		got.DueAt = s.base
		saved = r.replace(got)
	}
	s.wantInstance(saved.Key, saved)
	anew := binding.Record{Key: saved.Key, Version: saved.Version}.WithUnknown(saved)
	r.replace(anew)
	got, err := s.table.Binding(s.Context(), saved.Key)
	s.must(err)
	wantNewer(s, "a binding built anew", got)
	if got.Token.Generation != 0 || strings.Contains(string(encoded(s, got.Token)), "newText") {
		s.Errorf("the token of a binding built anew is %v, want none", got.Token)
	}
}

func unknownOfAuthorization(s *suite) {
	r := rows[binding.Authorization]{s, authorizations()}
	saved := r.add(newer(s, r.bare("1"), "token"))
	for _, when := range []string{"as it was saved", "after a change"} {
		r.wantRow(when, saved)
		got, err := s.table.Authorization(s.Context(), saved.ID)
		s.must(err)
		wantNewer(s, when+", the authorization", got)
		wantNewer(s, when+", its token", got.Token)
		got.Stage = binding.StageClaimed
		saved = r.replace(got)
	}
}

func unknownOfSubscription(s *suite) {
	r := rows[binding.Subscription]{s, subscriptions()}
	saved := r.add(newer(s, r.bare("1")))
	for _, when := range []string{"as it was saved", "after a change"} {
		r.wantRow(when, saved)
		got, err := s.table.Subscription(s.Context(), saved.ID)
		s.must(err)
		wantNewer(s, when+", the subscription", got)
		if len(got.Events) != 1 {
			s.Fatalf("%s: got %d events, want 1", when, len(got.Events))
		}
		wantNewer(s, when+", its event", got.Events[0])
		got.Stage = binding.SubscriptionEnding
		got.Events[0].Tries++
		saved = r.replace(got)
	}
}

func unknownOfLog(s *suite) {
	var e binding.SourceEvent
	s.must(json.Unmarshal([]byte(newerEvent), &e))
	s.appendLog("1", e)
	got, err := s.table.LoggedEvent(s.Context(), s.name+"1", 1)
	s.must(err)
	wantNewer(s, "an event of the log", got)
	s.appendLog("2", got)
	list, err := s.table.Log(s.Context(), s.name+"2", 2, 10)
	s.must(err)
	if len(list) != 1 {
		s.Fatalf("got %d events, want 1", len(list))
	}
	wantNewer(s, "an event appended again", list[0])
}

func unknownOfHistory(s *suite) {
	var e binding.Event
	s.must(json.Unmarshal([]byte(newerEvent), &e))
	s.must(s.table.AppendHistory(s.Context(), s.key("i-1"), []binding.Event{e}))
	page, err := s.table.ListHistory(s.Context(), s.key("i-1"), table.OldestFirst, "", 10)
	s.must(err)
	if len(page.Items) != 1 {
		s.Fatalf("got %d events, want 1", len(page.Items))
	}
	wantNewer(s, "an event of the history", page.Items[0])
	s.must(s.table.AppendHistory(s.Context(), s.key("i-2"), page.Items))
	page, err = s.table.ListHistory(s.Context(), s.key("i-2"), table.OldestFirst, "", 10)
	s.must(err)
	wantNewer(s, "an event appended again", page.Items[0])
}
