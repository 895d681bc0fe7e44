package e2e_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/sandbox"
	"bindery/shared/table"
)

// A failing store costs a user another try and nothing else, at whichever call it fails, before or
// after the store has done its work. A single lost reply is not visible. Otherwise the reply is a
// problem with a time to wait, the same request works later, and in the end nothing is left: no
// secret without a record, no note, no live token.
func TestAFailingStoreCostsOnlyARetry(t *testing.T) {
	t.Parallel()
	d := startLambda(t)
	n := 0
	var all sync.WaitGroup
	run := func(name string, sc scenario, at int, do func(r *faultRun)) {
		if sc.platformUser != "" {
			sc.platformUser = "carol" // GitHub has ten tokens a user, and the runs below need theirs
		}
		all.Go(func() {
			t.Run(sc.name+" "+name, func(t *testing.T) { do(d.newFaultRun(t, sc, at)) })
		})
	}
	for _, sc := range scenarios() {
		for _, service := range []string{tableService, vaultService} {
			n++
			run(service+" is slow", sc, n, func(r *faultRun) { r.runWithToxic(slow, service) })
		}
		n++
		run("both stores fail", sc, n, func(r *faultRun) {
			for _, from := range []toxic{unreachable, resetting, halfRequest, halfHead} {
				r.runWithToxic(from, tableService, vaultService)
			}
		})
	}
	for _, sc := range scenarios() {
		first := n + 1
		n += maxFaultGroups
		all.Go(func() {
			t.Run(sc.name, func(t *testing.T) { d.failAtEachCall(t, sc, first) })
		})
	}
	all.Wait()
	d.wantNothingLeft()
}

// maxFaultGroups is the largest number of groups that a scenario's faults are divided into.
const maxFaultGroups = 6

// failAtEachCall finds out which calls a scenario makes, at the instance number first, and makes
// each of them fail, at the instances after it.
func (d *deployment) failAtEachCall(t *testing.T, sc scenario, first int) {
	n := first
	var all sync.WaitGroup
	for name, cases := range faultGroups(sc, d.newFaultRun(t, sc, first).storeCalls()) {
		if sc.platformUser == "" {
			n++
		}
		at := n
		all.Go(func() {
			t.Run(name, func(t *testing.T) {
				r := d.newFaultRun(t, sc, at)
				for _, f := range cases {
					r.runWithFault(f)
				}
			})
		})
	}
	all.Wait()
}

// runWithToxic runs the scenario while every call to these stores fails.
func (r *faultRun) runWithToxic(from toxic, services ...string) {
	r.t.Helper()
	request := r.prepare()
	for _, service := range services {
		r.links[service].addToxic(from)
	}
	a, err := r.send(request)
	for _, service := range services {
		r.links[service].restore()
	}
	when := fmt.Sprintf("%v: %s", services, from)
	switch {
	case err != nil:
		r.t.Errorf("%s: %v", when, err)
	case r.succeeded(a) && slices.Contains(services, tableService):
		r.t.Errorf("%s: it succeeds without a table", when)
	case !r.succeeded(a):
		r.wantStorageUnavailable(when, a)
	}
	r.wantNoSecret(when, a)
	r.wantRetrySucceeds(when, request, true)
}

// fault is what happens to one call of a scenario.
type fault struct {
	service, operation string
	k                  int
	how                cut
}

// faultGroups returns every fault that makes a difference, in groups that run at once.
func faultGroups(sc scenario, made map[string][]string) map[string][]fault {
	groups := map[string][]fault{}
	for service, operations := range made {
		for i, operation := range operations {
			for _, how := range cuts(operation) {
				group := service
				switch {
				case sc.platformUser != "":
					group = "both"
				case operation == "PutSecretValue": // the vault retries it for a long time
					group += " " + string(how)
				}
				groups[group] = append(groups[group], fault{service, operation, i + 1, how})
			}
		}
	}
	return groups
}

// cuts returns the cuts that make a difference for an operation.
func cuts(operation string) []cut {
	if strings.HasPrefix(operation, "Get") || operation == "Query" {
		return []cut{downBefore, replyCut}
	}
	return []cut{downBefore, replyLost, replyCut, downAfter}
}

// runWithFault runs the scenario with one fault.
func (r *faultRun) runWithFault(f fault) {
	r.t.Helper()
	when := fmt.Sprintf("%s, call %d of %s: %s", f.operation, f.k, f.service, f.how)
	request := r.prepare()
	r.links[f.service].arm(f.k, f.how)
	a, err := r.send(request)
	met := r.links[f.service].restore()
	switch {
	case err != nil:
		r.t.Errorf("%s: %v", when, err)
	case len(met) < f.k:
		r.t.Errorf("%s: there was no such call: %v", when, met)
	case r.succeeded(a):
	case f.how == replyLost || f.how == replyCut:
		r.t.Errorf("%s: one lost reply fails the request: %d %s", when, a.status, codeOf(a))
	default:
		r.wantStorageUnavailable(when, a)
	}
	r.wantNoSecret(when, a)
	r.wantRetrySucceeds(when, request, f.operation == "PutSecretValue" && f.how == downBefore)
}

// identityOf returns the key of a user's identity on GitHub. If no binding has it, it binds: a user
// with bindings may have as many tokens as are allowed.
func (d *deployment) identityOf(user string) binding.IdentityKey {
	d.t.Helper()
	for _, b := range d.bindings() {
		if b.Bound() && b.Platform == "github" && b.Identity.Username == user {
			return binding.IdentityKey{Platform: "github", Address: b.Address, ID: b.Identity.ID}
		}
	}
	other := *d
	other.platformUser = user
	other.bindByConsent("github", d.bearer(rand.Text(), everyScope))
	return d.identityOf(user)
}

// ageIdentityEntries makes the entries of the user's identity old, so that they no longer count as
// binds in progress.
func (d *deployment) ageIdentityEntries(user string) {
	d.t.Helper()
	of := d.identityOf(user)
	page, err := d.table.ListIdentityEntries(d.t.Context(), of, "", 100)
	d.mustSucceed(err)
	for _, h := range page.Items {
		h.At = time.Now().Add(-time.Hour)
		d.mustSucceed(d.table.SaveIdentityEntry(d.t.Context(), h))
	}
}

// bindings returns the records of the account.
func (d *deployment) bindings() []binding.Record {
	d.t.Helper()
	page, err := d.table.AccountBindings(d.t.Context(), "acme", "", 1000)
	if err != nil || page.Cursor != "" {
		d.t.Fatalf("listing the account: %v", err)
	}
	return page.Items
}

// unbindAll ends every binding of the account.
func (d *deployment) unbindAll() {
	d.t.Helper()
	for _, b := range d.bindings() {
		if !b.Bound() {
			continue
		}
		other := *d
		other.instance = b.Instance
		user := d.bearer(rand.Text(), everyScope)
		a := other.call(http.MethodDelete, other.bindingsPath()+"/"+b.Platform, user, nil)
		if a.status != http.StatusOK {
			d.t.Errorf("unbinding %s of %s: %d %v", b.Platform, b.Instance, a.status, a.body["code"])
		}
	}
}

// relist puts the secrets that shortenLists took off the lists back.
func (d *deployment) relist() {
	d.t.Helper()
	d.retired.Range(func(key, kept any) bool {
		rec, err := d.table.Binding(d.t.Context(), key.(binding.Key))
		if errors.Is(err, table.ErrNotFound) {
			rec, err = binding.Record{Key: key.(binding.Key)}, nil
		}
		d.mustSucceed(err)
		rec.Secrets = append(rec.Secrets, *kept.(*[]binding.OwnedSecret)...)
		rec.DueAt = time.Now()
		_, err = d.table.SaveBinding(d.t.Context(), rec)
		d.mustSucceed(err)
		return true
	})
}

// wantNothingLeft ends all bindings, makes everything due, and expects neither a secret nor a due
// row to be left.
func (d *deployment) wantNothingLeft() {
	d.t.Helper()
	for _, person := range []string{"alice", "bob", "carol"} {
		d.ageIdentityEntries(person)
	}
	d.unbindAll()
	d.relist()
	for range 3 { // a run drains a row's events, the next deletes it
		d.makeAllDue()
		d.runSchedule("after all faults")
	}
	if left := d.aws.secrets.Names(); !slices.Equal(left, []string{appsName}) {
		d.t.Errorf("the sweep leaves %d secrets", len(left)-1)
	}
	page, err := d.table.DueBefore(d.t.Context(), time.Now().Add(1000*time.Hour), "", 100)
	if err != nil || len(page.Items) != 0 {
		d.t.Errorf("rows are left that come due: %v, %v", page.Items, err)
	}
	for _, person := range []string{"alice", "bob", "carol"} {
		if alive := d.sandbox.LiveTokens(sandbox.GitHub, person); alive != 0 {
			d.t.Errorf("%d tokens of GitHub are live and in no record", alive)
		}
	}
}
