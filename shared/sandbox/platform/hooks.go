package platform

import (
	"maps"
	"slices"
	"strconv"
	"sync"
)

// Hooks are the webhooks of a platform's repositories, by the path of the repository. The type of
// a webhook is the platform's own. They may be used by several goroutines at once, and the zero
// value has none.
type Hooks[H any] struct {
	mu   sync.Mutex
	last int64
	all  map[string][]Hook[H]
}

// Hook is a webhook with its id, which no other webhook of the platform has.
type Hook[H any] struct {
	ID   int64
	Hook H
}

// List returns the webhooks of a repository in the order of their creation.
func (s *Hooks[H]) List(repository string) []Hook[H] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all[repository])
}

// Add adds a webhook unless refuse, which gets the repository's webhooks, returns a reason.
func (s *Hooks[H]) Add(
	repository string, h H, refuse func([]Hook[H]) string,
) (added Hook[H], reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reason := refuse(s.all[repository]); reason != "" {
		return added, reason
	}
	if s.all == nil {
		s.all = map[string][]Hook[H]{}
	}
	s.last++
	added = Hook[H]{s.last, h}
	s.all[repository] = append(s.all[repository], added)
	return added, ""
}

// Find returns a repository's webhook, and reports whether there is one with this id.
func (s *Hooks[H]) Find(repository string, id int64) (Hook[H], bool) {
	return s.Edit(repository, id, func(*H) {})
}

// Edit changes a repository's webhook, and reports whether there is one with this id.
func (s *Hooks[H]) Edit(repository string, id int64, change func(*H)) (Hook[H], bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(repository, id)
	if i < 0 {
		return Hook[H]{}, false
	}
	found := &s.all[repository][i]
	change(&found.Hook)
	return *found, true
}

// Delete deletes a repository's webhook, and reports whether there was one with this id.
func (s *Hooks[H]) Delete(repository string, id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(repository, id)
	if i >= 0 {
		s.all[repository] = slices.Delete(s.all[repository], i, i+1)
	}
	return i >= 0
}

// index returns the place of a webhook in its list, -1 if there is none. Hold mu.
func (s *Hooks[H]) index(repository string, id int64) int {
	return slices.IndexFunc(s.all[repository], func(h Hook[H]) bool { return h.ID == id })
}

// Webhook is a webhook as the sandbox's page shows it.
type Webhook struct {
	Repository, ID, URL string
	Active              bool
}

// Describe lists the webhooks of all repositories by their paths.
func (s *Hooks[H]) Describe(describe func(h H) (url string, active bool)) []Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Webhook
	for _, repository := range slices.Sorted(maps.Keys(s.all)) {
		for _, h := range s.all[repository] {
			url, active := describe(h.Hook)
			all = append(all, Webhook{repository, strconv.FormatInt(h.ID, 10), url, active})
		}
	}
	return all
}
