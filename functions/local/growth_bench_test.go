package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"bindery/shared/secret"
)

// BenchmarkGrowth starts a laptop with so many bindings and as many instances: from exec to the
// answer of /healthz, the best of five. rss-MB is its memory then, data-MB the size of its data
// folder. A list of 100 of the bindings follows.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint("bindings=", n), func(b *testing.B) {
			data, instances := memoryFolder(b), catalogue(b, n)
			seedUnread(b, data, n, instances)
			best := time.Hour
			var p *process
			for range 5 {
				if p != nil {
					p.stop()
				}
				begun := time.Now()
				p = start(b, data, instances)
				if got := p.call(http.MethodGet, "/healthz", secret.Text{}, nil); got.status != 204 {
					b.Fatalf("status %d", got.status)
				}
				best = min(best, time.Since(begun))
			}
			own := server{p.url, p.cmd.Process.Pid}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(best.Microseconds())/1000, "start-ms")
			b.ReportMetric(own.rss(b), "rss-MB")
			b.ReportMetric(folderMB(b, data), "data-MB")
			token := p.signIn(url.Values{})
			best = time.Hour
			for range 5 {
				begun := time.Now()
				got := p.call(http.MethodGet, "/v1/bindings?limit=100", token, nil)
				if got.status != http.StatusOK {
					b.Fatalf("status %d: %s", got.status, got.code())
				}
				best = min(best, time.Since(begun))
			}
			b.ReportMetric(float64(best.Microseconds())/1000, "list-ms")
		})
	}
}

// folderMB returns the sum of the files' lengths.
func folderMB(b *testing.B, dir string) float64 {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return float64(sum) / 1e6
}
