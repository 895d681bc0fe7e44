package provider

import (
	"slices"
	"strconv"
	"strings"

	"bindery/shared/problem"
)

// listSize is the number of items of a page, the most that every platform gives.
const listSize = 100

// maxListLength limits a page in bytes: 100 repositories of a platform that describes each at
// length.
const maxListLength = 4 << 20

// maxScannedPages is how many pages one call reads to find a match, where the platform has no
// search of its own.
const maxScannedPages = 10

// maxPage is larger than the number of any list's last page.
const maxPage = 1_000_000

// pageOf returns the number of the page that a cursor names, 1 for "".
func pageOf(cursor string) (int, error) {
	if cursor == "" {
		return 1, nil
	}
	if !numeric(cursor) || len(cursor) > len(strconv.Itoa(maxPage)) {
		return 0, malformed("cursor", "cursor")
	}
	return strconv.Atoi(cursor)
}

// nextPage returns the cursor of the page after page n, "" if there is none.
func nextPage(n int, more bool) string {
	if !more {
		return ""
	}
	return strconv.Itoa(n + 1)
}

// hasNext reports whether the reply's Link header (RFC 8288) has a next page. The link itself is
// not used: an address of a reply could lead elsewhere.
func hasNext(r reply) bool { return strings.Contains(r.header.Get("Link"), `rel="next"`) }

// toldNext reports whether there is a page after one of n items, by the header X-Next-Page or Link.
// A proxy may have dropped both; a page that isn't full is then the last.
func toldNext(r reply, n int) bool {
	if next, told := r.header["X-Next-Page"]; told {
		return next[0] != "" && next[0] != "0"
	}
	return hasNext(r) || r.header.Get("Link") == "" && n == listSize
}

// scan returns the items of the cursor's page that have search in their names, and the next cursor.
// It skips pages without a match, and stops after [maxScannedPages]. The result may then be empty
// and have a cursor nevertheless. Pages are read in sequence, as GitHub asks its callers to do.
func scan[T any](
	search, cursor string, name func(T) string, fetch func(page int) ([]T, bool, error),
) ([]T, string, error) {
	first, err := pageOf(cursor)
	if err != nil {
		return nil, "", err
	}
	search = strings.ToLower(search)
	for n := first; ; n++ {
		items, more, err := fetch(n)
		if err != nil {
			return nil, "", err
		}
		items = slices.DeleteFunc(items, func(item T) bool {
			return !strings.Contains(strings.ToLower(name(item)), search)
		})
		if !more || search == "" || len(items) > 0 || n-first == maxScannedPages-1 {
			return items, nextPage(n, more), nil
		}
	}
}

// withBound adds a notice to a page of a search by [scan] that ended before it found anything.
func (c *client) withBound(page RepositoryPage, search string) RepositoryPage {
	if search != "" && len(page.Repositories) == 0 && page.Cursor != "" {
		page.Notices = append(page.Notices, c.problem(problem.ListCut).Because("search").
			With("limit", strconv.Itoa(maxScannedPages*listSize)))
	}
	return page
}

// repositoryName and refName return the name that a search compares.
func repositoryName(r Repository) string { return r.Name }

func refName(r Ref) string { return r.Name }
