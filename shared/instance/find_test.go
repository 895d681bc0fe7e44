package instance_test

import (
	"fmt"
	"strings"
	"testing"

	"bindery/shared/instance"
	"bindery/shared/testkit"
)

// manyInstancesJSON returns the text of a catalogue with an account of n instances.
func manyInstancesJSON(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(
			`{"type": "enterprise", "region": "cn-hangzhou", "id": "i%06d", "name": "instance %d"}`, i, i))
	}
	return `{"acme": [` + strings.Join(list, ",\n") + `]}`
}

func manyInstances(t testing.TB, n int) instance.Catalogue {
	t.Helper()
	c, err := instance.Open(manyInstancesJSON(n), instance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFindAllocatesNothingHoweverManyInstancesTheAccountHas(t *testing.T) {
	c := manyInstances(t, 10_000)
	got := testing.AllocsPerRun(100, func() {
		if _, err := c.Find(t.Context(), "acme", "cn-hangzhou", "i009999"); err != nil {
			t.Fatal(err)
		}
	})
	testkit.Want(t, "allocations", got, 0)
}

func TestACatalogueAtAnAddressMayHaveAHundredThousandInstances(t *testing.T) {
	p, address := publish(t, manyInstancesJSON(100_000))
	found, err := open(t, address, p.now).Find(t.Context(), "acme", "cn-hangzhou", "i099999")
	testkit.Want(t, "the name", found.Name, "instance 99999")
	testkit.Want(t, "the error", err, nil)
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 10_000, 100_000} {
		c := manyInstances(b, n)
		last := fmt.Sprintf("i%06d", n-1)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Find(b.Context(), "acme", "cn-hangzhou", last); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		spec := manyInstancesJSON(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := instance.Open(spec, instance.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
