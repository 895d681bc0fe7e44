package api

import (
	"context"
	"net/http"
	"slices"

	"bindery/shared/binding"
	"bindery/shared/binding/connect"
	"bindery/shared/binding/ledger"
	"bindery/shared/binding/repository"
	"bindery/shared/instance"
)

// Status adds the routes that list platforms, instances, bindings and the history of a binding.
func Status(a *API, mux *http.ServeMux) {
	for route, serve := range map[string]handler{
		"GET /v1/platforms": a.platforms,
		"GET /v1/instances": a.listInstances,
		"GET /v1/bindings":  a.accountBindings,
		"GET /v1/instances/{region}/{instance}/bindings":                    a.instanceBindings,
		"GET /v1/instances/{region}/{instance}/bindings/{platform}/history": a.history,
	} {
		mux.HandleFunc(route, a.signedIn(ScopeRead, serve))
	}
}

type platformsJSON struct {
	Platforms []platformJSON `json:"platforms"`
	Scopes    []string       `json:"scopes"` // of the caller
}

func (a *API) platforms(_ context.Context, c call) (answer, error) {
	out := platformsJSON{[]platformJSON{}, list(c.by.Scopes)}
	for _, d := range a.connect.Platforms() {
		out.Platforms = append(out.Platforms, platformOf(d, c.language()))
	}
	return answer{body: out}, nil
}

type instancesJSON struct {
	Instances []instance.Instance `json:"instances"`
	Cursor    *string             `json:"cursor"`
}

func (a *API) listInstances(ctx context.Context, c call) (answer, error) {
	search, cursor, err := page(c)
	if err == nil {
		err = repository.CheckSearch(search)
	}
	if err != nil {
		return answer{}, err
	}
	list, err := a.visible(ctx, c)
	if err != nil {
		return answer{}, err
	}
	found, err := list.Page(instance.Query{Search: search, Cursor: cursor})
	if err != nil { // only of a cursor
		return answer{}, ledger.BadCursor()
	}
	return answer{body: instancesJSON{found.Instances, text(found.Cursor)}}, nil
}

// visible lists the account's instances that the caller may see.
func (a *API) visible(ctx context.Context, c call) (instance.List, error) {
	list, err := a.instances.List(ctx, c.by.Account)
	if c.by.Narrowed {
		list = list.Only(c.by.Instances)
	}
	return list, err
}

type instanceBindingsJSON struct {
	Instance instance.Instance `json:"instance"`
	Bindings []any             `json:"bindings"`
}

func (a *API) instanceBindings(ctx context.Context, c call) (answer, error) {
	i, err := a.instance(ctx, c)
	if err != nil {
		return answer{}, err
	}
	views, err := a.connect.InstanceBindings(ctx, c.by.Account, i)
	if err != nil {
		return answer{}, err
	}
	out := instanceBindingsJSON{Instance: i}
	for _, v := range views {
		out.Bindings = append(out.Bindings, a.bindingOf(v, c.language()))
	}
	return answer{body: out}, nil
}

type accountBindingsJSON struct {
	Bindings []any   `json:"bindings"`
	Cursor   *string `json:"cursor"`
}

func (a *API) accountBindings(ctx context.Context, c call) (answer, error) {
	filter, err := a.filterOf(c)
	if err != nil {
		return answer{}, err
	}
	cursor, err := wordParameter(c, "cursor")
	if err != nil {
		return answer{}, err
	}
	if filter.Instances, err = a.visible(ctx, c); err != nil {
		return answer{}, err
	}
	filter.Narrowed = c.by.Narrowed
	page, err := a.connect.AccountBindings(ctx, c.by.Account, filter, cursor)
	if err != nil {
		return answer{}, err
	}
	out := accountBindingsJSON{Bindings: []any{}, Cursor: text(page.Cursor)}
	for _, v := range page.Items {
		out.Bindings = append(out.Bindings, a.bindingOf(v, c.language()))
	}
	return answer{body: out}, nil
}

func (a *API) filterOf(c call) (connect.Filter, error) {
	status, err := wordParameter(c, "status")
	if err != nil {
		return connect.Filter{}, err
	}
	// An unbound platform has no record. The list of one instance shows it.
	listed := slices.Contains(binding.Statuses(), binding.Status(status)) &&
		status != string(binding.StatusUnbound)
	if status != "" && !listed {
		return connect.Filter{}, malformed("status", "")
	}
	platform, err := wordParameter(c, "platform")
	if err != nil {
		return connect.Filter{}, err
	}
	if platform != "" && !slices.Contains(a.known.Names(), platform) {
		return connect.Filter{}, malformed("platform", "")
	}
	return connect.Filter{Status: binding.Status(status), Platform: platform}, nil
}

type historyJSON struct {
	Events []eventJSON `json:"events"`
	Cursor *string     `json:"cursor"`
}

func (a *API) history(ctx context.Context, c call) (answer, error) {
	i, platform, err := a.bindingTarget(ctx, c)
	if err != nil {
		return answer{}, err
	}
	cursor, err := wordParameter(c, "cursor")
	if err != nil {
		return answer{}, err
	}
	page, err := a.connect.History(ctx, c.by.Account, i, platform, cursor)
	if err != nil {
		return answer{}, err
	}
	out := historyJSON{Events: []eventJSON{}, Cursor: text(page.Cursor)}
	for _, e := range page.Items {
		out.Events = append(out.Events, eventOf(e, c.language()))
	}
	return answer{body: out}, nil
}
