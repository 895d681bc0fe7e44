package api

import (
	"slices"
	"testing"

	"bindery/shared/binding"
	"bindery/shared/netguard"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/testkit"
)

func states(list []permissionJSON) (states []string) {
	for _, p := range list {
		states = append(states, p.Name+" "+p.State)
	}
	return states
}

func TestABindingShowsWhatIsKnownOfEachPermission(t *testing.T) {
	lacks := problem.New(problem.PermissionMissing).With("missing", "b, c")
	unproved := problem.New(problem.PermissionNotProvable).With("permission", "a")
	for name, c := range map[string]struct {
		status  binding.Status
		rec     binding.Record
		a, b, c string
	}{
		"good": {binding.StatusBound, binding.Record{}, "granted", "granted", "granted"},
		"lacking": {
			binding.StatusUnauthorized, binding.Record{Problem: lacks}, "granted", "missing", "missing",
		},
		"warned": {
			binding.StatusBound,
			binding.Record{Warnings: []problem.Problem{*unproved, *lacks}},
			"not_provable", "missing", "missing",
		},
		"refused without a name": {
			binding.StatusUnauthorized,
			binding.Record{Problem: problem.New(problem.PermissionMissing).Because("dpop")},
			"not_provable", "not_provable", "not_provable",
		},
		"blocked": {
			binding.StatusUnauthorized,
			binding.Record{Problem: problem.New(problem.UserBlocked)},
			"granted", "granted", "granted",
		},
	} {
		list := permissionsOf([]string{"a", "b", "c"}, problem.English)
		got := states(checklist(list, binding.View{Status: c.status, Record: c.rec}))
		if want := []string{"a " + c.a, "b " + c.b, "c " + c.c}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	ended := binding.View{Status: binding.StatusRevoked}
	testkit.Want(t, "permissions of an ended token",
		len(checklist(permissionsOf([]string{"a"}, problem.English), ended)), 0)
}

// Each permission that a platform asks for has words, and none is only the platform's own name.
func TestEachPermissionHasWordsInBothLanguages(t *testing.T) {
	platforms := provider.New(provider.Options{Guard: netguard.New(netguard.Options{})})
	for _, p := range platforms.All() {
		d := p.Describe()
		for _, name := range d.Scopes {
			zh := problem.PermissionIn(name, problem.Chinese)
			en := problem.PermissionIn(name, problem.English)
			if en.Words == name || zh.Words == "" || zh.Words == en.Words {
				t.Errorf("%s of %s is %q and %q", name, d.Name, zh, en)
			}
			grouped := d.Name == provider.Codeup
			if grouped != (zh.Group != "") || grouped != (en.Group != "") {
				t.Errorf("%s of %s is in the group %q", name, d.Name, zh.Group)
			}
		}
	}
}
