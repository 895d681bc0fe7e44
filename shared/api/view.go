package api

import (
	"time"

	"bindery/shared/binding"
	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/provider"
)

// platformJSON is a platform that Bindery supports. TriggerBuildLimit is null, since no platform
// has one.
type platformJSON struct {
	Platform          string           `json:"platform"`
	Title             string           `json:"title"`
	Method            string           `json:"method"`
	Fields            []string         `json:"fields"`
	Optional          []string         `json:"optional"`
	Scopes            []string         `json:"scopes"`
	Permissions       []permissionJSON `json:"permissions"`
	TokenURL          *string          `json:"tokenUrl"`
	TriggerBuildLimit *string          `json:"triggerBuildLimit"`
}

func platformOf(d provider.Description, lang problem.Language) platformJSON {
	return platformJSON{
		Platform:    d.Name,
		Title:       d.Title,
		Method:      string(d.Method),
		Fields:      list(d.Fields),
		Optional:    list(d.Optional),
		Scopes:      list(d.Scopes),
		TokenURL:    text(d.TokenURL),
		Permissions: permissionsOf(d.Scopes, lang),
	}
}

type identityJSON struct {
	ID         string  `json:"id"`
	Username   string  `json:"username"`
	Name       *string `json:"name"`
	AvatarURL  *string `json:"avatarUrl"`
	ProfileURL *string `json:"profileUrl"`
}

func identityOf(i binding.Identity) *identityJSON {
	if i == (binding.Identity{}) {
		return nil
	}
	return &identityJSON{
		ID:         i.ID,
		Username:   i.Username,
		Name:       text(i.Name),
		AvatarURL:  text(i.AvatarURL),
		ProfileURL: text(i.ProfileURL),
	}
}

// noBindingJSON is the binding of a platform that is unbound.
type noBindingJSON struct {
	Platform string `json:"platform"`
	Status   string `json:"status"`
	Method   string `json:"method"`
}

type bindingJSON struct {
	Instance       *instance.Instance `json:"instance,omitempty"`
	Platform       string             `json:"platform"`
	Status         string             `json:"status"`
	Method         string             `json:"method"`
	ETag           string             `json:"etag"`
	Address        *string            `json:"address"`
	Organization   *string            `json:"organization"`
	Identity       *identityJSON      `json:"identity"`
	GitUsername    *string            `json:"gitUsername"`
	Scopes         []string           `json:"scopes"`
	Permissions    []permissionJSON   `json:"permissions,omitempty"` // not in the account's list
	TokenURL       *string            `json:"tokenUrl,omitempty"`    // the same
	TokenExpiresAt *time.Time         `json:"tokenExpiresAt"`
	LastCheckedAt  *time.Time         `json:"lastCheckedAt"`
	BoundAt        *time.Time         `json:"boundAt"`
	BoundBy        string             `json:"boundBy"`
	Problem        *problem.Details   `json:"problem"`
	CheckProblem   *problem.Details   `json:"checkProblem,omitempty"`
	Warnings       []problem.Details  `json:"warnings"`
}

// bindingOf returns the JSON of a binding: a noBindingJSON if it is unbound, else a bindingJSON.
func (a *API) bindingOf(v binding.View, lang problem.Language) any {
	rec := v.Record
	if v.Status == binding.StatusUnbound {
		return noBindingJSON{
			Platform: rec.Platform, Status: string(v.Status), Method: string(v.Method),
		}
	}
	out := bindingJSON{
		Platform:       rec.Platform,
		Status:         string(v.Status),
		Method:         string(v.Method),
		ETag:           rec.Revision,
		Address:        text(rec.Address),
		Organization:   text(rec.Organization),
		Identity:       identityOf(rec.Identity),
		GitUsername:    text(rec.GitUsername),
		Scopes:         list(rec.Token.Scopes),
		TokenExpiresAt: optionalTime(rec.Token.ExpiresAt),
		LastCheckedAt:  optionalTime(rec.LastCheckedAt),
		BoundAt:        optionalTime(rec.BoundAt),
		BoundBy:        rec.BoundBy.Subject,
		Warnings:       []problem.Details{},
	}
	if v.Instance != (instance.Instance{}) {
		out.Instance = &v.Instance
	} else if p, ok := a.known.Get(rec.Platform); ok {
		out.Permissions = checklist(permissionsOf(p.Describe().Scopes, lang), v)
		out.TokenURL = text(p.RevokeURL(rec.Address))
	}
	if rec.Problem != nil {
		p := rec.Problem.DetailsIn(lang)
		out.Problem = &p
	}
	if v.CheckProblem != nil {
		p := v.CheckProblem.DetailsIn(lang)
		out.CheckProblem = &p
	}
	for _, w := range rec.Warnings {
		out.Warnings = append(out.Warnings, w.DetailsIn(lang))
	}
	return out
}

type eventJSON struct {
	ID       string           `json:"id"`
	Type     string           `json:"type"`
	At       time.Time        `json:"at"`
	Actor    *string          `json:"actor"` // null for Bindery itself
	Identity *identityJSON    `json:"identity"`
	Previous *identityJSON    `json:"previous"`
	Problem  *problem.Details `json:"problem"`

	Repository *binding.EventRepository `json:"repository,omitempty"`
}

func eventOf(e binding.Event, lang problem.Language) eventJSON {
	out := eventJSON{
		ID:       e.ID,
		Type:     e.Type,
		At:       e.At,
		Actor:    text(e.Actor.Subject),
		Identity: identityOf(e.Identity),
		Previous: identityOf(e.Previous),
	}
	if e.Problem != nil {
		p := e.Problem.DetailsIn(lang)
		out.Problem = &p
	}
	if e.Repository != (binding.EventRepository{}) {
		out.Repository = &e.Repository
	}
	return out
}

// text returns nil, which is null in JSON, for an empty string.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// optionalTime returns nil, which is null in JSON, for the zero time.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// list returns an empty list, which is [] in JSON, for nil.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
