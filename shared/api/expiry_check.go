package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"bindery/shared/binding/maintenance"
	"bindery/shared/binding/subscription"
	"bindery/shared/binding/workqueue"
	"bindery/shared/event"
)

// ExpiryCheck adds the route that checks a binding when its user asks. [API.Task] is the schedule
// of the same function.
func ExpiryCheck(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/instances/{region}/{instance}/bindings/{platform}/check",
		a.signedIn(ScopeWrite, limited(a.bindLimiter, a.check)))
}

func (a *API) check(ctx context.Context, c call) (answer, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	view, err := a.maintenance.CheckNow(ctx, c.user(), i, platform)
	if err != nil {
		return answer{}, err
	}
	return answer{body: a.bindingOf(view, c.language()), etag: view.Record.Revision}, nil
}

// taskJSON is the input of the schedule or of an operator's invocation.
type taskJSON struct {
	// Name is "expiry-check" (the default), "subscriptions", "revoke", "lost-secrets" or
	// "move-secrets".
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Account  string `json:"account"`
	// Confirm repeats the platform's name. Without it, revoke only reports what it would do.
	Confirm string `json:"confirm"`
	Cursor  string `json:"cursor"`
}

// Task runs the task that the input names: the check of all records that are due or the work on all
// subscriptions that are, which the schedules run; or, for an operator who invokes the function,
// the revocation of every token of one platform, a report of bindings without a secret and of
// secrets without a record, or the move of secrets to another vault or key. Its result is for the
// operator.
func (a *API) Task(ctx context.Context, input json.RawMessage) (any, error) {
	var task taskJSON
	if len(input) > 0 {
		if err := json.Unmarshal(input, &task); err != nil {
			return nil, fmt.Errorf("the task is not JSON of the form {\"name\": …}")
		}
	}
	switch task.Name {
	case "", "expiry-check":
		return nil, a.runSchedule(ctx)
	case "subscriptions":
		return nil, a.runSubscriptions(ctx)
	case "revoke":
		return a.revoke(ctx, input)
	case "lost-secrets":
		act, cursor, err := confirmedByName(input)
		if err != nil {
			return nil, err
		}
		return a.maintenance.LostSecrets(ctx, maintenance.LostSecretsRequest{Act: act, Cursor: cursor})
	case "move-secrets":
		act, cursor, err := confirmedByName(input)
		if err != nil {
			return nil, err
		}
		return a.maintenance.MoveSecrets(ctx, maintenance.MoveSecretsRequest{Act: act, Cursor: cursor})
	}
	return nil, fmt.Errorf("no task is called %.40q: there are expiry-check, subscriptions, revoke, "+
		"lost-secrets and move-secrets", task.Name)
}

// confirmedByName reads the input of a task that only reports, unless confirm repeats its name.
func confirmedByName(input json.RawMessage) (act bool, cursor string, err error) {
	var task struct {
		Name    string `json:"name"`
		Confirm string `json:"confirm"`
		Cursor  string `json:"cursor"`
	}
	strict := json.NewDecoder(bytes.NewReader(input))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&task); err != nil {
		return false, "", fmt.Errorf("the task takes only name, confirm and cursor")
	}
	if task.Confirm != "" && task.Confirm != task.Name {
		return false, "", fmt.Errorf("confirm must repeat the task's name; nothing was done")
	}
	return task.Confirm != "", task.Cursor, nil
}

// revoke ends every token of a platform. An unknown field is an error, since a mistyped account
// would otherwise make it revoke the tokens of all accounts; so is a wrong confirmation.
func (a *API) revoke(ctx context.Context, input json.RawMessage) (any, error) {
	var task taskJSON
	strict := json.NewDecoder(bytes.NewReader(input))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&task); err != nil {
		return nil, fmt.Errorf("revoke takes only name, platform, account, confirm and cursor")
	}
	if task.Confirm != "" && task.Confirm != task.Platform {
		return nil, fmt.Errorf("confirm must repeat the platform's name; nothing was done")
	}
	return a.maintenance.RevokeAll(ctx, maintenance.RevokeAllRequest{
		Platform: task.Platform,
		Account:  task.Account,
		Act:      task.Confirm != "",
		Cursor:   task.Cursor,
	})
}

// ofSchedules is the dimension of the metrics of both schedules.
var ofSchedules = map[string]string{"Function": "expirycheck"}

// runSchedule checks what is due. It does nothing while another run does that.
func (a *API) runSchedule(ctx context.Context) error {
	var done maintenance.RunResult
	err := a.checkLease.Hold(ctx, func() (err error) {
		done, err = a.maintenance.Run(ctx)
		return err
	})
	if errors.Is(err, workqueue.ErrRunning) {
		a.log.InfoContext(ctx, "another run is under way", "schedule", "check")
		event.Metric(ctx, a.log, a.now(), ofSchedules, map[string]float64{"Overlaps": 1})
		return nil
	}
	if err != nil { // the records that are due can't be read
		done.Failed++
		done.Left = true
	}
	a.log.InfoContext(ctx, "checked",
		"due", done.Due, "checked", done.Checked, "refreshed", done.Refreshed,
		"warned", done.Warned, "recovered", done.Recovered, "failed", done.Failed,
		"parked", done.Parked, "lost", done.Lost, "putOff", done.PutOff,
		"drained", done.Drained, "removed", done.Removed, "kept", done.Kept, "deleted", done.Deleted,
		"sent", done.Sent, "left", done.Left, "durationMs", done.Duration.Milliseconds())
	values := map[string]float64{
		"Due": float64(done.Due), "Checked": float64(done.Checked),
		"Refreshed": float64(done.Refreshed), "Failed": float64(done.Failed),
		"Parked": float64(done.Parked), "Lost": float64(done.Lost),
		"PutOff": float64(done.PutOff), "DurationMs": float64(done.Duration.Milliseconds()),
	}
	if err != nil {
		delete(values, "Due") // operators read from it that the checks complete
	}
	event.Metric(ctx, a.log, a.now(), ofSchedules, values)
	return err
}

// runSubscriptions works on the subscriptions that are due. While another run does that it only
// forwards events, so that none waits for a platform.
func (a *API) runSubscriptions(ctx context.Context) error {
	var done subscription.RunResult
	err := a.subscriptionLease.Hold(ctx, func() (err error) {
		done, err = a.subscribed.Run(ctx)
		return err
	})
	overlaps := errors.Is(err, workqueue.ErrRunning)
	if overlaps {
		done, err = a.subscribed.Forward(ctx)
	}
	if err != nil { // the subscriptions that are due can't be read
		done.Failed++
		done.Left = true
	}
	a.log.InfoContext(ctx, "subscriptions",
		"due", done.Due, "forwarded", done.Forwarded, "dead", done.Dead, "synced", done.Synced,
		"repaired", done.Repaired, "caughtUp", done.CaughtUp, "broken", done.Broken,
		"ended", done.Ended, "failed", done.Failed, "left", done.Left,
		"overlaps", overlaps)
	values := map[string]float64{
		"DueSubscriptions": float64(done.Due), "Forwarded": float64(done.Forwarded),
		"Dead": float64(done.Dead), "Synced": float64(done.Synced),
		"Repaired": float64(done.Repaired), "CaughtUp": float64(done.CaughtUp),
		"Broken": float64(done.Broken), "FailedSubscriptions": float64(done.Failed),
	}
	if overlaps {
		values["Overlaps"] = 1
	}
	if err != nil || overlaps {
		delete(values, "DueSubscriptions") // operators read from it that the runs complete
	}
	event.Metric(ctx, a.log, a.now(), ofSchedules, values)
	return err
}
