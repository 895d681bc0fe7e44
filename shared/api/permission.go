package api

import (
	"slices"

	"bindery/shared/binding"
	"bindery/shared/problem"
)

// The states of a permission of a binding's token.
const (
	permissionGranted     = "granted"
	permissionMissing     = "missing"
	permissionNotProvable = "not_provable"
)

// permissionJSON is a permission that a platform's token needs, in the reader's language.
type permissionJSON struct {
	Name  string  `json:"name"` // the platform's own
	Group *string `json:"group"`
	Words string  `json:"words"`
	State string  `json:"state,omitempty"` // of a binding
}

func permissionsOf(names []string, lang problem.Language) []permissionJSON {
	list := []permissionJSON{}
	for _, name := range names {
		p := problem.PermissionIn(name, lang)
		list = append(list, permissionJSON{Name: name, Group: text(p.Group), Words: p.Words})
	}
	return list
}

// checklist returns the permissions with their states, as the last check left them: a platform
// binds no token that lacks one, unless a warning names it. It returns nil for a token that has
// ended, which has no permissions.
func checklist(list []permissionJSON, v binding.View) []permissionJSON {
	if v.Status == binding.StatusRevoked || v.Status == binding.StatusExpired {
		return nil
	}
	for i := range list {
		list[i].State = permissionGranted
	}
	set := func(p problem.Problem) {
		state := permissionNotProvable
		if p.Code == problem.PermissionMissing {
			state = permissionMissing
		}
		for i := range list {
			if slices.Contains(p.Permissions(), list[i].Name) {
				list[i].State = state
			}
		}
	}
	for _, w := range v.Record.Warnings {
		set(w)
	}
	p := v.Record.Problem
	if p == nil || p.Code != problem.PermissionMissing {
		return list
	}
	if len(p.Permissions()) == 0 { // the platform has not named them
		for i := range list {
			list[i].State = permissionNotProvable
		}
	}
	set(*p)
	return list
}
