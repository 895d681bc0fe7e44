package platform

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
)

// Merges are the merge requests of a platform's repositories, by the path of the repository. They
// may be used by several goroutines at once, and the zero value has none.
type Merges struct {
	mu  sync.Mutex
	all map[string][]Merge
}

// Merge is a merge request as its last change left it.
type Merge struct {
	MergeChange
	// Before is the head before the last update.
	Before string
}

// Open reports whether the merge request is neither closed nor merged.
func (m Merge) Open() bool { return m.Action == "open" || m.Action == "update" }

// ChangeMerge opens a merge request, or changes the open one with the change's number, and returns
// the change with everything that the merge request had before. A merge without a merge commit is a
// fast-forward to the head. It returns false if there is no such open merge request.
func (s *Merges) ChangeMerge(repository string, c MergeChange) (MergeChange, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string][]Merge{}
	}
	list := s.all[repository]
	if c.Action == "open" {
		c.Number = len(list) + 1
		s.all[repository] = append(list, Merge{MergeChange: c})
		return c, true
	}
	i := c.Number - 1
	if i < 0 || i >= len(list) || !list[i].Open() {
		return MergeChange{}, false
	}
	old := list[i]
	c.Title, c.Head = cmp.Or(c.Title, old.Title), cmp.Or(c.Head, old.Head)
	c.Source, c.Target = old.Source, old.Target
	if c.Action == "merge" {
		c.MergeCommit = cmp.Or(c.MergeCommit, c.Head)
	}
	list[i] = Merge{MergeChange: c, Before: old.Head}
	return c, true
}

// ListMerges returns a repository's merge requests by number.
func (s *Merges) ListMerges(repository string) []Merge {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all[repository])
}

// FindMerge returns the merge request with a number, and reports whether there is one.
func (s *Merges) FindMerge(repository, number string) (Merge, bool) {
	n, _ := strconv.Atoi(number)
	list := s.ListMerges(repository)
	if n < 1 || n > len(list) {
		return Merge{}, false
	}
	return list[n-1], true
}
