package api_test

import (
	"net/http"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/vault/vaulttest"
)

// failureMode is a way in which the storage fails at the k-th call.
type failureMode struct {
	name string
	set  func(w *world, k int)
}

func failureModes() []failureMode {
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
	return []failureMode{
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

func (w *world) restoreStorage() {
	w.table.reset(nil)
	w.vault.reset(nil)
	w.lost.set(nil)
}

// boundUser returns the user name of the binding, or "", and the ETag.
func (w *world) boundUser() (username, etag string) {
	w.t.Helper()
	b := w.binding(home, "gitlab")
	if b["status"] == "unbound" {
		return "", ""
	}
	return b["identity"].(map[string]any)["username"].(string), b["etag"].(string)
}

// change is a request, with the bound user before it and after it.
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

// Any call to the storage fails, in any mode: the reply is a success or a storage problem, and the
// binding is then the old one or the new one, complete and with one event for each. After the
// sweeps no secret is left over.
func TestAStorageThatFailsAtAnyCallLeavesTheOldOrTheNewBinding(t *testing.T) {
	for _, c := range changes() {
		for _, m := range failureModes() {
			t.Run(c.name+", "+m.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				k, worked := 0, false
				for failed := true; failed; {
					if k++; k > 20 {
						t.Fatal("it fails for ever")
					}
					w.bindTo(c.before)
					_, old := w.boundUser()
					m.set(w, k)
					r := w.do(c.request)
					w.restoreStorage()
					failed = r.status != http.StatusOK
					w.wantOldOrNew(c, r, old)
					worked = worked || !failed
					w.clock.Advance(time.Hour)
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

// bindTo binds the user, or unbinds if username is "".
func (w *world) bindTo(username string) {
	w.t.Helper()
	switch username {
	case "":
		w.do(request{method: "DELETE", path: home + "/gitlab"}).ok()
	case "bob":
		w.put(home+"/gitlab", bobs()).ok()
	}
}

// wantOldOrNew compares the binding with the reply.
func (w *world) wantOldOrNew(c change, r reply, old string) {
	w.t.Helper()
	who, etag := w.boundUser()
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

// wantSecrets wants one secret in the vault for each binding.
func (w *world) wantSecrets() {
	w.t.Helper()
	names, err := vaulttest.Names(w.t.Context(), w.secrets)
	if err != nil {
		w.t.Fatal(err)
	}
	who, _ := w.boundUser()
	want := 1
	if who == "" {
		want = 0
	}
	if len(names) != want {
		w.t.Errorf("%d secrets are left, want %d", len(names), want)
	}
}

// A list that can't be read completely is a storage problem.
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
			w.restoreStorage()
			w.get(path).ok()
		}
	}
}
