package api

import (
	"context"
	"net/http"

	"bindery/shared/event"
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
		"sent", done.Sent, "left", done.Left, "durationMs", done.Duration.Milliseconds())
	event.Metric(ctx, a.log, a.now(), map[string]string{"Function": "expirycheck"},
		map[string]float64{
			"Due": float64(done.Due), "Checked": float64(done.Checked),
			"Refreshed": float64(done.Refreshed), "Failed": float64(done.Failed),
			"Parked": float64(done.Parked), "PutOff": float64(done.PutOff),
			"DurationMs": float64(done.Duration.Milliseconds()),
		})
	return err
}
