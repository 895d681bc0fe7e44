package instance

import (
	"cmp"
	"encoding/base64"
	"errors"
	"iter"
	"slices"
	"strings"
)

// pageLength is how many instances a page has at most.
const pageLength = 1000

// Query asks for a page of a list.
type Query struct {
	// Search is a part of the name, the id or the region, in any case; empty matches all.
	Search string
	// Cursor is from the previous page; empty is the beginning.
	Cursor string
}

// Page is a page of a list.
type Page struct {
	Instances []Instance // never nil
	Cursor    string     // of the next page; empty after the last
}

// ErrCursor means that a cursor is not from a page.
var ErrCursor = errors.New("instance: unknown cursor")

// List is the instances of an account, sorted by region, then id. It never changes.
type List struct{ sorted []Instance }

// NewList returns a list of the instances.
func NewList(instances ...Instance) List {
	sorted := slices.Clone(instances)
	slices.SortFunc(sorted, order)
	return List{sorted}
}

// All yields all instances in their order.
func (l List) All() iter.Seq[Instance] { return slices.Values(l.sorted) }

// Find returns the instance, or [ErrUnknown] if it isn't in the list.
func (l List) Find(region, id string) (Instance, error) {
	i, found := slices.BinarySearchFunc(l.sorted, Instance{Region: region, ID: id}, order)
	if !found {
		return Instance{}, ErrUnknown
	}
	return l.sorted[i], nil
}

// Only returns a list of those instances whose names, region/id, are given.
func (l List) Only(names []string) List {
	var some []Instance
	for _, name := range names {
		region, id, _ := strings.Cut(name, "/") // a region has no slash
		if one, err := l.Find(region, id); err == nil {
			some = append(some, one)
		}
	}
	slices.SortFunc(some, order)
	return List{slices.Compact(some)}
}

// Page returns the page that q asks for. A cursor names the last instance of its page, so an
// instance that is in the catalogue during the whole listing is listed exactly once.
func (l List) Page(q Query) (Page, error) {
	rest := l.sorted
	if q.Cursor != "" {
		last, err := parseCursor(q.Cursor)
		if err != nil {
			return Page{}, err
		}
		i, found := slices.BinarySearchFunc(rest, last, order)
		if found {
			i++
		}
		rest = rest[i:]
	}
	page := Page{Instances: []Instance{}}
	search := strings.ToLower(q.Search)
	for _, one := range rest {
		if !one.matches(search) {
			continue
		}
		if len(page.Instances) == pageLength {
			page.Cursor = page.Instances[pageLength-1].cursor()
			break
		}
		page.Instances = append(page.Instances, one)
	}
	return page, nil
}

func order(a, b Instance) int {
	return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
}

func (i Instance) matches(lower string) bool {
	return lower == "" || strings.Contains(strings.ToLower(i.Name), lower) ||
		strings.Contains(strings.ToLower(i.ID), lower) ||
		strings.Contains(strings.ToLower(i.Region), lower)
}

// cursor returns region/id, encoded because both may have characters that an address or a query
// changes.
func (i Instance) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(i.Region + "/" + i.ID))
}

func parseCursor(cursor string) (Instance, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	region, id, ok := strings.Cut(string(text), "/") // a region has no slash
	if err != nil || !ok {
		return Instance{}, ErrCursor
	}
	return Instance{Region: region, ID: id}, nil
}
