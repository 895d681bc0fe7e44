package binding_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

// TestALostReplyOfAPlatformLosesOneTokenAtMost lets the platform do what it is asked, and loses the
// reply of each request of each deed. What it issued in a lost reply nobody has: that is one token,
// and a binding whose token it was to be says so, where the one before is used up.
func TestALostReplyOfAPlatformLosesOneTokenAtMost(t *testing.T) {
	for _, d := range deeds() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			lost := 0
			for k := int64(1); ; k++ {
				one, more := d.unheard(t, k)
				if lost += one; !more {
					break
				}
			}
			if d.loses >= 0 {
				testkit.Want(t, "replies that lost a token", lost, d.loses/2) // a death has two occasions
			}
		})
	}
}

// unheard does a deed of which the platform's k-th reply is lost. It says how many tokens are lost,
// and whether there was such a reply.
func (d deed) unheard(t *testing.T, k int64) (lost int, more bool) {
	b := d.ready(t)
	var requests atomic.Int64
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) != k {
			b.sandbox.ServeHTTP(w, r)
			return
		}
		b.sandbox.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
	b.around.Store(&around)
	err := d.do(context.Background(), b.services, b.errand)
	b.around.Store(nil)
	if requests.Load() < k {
		testkit.Want(t, "error without a loss", err, nil)
		return 0, false
	}
	if problem.Is(err, problem.PlatformUnreachable) {
		err = errUnheard
	}
	return d.ended(b, fmt.Sprintf("the platform's reply %d was lost", k), err), true
}

// errUnheard stands for the failures that a lost reply explains.
var errUnheard = problem.New(problem.StorageUnavailable)
