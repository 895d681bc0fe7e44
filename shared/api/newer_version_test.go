package api_test

import (
	"reflect"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/problem"
	"bindery/shared/sandbox"
)

// newerValues are values that a newer version may write to a record, by what they are.
func newerValues() map[string]func(*binding.Record) {
	unknown := problem.New("of_a_newer_version").Because("some_reason").With("platform", "GitLab")
	return map[string]func(*binding.Record){
		"health":  func(b *binding.Record) { b.Health = "suspended" },
		"problem": func(b *binding.Record) { b.Health, b.Problem = binding.HealthRevoked, unknown },
		"both":    func(b *binding.Record) { b.Health, b.Problem = "suspended", unknown },
		"warning": func(b *binding.Record) { b.Warnings = append(b.Warnings, *unknown) },
		"backoff": func(b *binding.Record) { b.Backoff = binding.Backoff{Tries: 1, Problem: unknown} },
	}
}

// newNewerWorld returns a world with a binding of GitLab that a newer version has changed.
func newNewerWorld(t *testing.T, change func(*binding.Record)) *world {
	t.Helper()
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.sweep()
	w.rewrite(change)
	return w
}

func (w *world) gitLabRow() binding.Record {
	w.t.Helper()
	rec, err := w.lost.Binding(w.t.Context(), keyAt("cn-hangzhou", "cri-1", sandbox.GitLab))
	if err != nil {
		w.t.Fatal(err)
	}
	return rec
}

func (w *world) rewrite(change func(*binding.Record)) {
	w.t.Helper()
	rec := w.gitLabRow()
	change(&rec)
	if _, err := w.lost.SaveBinding(w.t.Context(), rec); err != nil {
		w.t.Fatal(err)
	}
}

func TestARecordOfANewerVersionIsShownAndNotActedUpon(t *testing.T) {
	for name, change := range newerValues() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newNewerWorld(t, change)
			before := w.gitLabRow()
			if got := w.binding(home, "gitlab")["status"]; got != "unknown" {
				t.Errorf("it has the status %v", got)
			}
			if got := w.get("/v1/bindings?status=unknown").ok().list("bindings"); len(got) != 1 {
				t.Errorf("the account's list has %d with this status, want 1", len(got))
			}
			for _, language := range []problem.Language{problem.Chinese, problem.English} {
				w.wantGeneralWords(before, language)
			}
			r := w.credentialAt(home+"/gitlab", nil, w.build()).refused(problem.NewerVersion, "")
			if got := r.header.Get("Retry-After"); got != "60" {
				t.Errorf("Retry-After is %q, want 60", got)
			}
			calls := len(w.box.Requests())
			asking("POST", home+"/gitlab/check", false)(w, "en").ok()
			if after := w.gitLabRow(); !reflect.DeepEqual(after, before) {
				t.Errorf("a check by its user changed the record: %+v", after)
			}
			w.clock.Advance(48 * time.Hour)
			w.sweep()
			w.wantPostponed(before)
			if got := len(w.box.Requests()) - calls; got != 0 {
				t.Errorf("the platform got %d requests", got)
			}
		})
	}
}

// wantGeneralWords expects that the binding's problem, or its unknown warning, has its own code and
// the texts of a newer version.
func (w *world) wantGeneralWords(rec binding.Record, language problem.Language) {
	w.t.Helper()
	want := problem.New(problem.NewerVersion).In(language)
	r := asking("GET", home, false)(w, string(language)).ok()
	for _, b := range r.list("bindings") {
		if b["platform"] != "gitlab" {
			continue
		}
		shown, _ := b["problem"].(map[string]any)
		code := string(problem.NewerVersion)
		if rec.Problem != nil {
			code = string(rec.Problem.Code)
		}
		if shown["code"] != code || shown["detail"] != want.Detail || shown["remedy"] != want.Remedy {
			w.t.Errorf("got the problem %v, want %s in the words %+v", shown, code, want)
		}
		readsWell(w.t, shown, language)
	}
}

// wantPostponed expects the record as it was, but for the time of the next check.
func (w *world) wantPostponed(before binding.Record) {
	w.t.Helper()
	after := w.gitLabRow()
	wait := after.CheckAt.Sub(w.clock.Now())
	if wait < 14*time.Minute || wait > 30*time.Minute || !after.DueAt.Equal(after.CheckAt) {
		w.t.Errorf("it is checked in %s and due at %s", wait, after.DueAt)
	}
	before.Version, before.CheckAt, before.DueAt = after.Version, after.CheckAt, after.DueAt
	if !reflect.DeepEqual(after, before) {
		w.t.Errorf("the schedule changed more than the time:\n%+v\nwas\n%+v", after, before)
	}
}

func TestARecordOfANewerVersionCanBeBoundAgainAndUnbound(t *testing.T) {
	for name, change := range newerValues() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newNewerWorld(t, change)
			w.put(home+"/gitlab", bobs()).ok()
			if got := w.binding(home, "gitlab")["status"]; got != "bound" {
				t.Errorf("bound again, it has the status %v", got)
			}
			w.rewrite(change)
			asking("DELETE", home+"/gitlab", false)(w, "en").ok()
			if got := w.binding(home, "gitlab")["status"]; got != "unbound" {
				t.Errorf("unbound, it has the status %v", got)
			}
		})
	}
}

func TestARecordOfANewerVersionIsRevokedByTheOperator(t *testing.T) {
	for name, change := range newerValues() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newNewerWorld(t, change)
			input := []byte(`{"name":"revoke","platform":"gitlab","confirm":"gitlab"}`)
			if _, err := w.api.Task(t.Context(), input); err != nil {
				t.Fatal(err)
			}
			if got := w.binding(home, "gitlab")["status"]; got != "revoked" {
				t.Errorf("it has the status %v", got)
			}
			w.credentialAt(home+"/gitlab", nil, w.build()).
				refused(problem.TokenRevoked, "revoked_by_operator")
		})
	}
}
