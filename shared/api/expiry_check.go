package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"bindery/shared/binding"
	"bindery/shared/event"
	"bindery/shared/problem"
)

// ExpiryCheck is the function that checks a binding when its user asks. Its schedule is
// [API.Task].
func ExpiryCheck(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/instances/{region}/{instance}/bindings/{platform}/check",
		a.signedIn(ScopeWrite, a.check))
}

func (a *API) check(ctx context.Context, c call) (answer, error) {
	if wait, ok := a.binds.Allow(who(c)); !ok {
		return answer{}, problem.New(problem.TooManyCalls).After(wait)
	}
	i, err := a.instance(ctx, c)
	if err != nil {
		return answer{}, err
	}
	name, err := a.platform(c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.bindings.CheckNow(ctx, c.by.Account, i, name)
	if err != nil {
		return answer{}, err
	}
	return answer{body: bindingOf(view, language(c.Request)), etag: view.Record.Revision}, nil
}

// taskJSON is what a schedule or an operator's own invocation asks for.
type taskJSON struct {
	Name     string `json:"name"` // "expiry-check" (or nothing), "revoke"
	Platform string `json:"platform"`
	Account  string `json:"account"`
	// Confirm repeats the platform's name; without it, a revoke only tells what it would do.
	Confirm string `json:"confirm"`
	Cursor  string `json:"cursor"`
}

// Task is what the schedule runs, and what an operator may invoke: the check of all that has come
// due, or the end of every token of one platform. Its result is for whoever invoked it.
func (a *API) Task(ctx context.Context, input json.RawMessage) (any, error) {
	var task taskJSON
	if len(input) > 0 {
		if err := json.Unmarshal(input, &task); err != nil {
			return nil, fmt.Errorf("the task is not JSON of the form {\"name\": …}")
		}
	}
	switch task.Name {
	case "", "expiry-check":
		return nil, a.sweep(ctx)
	case "revoke":
		return a.revoke(ctx, input)
	}
	return nil, fmt.Errorf("no task is called %.40q: there are expiry-check and revoke", task.Name)
}

// revoke ends every token of a platform. A field that is written wrong must not widen it, and a
// wrong confirmation is told.
func (a *API) revoke(ctx context.Context, input json.RawMessage) (any, error) {
	var task taskJSON
	strict := json.NewDecoder(bytes.NewReader(input))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&task); err != nil {
		return nil, fmt.Errorf("revoke takes name, platform, account, confirm and cursor alone")
	}
	if task.Confirm != "" && task.Confirm != task.Platform {
		return nil, fmt.Errorf("confirm must repeat the platform's name; nothing was done")
	}
	return a.bindings.RevokeAll(ctx, binding.RevokeAllRequest{
		Platform: task.Platform,
		Account:  task.Account,
		Act:      task.Confirm != "",
		Cursor:   task.Cursor,
	})
}

func (a *API) sweep(ctx context.Context) error {
	done, err := a.bindings.Sweep(ctx)
	if err != nil { // what is due can't be read
		done.Failed++
		done.Left = true
	}
	a.log.InfoContext(ctx, "checked",
		"due", done.Due, "checked", done.Checked, "refreshed", done.Refreshed,
		"warned", done.Warned, "recovered", done.Recovered, "failed", done.Failed,
		"parked", done.Parked, "putOff", done.PutOff, "drained", done.Drained,
		"removed", done.Removed, "kept", done.Kept, "deleted", done.Deleted,
		"sent", done.Sent, "left", done.Left, "durationMs", done.Duration.Milliseconds())
	values := map[string]float64{
		"Due": float64(done.Due), "Checked": float64(done.Checked),
		"Refreshed": float64(done.Refreshed), "Failed": float64(done.Failed),
		"Parked": float64(done.Parked), "PutOff": float64(done.PutOff),
		"DurationMs": float64(done.Duration.Milliseconds()),
	}
	if err != nil {
		delete(values, "Due") // by which an operator knows that checks come to their end
	}
	event.Metric(ctx, a.log, a.now(), map[string]string{"Function": "expirycheck"}, values)
	return err
}
