package instance_test

import (
	"fmt"
	"strings"
	"testing"

	"bindery/shared/instance"
	"bindery/shared/testkit"
)

// manyInstances returns a catalogue with an account of n instances.
func manyInstances(t testing.TB, n int) instance.Catalogue {
	t.Helper()
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"type":"personal","region":"r","id":"i%06d","name":""}`, i))
	}
	spec := `{"acme":[` + strings.Join(list, ",") + `]}`
	c, err := instance.Open(spec, instance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFindAllocatesNothingHoweverManyInstancesTheAccountHas(t *testing.T) {
	c := manyInstances(t, 10_000)
	got := testing.AllocsPerRun(100, func() {
		if _, err := c.Find(t.Context(), "acme", "r", "i009999"); err != nil {
			t.Fatal(err)
		}
	})
	testkit.Want(t, "allocations", got, 0)
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 10_000, 100_000} {
		c := manyInstances(b, n)
		last := fmt.Sprintf("i%06d", n-1)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Find(b.Context(), "acme", "r", last); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
