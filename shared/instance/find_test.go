package instance_test

import (
	"fmt"
	"slices"
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

func TestAHundredThousandInstancesAreListedOnceEachInPages(t *testing.T) {
	const n = 100_000
	list, err := manyInstances(t, n).List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		search           string
		instances, pages int
	}{{"", n, 100}, {"INSTANCE 9", 11_111, 12}, {"i09999", 10, 1}, {"cn-", n, 100}, {"no", 0, 1}} {
		q := instance.Query{Search: test.search}
		last, listed, pages := "", 0, 0
		for pages < 101 {
			page, err := list.Page(q)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, one := range page.Instances {
				if one.ID <= last {
					t.Fatalf("%q: %s follows %s", test.search, one.ID, last)
				}
				last = one.ID
				listed++
			}
			if q.Cursor = page.Cursor; q.Cursor == "" {
				break
			}
		}
		testkit.Want(t, test.search+": instances", listed, test.instances)
		testkit.Want(t, test.search+": pages", pages, test.pages)
	}
}

// A list may change between two pages.
func TestACursorOutlivesItsInstance(t *testing.T) {
	var all []instance.Instance
	for i := range 1500 {
		all = append(all, instance.Instance{Region: "r", ID: fmt.Sprintf("i%04d", i)})
	}
	page, err := instance.NewList(all...).Page(instance.Query{})
	if err != nil {
		t.Fatal(err)
	}
	less := instance.NewList(slices.Delete(all, 999, 1000)...)
	page, err = less.Page(instance.Query{Cursor: page.Cursor})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "instances", len(page.Instances), 500)
	testkit.Want(t, "the first", page.Instances[0].ID, "i1000")
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
