package file_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"bindery/shared/vault/file"
)

// BenchmarkOpen opens a vault with so many secrets, which are not encrypted.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			if _, err := file.Open(dir, key(b, "a")); err != nil {
				b.Fatal(err)
			}
			for i := range n {
				write(b, filepath.Join(dir, fmt.Sprintf("%032x", i), "1"), "sealed")
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := file.Open(dir, key(b, "a")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
