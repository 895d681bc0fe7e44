package binding_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"bindery/shared/binding/credential"
)

// BenchmarkStampede lets so many callers, in so many processes, ask at once for a credential whose
// token has expired. The processes have memories of their own and share a table and a vault. The
// benchmark asserts that a stampede makes one refresh; table-calls and vault-calls are those of all
// processes.
func BenchmarkStampede(b *testing.B) {
	for _, processes := range []int{1, 2, 4, 8} {
		for _, callers := range []int{1, 10, 100, 1000} {
			if callers < processes {
				continue
			}
			b.Run(fmt.Sprintf("processes=%d/callers=%d", processes, callers), func(b *testing.B) {
				stampede(b, processes, callers)
			})
		}
	}
}

func stampede(b *testing.B, processes, callers int) {
	first := newRefreshable(b, gitHubLife)
	all := []*harness{first}
	for range processes - 1 {
		all = append(all, first.otherProcess())
	}
	tableCalls, vaultCalls, stampedes := 0, 0, 0
	for b.Loop() {
		b.StopTimer()
		first.clock().Advance(gitHubLife + time.Minute)
		before := first.refreshes()
		b.StartTimer()
		for call, n := range countedAll(all, func() { askAll(b, all, callers) }) {
			if call == "Get" || call == "Put" {
				vaultCalls += n
			} else {
				tableCalls += n
			}
		}
		stampedes++
		if made := first.refreshes() - before; made != 1 {
			b.Fatalf("%d refreshes, want 1", made)
		}
	}
	b.ReportMetric(float64(tableCalls)/float64(stampedes), "table-calls")
	b.ReportMetric(float64(vaultCalls)/float64(stampedes), "vault-calls")
	b.ReportMetric(1, "refreshes")
}

// countedAll counts the calls of all processes.
func countedAll(all []*harness, do func()) map[string]int {
	if len(all) == 0 {
		do()
		return map[string]int{}
	}
	var others map[string]int
	calls := all[0].counted(func() { others = countedAll(all[1:], do) })
	for call, n := range others {
		calls[call] += n
	}
	return calls
}

// askAll spreads the callers over the processes.
func askAll(b *testing.B, all []*harness, callers int) {
	var group sync.WaitGroup
	for n := range callers {
		group.Go(func() {
			if _, err := all[n%len(all)].ask("i-1", credential.MinimumLife); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
}
