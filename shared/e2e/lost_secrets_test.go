package e2e_test

import (
	"encoding/json"
	"slices"
	"time"

	"bindery/shared/binding/maintenance"
)

// lostSecrets runs the operator's task once. refused is a task that the function must not run.
func (d *deployment) lostSecrets(task string) (out maintenance.LostSecretsResult, refused bool) {
	d.t.Helper()
	reply, err := d.processes["expirycheck"].Invoke(d.t.Context(), []byte(task))
	if err != nil {
		return out, true
	}
	if err := json.Unmarshal(reply, &out); err != nil {
		d.t.Fatalf("the task %s: %v", task, err)
	}
	return out, false
}

// wantLostSecrets takes the vault and the table apart, as a restore of the table does: the binding
// of Codeup has no row any more, and all secrets are an hour old.
func (d *deployment) wantLostSecrets() {
	d.t.Helper()
	const (
		look    = `{"name":"lost-secrets"}`
		confirm = `{"name":"lost-secrets","confirm":"lost-secrets"}`
	)
	want := func(when, task string, orphans, deleted int) {
		d.t.Helper()
		out, refused := d.lostSecrets(task)
		if refused || out.Orphans != orphans || out.Deleted != deleted ||
			out.Missing+out.Failed > 0 || out.Cursor != "" {
			d.t.Errorf("%s: %s gives %+v, refused %v; want %d orphans, %d deleted",
				when, task, out, refused, orphans, deleted)
		}
	}
	rec, err := d.table.Binding(d.t.Context(), d.bindingKey("codeup"))
	if err == nil {
		err = d.table.DeleteBinding(d.t.Context(), rec)
	}
	d.mustSucceed(err)
	before := d.secretNames()
	want("a young secret", confirm, 0, 0)
	d.ageSecrets(time.Hour)
	want("a look", look, 1, 0)
	for _, wrong := range []string{
		`{"name":"lost-secrets","confirm":"yes"}`,
		`{"name":"lost-secrets","confirm":"lost-secrets","account":"acme"}`,
		`{"name":"lost-secrets","cursor":"x","confirm":"lost-secrets"}`,
	} {
		if _, refused := d.lostSecrets(wrong); !refused {
			d.t.Errorf("the function runs %s", wrong)
		}
	}
	if !slices.Equal(d.secretNames(), before) {
		d.t.Error("a look or a refused task has deleted a secret")
	}
	want("told to", confirm, 1, 1)
	want("again", confirm, 0, 0)
	if left := d.secretNames(); len(left) != len(before)-1 {
		d.t.Errorf("the vault has %d secrets, want %d", len(left), len(before)-1)
	}
}
