package binding_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"bindery/shared/binding"
	"bindery/shared/binding/maintenance"
	"bindery/shared/provider"
)

// BenchmarkCheck runs the check of a table with so many records, of which one in a thousand is due.
// TestACheckCostsWhatIsDueAndNotTheTable asserts the calls.
func BenchmarkCheck(b *testing.B) {
	for _, size := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("records=", size), func(b *testing.B) {
			m := newFleet(b)
			now := m.clock().Now()
			m.fill(size/1000, "due", m.url, []token{aliceToken}, now)
			s := m.onDisk(b, size-size/1000, now.Add(1000*time.Hour))
			m.serve(s.table, m.values)
			var done maintenance.RunResult
			begun := time.Now()
			calls := m.counted(func() { done = m.mustRun() })
			took := time.Since(begun)
			if done.Checked != size/1000 {
				b.Fatalf("%d were checked, want %d", done.Checked, size/1000)
			}
			all := 0
			for _, n := range calls {
				all += n
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(done.Checked), "checked")
			b.ReportMetric(float64(all)/float64(done.Checked), "calls/checked")
			b.ReportMetric(float64(took.Microseconds())/1000, "ms/run")
		})
	}
}

// onDisk saves the fleet's records and later ones, which are due later, in a laptop's table. The
// later ones are copies of one row, because a million saves would take minutes.
func (m fleet) onDisk(b *testing.B, later int, due time.Time) store {
	b.Helper()
	s := mustOpen(b, folder(b))
	const first = "later-0000000"
	records := []binding.Record{{
		Key: key(first, provider.GitLab), Revision: "s", DueAt: due, CheckAt: due,
		Token: binding.Token{Secret: "later", Generation: 1},
	}}
	for _, rec := range m.rows.bindings {
		records = append(records, rec)
	}
	for _, rec := range records {
		rec.Version = ""
		if _, err := s.table.SaveBinding(context.Background(), rec); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.table.Close(); err != nil {
		b.Fatal(err)
	}
	file, err := bbolt.Open(filepath.Join(s.dir, "bindery.db"), 0o600, nil)
	if err == nil {
		err = file.Update(func(tx *bbolt.Tx) error { return copyRows(tx, first, later) })
	}
	if err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return mustOpen(b, s.dir)
}

// copyRows copies everything whose key has the id of an instance, until there are so many.
func copyRows(tx *bbolt.Tx, id string, count int) error {
	return tx.ForEach(func(_ []byte, bucket *bbolt.Bucket) error {
		var key, value []byte
		err := bucket.ForEach(func(k, v []byte) error {
			if bytes.Contains(k, []byte(id)) {
				key, value = bytes.Clone(k), bytes.Clone(v)
			}
			return nil
		})
		for i := 1; i < count && err == nil && key != nil; i++ {
			other := fmt.Appendf(nil, "later-%07d", i)
			err = bucket.Put(bytes.ReplaceAll(key, []byte(id), other),
				bytes.ReplaceAll(value, []byte(id), other))
		}
		return err
	})
}
