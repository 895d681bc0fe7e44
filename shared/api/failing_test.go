package api_test

import (
	"net/http"
	"testing"
	"time"

	"bindery/shared/problem"
)

// manner is a way in which the storage fails at the k-th call.
type manner struct {
	name string
	set  func(w *world, k int)
}

func manners() []manner {
	fail := func(k int) func(int, string) error {
		return func(n int, _ string) error {
			if n == k {
				return errStorage
			}
			return nil
		}
	}
	down := func(k int) func(int, string) error {
		return func(n int, _ string) error {
			if n >= k {
				return errStorage
			}
			return nil
		}
	}
	return []manner{
		{"one call to the table fails", func(w *world, k int) { w.table.reset(fail(k)) }},
		{"the table is down from a call on", func(w *world, k int) { w.table.reset(down(k)) }},
		{"one call to the vault fails", func(w *world, k int) { w.vault.reset(fail(k)) }},
		{"one reply of the table is lost", func(w *world, k int) {
			w.lost.set(func(n int) bool { return n == k })
		}},
		{"every reply of the table is lost from one on", func(w *world, k int) {
			w.lost.set(func(n int) bool { return n >= k })
		}},
	}
}

func (w *world) heal() {
	w.table.reset(nil)
	w.vault.reset(nil)
	w.lost.set(nil)
}

// holder is who is bound, "" for nobody, with the ETag.
func (w *world) holder() (username, etag string) {
	w.t.Helper()
	b := w.binding(home, "gitlab")
	if b["status"] == "unbound" {
		return "", ""
	}
	return b["identity"].(map[string]any)["username"].(string), b["etag"].(string)
}

// change is a request, and who is bound before it and after it.
type change struct {
	name          string
	request       request
	before, after string
}

func changes() []change {
	put := request{method: "PUT", path: home + "/gitlab", body: gitlab()}
	revoking := put
	revoking.path += "?revoke=false"
	return []change{
		{"a bind", put, "", "alice"},
		{"a re-bind", revoking, "bob", "alice"},
		{"an unbind", request{method: "DELETE", path: home + "/gitlab"}, "bob", ""},
	}
}

// Whichever call to the storage fails, and however: the reply is a success or says that the
// storage failed, and what is bound then is the old or the new, whole and with one event each.
// When all has settled no secret is left over.
func TestAStorageThatFailsAtAnyCallLeavesTheOldOrTheNewBinding(t *testing.T) {
	for _, c := range changes() {
		for _, m := range manners() {
			t.Run(c.name+", "+m.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				k, worked := 0, false
				for failed := true; failed; {
					if k++; k > 20 {
						t.Fatal("it fails for ever")
					}
					w.bindTo(c.before)
					_, old := w.holder()
					m.set(w, k)
					r := w.do(c.request)
					w.heal()
					failed = r.status != http.StatusOK
					w.wantOldOrNew(c, r, old)
					worked = worked || !failed
					w.clock.forward(time.Hour)
					w.sweep()
					w.wantSecrets()
				}
				if !worked {
					t.Error("it never worked")
				}
			})
		}
	}
}

// bindTo makes username the one who is bound, "" for nobody.
func (w *world) bindTo(username string) {
	w.t.Helper()
	switch username {
	case "":
		w.do(request{method: "DELETE", path: home + "/gitlab"}).ok()
	case "bob":
		w.put(home+"/gitlab", bobs()).ok()
	}
}

// wantOldOrNew holds what is bound now against what was answered.
func (w *world) wantOldOrNew(c change, r reply, old string) {
	w.t.Helper()
	who, etag := w.holder()
	if r.status != http.StatusOK {
		if r.refused(problem.StorageUnavailable, "").header.Get("Retry-After") == "" {
			w.t.Error("there is no Retry-After")
		}
	} else if who != c.after {
		w.t.Errorf("it was answered that it is done, and %q is bound, want %q", who, c.after)
	}
	switch {
	case who == c.after && (etag != old || c.after == ""):
	case who == c.before && etag == old:
	default:
		w.t.Errorf("%q is bound, want %q with the old ETag, or %q", who, c.before, c.after)
	}
}

// wantSecrets counts what is in the vault: one for a binding.
func (w *world) wantSecrets() {
	w.t.Helper()
	names, err := w.secrets.Names(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	who, _ := w.holder()
	want := 1
	if who == "" {
		want = 0
	}
	if len(names) != want {
		w.t.Errorf("%d secrets are left, want %d", len(names), want)
	}
}

// A list says that the storage failed, and shows no half of itself.
func TestAListThatCannotBeReadIsAStorageProblem(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	for path, calls := range map[string]int{
		home: 1, "/v1/bindings": 1, home + "/gitlab/history": 2,
	} {
		for k := 1; k <= calls; k++ {
			w.table.reset(func(n int, _ string) error {
				if n == k {
					return errStorage
				}
				return nil
			})
			w.get(path).refused(problem.StorageUnavailable, "")
			w.heal()
			w.get(path).ok()
		}
	}
}
