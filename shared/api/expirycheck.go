package api

import (
	"context"
	"net/http"
)

// ExpiryCheck is the function that checks a binding when its user asks. Its schedule is
// [API.Sweep].
func ExpiryCheck(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/instances/{region}/{instance}/bindings/{platform}/check",
		a.signedIn(ScopeWrite, a.check))
}

func (a *API) check(ctx context.Context, c call) (answer, error) {
	i, err := a.instance(ctx, c)
	if err != nil {
		return answer{}, err
	}
	name, err := platform(c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.bindings.CheckNow(ctx, c.by.Account, i, name)
	if err != nil {
		return answer{}, err
	}
	return answer{body: bindingOf(view, language(c.Request)), etag: view.Record.Stamp}, nil
}

// Sweep works on what has come due; see [binding.Service.Sweep]. It is for a schedule.
func (a *API) Sweep(ctx context.Context) error {
	done, err := a.bindings.Sweep(ctx)
	a.log.InfoContext(ctx, "checked",
		"due", done.Due, "checked", done.Checked, "refreshed", done.Refreshed,
		"warned", done.Warned, "recovered", done.Recovered, "failed", done.Failed,
		"parked", done.Parked, "putOff", done.PutOff, "drained", done.Drained,
		"removed", done.Removed, "kept", done.Kept, "deleted", done.Deleted,
		"left", done.Left, "durationMs", done.Duration.Milliseconds())
	return err
}
