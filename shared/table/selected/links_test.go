package selected_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// linked are the packages that a program of this tag gets with the package selected. That they
// build is a part of it.
func linked(t *testing.T, tag string) []string {
	t.Helper()
	const self = "bindery/shared/table/selected"
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags="+tag, self).
		CombinedOutput(); err != nil {
		t.Fatalf("go build -tags=%s: %v: %s", tag, err, out)
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags="+tag, self).Output()
	if err != nil {
		t.Fatalf("go list -tags=%s: %v", tag, err)
	}
	return strings.Fields(string(out))
}

func TestATagLinksItsOwnTableAlone(t *testing.T) {
	for _, c := range []struct {
		tag string
		has []string
		not []string // that begin so
	}{
		{"", []string{"bindery/shared/table/bolt"}, []string{
			"github.com/aws", "github.com/aliyun", "bindery/shared/table/dynamo",
			"bindery/shared/table/tablestore",
		}},
		{"aws", []string{"bindery/shared/table/dynamo"}, []string{
			"go.etcd.io", "github.com/aliyun", "bindery/shared/table/bolt",
			"bindery/shared/table/tablestore",
			// They make up much of what the library weighs, and cost each cold start milliseconds.
			"github.com/aws/aws-sdk-go-v2/config", "github.com/aws/aws-sdk-go-v2/credentials",
			"github.com/aws/aws-sdk-go-v2/feature",
		}},
		{"alibaba", []string{"bindery/shared/table/tablestore"}, []string{
			"github.com/aws", "go.etcd.io", "bindery/shared/table/bolt", "bindery/shared/table/dynamo",
			"github.com/alibabacloud-go", "github.com/aliyun/credentials-go",
		}},
	} {
		packages := linked(t, c.tag)
		for _, name := range c.has {
			if !slices.Contains(packages, name) {
				t.Errorf("tag %q: %s isn't linked", c.tag, name)
			}
		}
		for _, name := range packages {
			for _, other := range c.not {
				if strings.HasPrefix(name, other) {
					t.Errorf("tag %q: %s is linked", c.tag, name)
				}
			}
		}
	}
}
