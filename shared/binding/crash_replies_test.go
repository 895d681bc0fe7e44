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
// reply of each request of each operation. A token in a lost reply is lost, and never more than
// that one. The binding that was to get it reports this if its previous token is used up.
func TestALostReplyOfAPlatformLosesOneTokenAtMost(t *testing.T) {
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			lost := 0
			for k := int64(1); ; k++ {
				one, more := op.loseReply(t, k)
				if lost += one; !more {
					break
				}
			}
			if op.loses >= 0 {
				testkit.Want(t, "replies that lost a token", lost, op.loses/2) // a crash has two occasions
			}
		})
	}
}

// loseReply does an operation whose k-th reply of the platform is lost. It returns how many tokens
// are lost, and whether there was such a reply.
func (op operation) loseReply(t *testing.T, k int64) (lost int, more bool) {
	b := op.setUp(t)
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
	err := op.do(context.Background(), b.services, b.input)
	b.around.Store(nil)
	if requests.Load() < k {
		testkit.Want(t, "error without a loss", err, nil)
		return 0, false
	}
	if problem.Is(err, problem.PlatformUnreachable) {
		err = errReplyLost
	}
	return op.ended(b, fmt.Sprintf("the platform's reply %d was lost", k), err), true
}

// errReplyLost stands for the failures that a lost reply explains.
var errReplyLost = problem.New(problem.StorageUnavailable)
