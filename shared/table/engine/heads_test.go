package engine

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"bindery/shared/binding"
)

// DynamoDB takes rows of 400 KB. The names are of random letters, the worst case.
func TestTheHeadsOf5000RefsFitIntoARow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, length int) string {
		made := make([]byte, length)
		for i := range made {
			made[i] = letters[random.IntN(len(letters))]
		}
		return string(made)
	}
	words := []string{"feature", "fix", "release", "renovate", "user", "login", "build", "cache"}
	for name, c := range map[string]struct {
		ref  func(i int) string
		most int
	}{
		"names as people give them": {func(i int) string {
			ref := fmt.Sprintf("refs/heads/%s/ABC-%d", words[random.IntN(8)], i)
			for len(ref) < 60 {
				ref += "-" + words[random.IntN(8)]
			}
			return ref[:60]
		}, 250_000},
		"random names": {func(int) string {
			return "refs/heads/" + text("abcdefghijklmnopqrstuvwxyz", 49)
		}, 360_000},
	} {
		want := binding.Heads{Subscription: "id"}
		for i := range 5000 {
			head := binding.Head{Ref: c.ref(i), Commit: text("0123456789abcdef", 40)}
			want.List = append(want.List, head)
		}
		row, err := encodeHeads(want)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", name, len(row.Record))
		if len(row.Record) > c.most {
			t.Errorf("%s: %d bytes, want at most %d", name, len(row.Record), c.most)
		}
		if got, err := decodeHeads(row); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the heads aren't as they were, error %v", name, err)
		}
	}
}

func TestHeadsThatAreDamagedAreAnError(t *testing.T) {
	row, err := encodeHeads(binding.Heads{
		Subscription: "id", List: []binding.Head{{Ref: "refs/heads/main", Commit: "00ff"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []string{
		"", "{", "[]", `{"subscription":"id","refs":"AAAA"}`, `{"subscription":"id"}`,
		row.Record[:len(row.Record)-4] + `"}`,
	} {
		damaged := Row{Key: row.Key, Record: record}
		if heads, err := decodeHeads(damaged); err == nil {
			t.Errorf("%q: got %v, want an error", record, heads)
		}
	}
	many := binding.Heads{Subscription: "id", List: make([]binding.Head, 500_000)}
	if _, err := encodeHeads(many); err == nil {
		t.Error("more heads than fit into a row: no error")
	}
}
