package platform

import (
	"fmt"
	"hash/crc32"
	"maps"
	"net/url"
	"slices"
	"strings"

	"bindery/shared/sandbox/git"
)

// Repository is a repository as a platform lists it.
type Repository struct {
	git.Repository
	// ID follows from the path, and is the same for every user.
	ID   int64
	Path string // with the namespace: "alice/hello"
	// Admin says that the user may change it and push to it. Others may only read it.
	Admin, Archived, Private bool
}

// ReadOnly is the path of the repository that every user may read and none may change.
const ReadOnly = "docs/handbook"

// NewRepository returns the repository of a path, which decides what is in it (see [git.Named]).
// Those named archive are archived, and public.
func NewRepository(name Name, path string) Repository {
	id := int64(crc32.ChecksumIEEE([]byte(path))) + 1
	archived := strings.HasSuffix(path, "/archive")
	return Repository{
		Repository: git.Named(fmt.Sprintf("%s-%d", name, id), path),
		ID:         id, Path: path,
		Admin: path != ReadOnly, Archived: archived, Private: !archived,
	}
}

// ManyRepositories is the switch that gives each user 3,000 more repositories.
const ManyRepositories = "many-repositories"

// ManySwitch returns the switch [ManyRepositories].
func ManySwitch() Switch {
	return Switch{Name: ManyRepositories, Text: Text("每个用户多出 3000 个代码仓库",
		"every user has 3,000 more repositories")}
}

// Paths returns the paths of the repositories in a namespace, and of [ReadOnly]: a few of each kind
// and, if many, 3,000 more.
func Paths(namespace string, many bool) []string {
	var paths []string
	for _, name := range []string{"archive", "branches", "empty", "hello", "twins"} {
		paths = append(paths, namespace+"/"+name)
	}
	for i := 1; many && i <= 3000; i++ {
		paths = append(paths, fmt.Sprintf("%s/service-%04d", namespace, i))
	}
	return append(paths, ReadOnly)
}

// FindRepository returns the one that is meant, and whether there is one.
func FindRepository(all []Repository, is func(Repository) bool) (Repository, bool) {
	i := slices.IndexFunc(all, is)
	if i < 0 {
		return Repository{}, false
	}
	return all[i], true
}

// PageLinks returns the value of a Link header (RFC 8288) for the page of a list.
func PageLinks(base string, query url.Values, p Page, length int) string {
	last := max(1, (length+p.Size-1)/p.Size)
	var links []string
	add := func(rel string, number int) {
		values := maps.Clone(query)
		values.Set("page", fmt.Sprint(number))
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", base, values.Encode(), rel))
	}
	if p.Number > 1 {
		add("prev", p.Number-1)
		add("first", 1)
	}
	if p.Number < last {
		add("next", p.Number+1)
		add("last", last)
	}
	return strings.Join(links, ", ")
}
