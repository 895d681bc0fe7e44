package instance_test

import (
	"fmt"
	"runtime"
	"testing"

	"bindery/shared/instance"
)

// BenchmarkRead reads a catalogue at an address. live-bytes is what it occupies afterwards.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{10, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, address := publish(b, manyInstancesJSON(n))
			b.ReportAllocs()
			var before, after runtime.MemStats
			var c instance.Catalogue
			for b.Loop() {
				b.StopTimer()
				c = nil
				runtime.GC()
				runtime.ReadMemStats(&before)
				b.StartTimer()
				var err error
				if c, err = instance.Open(address, instance.Options{Now: p.now}); err != nil {
					b.Fatal(err)
				}
				if _, err = c.Find(b.Context(), "acme", "cn-hangzhou", "i000009"); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc)-float64(before.HeapAlloc), "live-bytes")
			runtime.KeepAlive(c)
		})
	}
}
