package credential

import (
	"cmp"
	"net"
	"net/url"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/problem"
)

// checkRepository refuses a repository that isn't on the binding's platform. What is not an https
// or http address is a key. An address with user info is refused too: git would send that user's
// name, and a token in it would be in the process list.
func (s *Service) checkRepository(rec binding.Record, repository string) error {
	if repository == "" {
		return nil
	}
	if !strings.Contains(repository, ":") { // no key has one
		if _, ok := binding.RepositoryID(rec, repository); !ok {
			return problem.New(problem.RepositoryUnknown).
				With("platform", s.ledger.Title(rec.Platform))
		}
		return nil
	}
	if !onSite(repository, s.ledger.Platforms.Site(rec.Platform, rec.Address)) {
		return problem.New(problem.InputMalformed).Because("host").With("field", "repository").
			With("platform", s.ledger.Title(rec.Platform))
	}
	return nil
}

// onSite reports whether a clone address has the scheme and the host of a platform's site.
func onSite(address, site string) bool {
	u, err := url.Parse(address)
	on, wrong := url.Parse(site)
	return err == nil && wrong == nil && u.User == nil && u.Host != "" && u.Scheme == on.Scheme &&
		strings.EqualFold(withPort(u), withPort(on))
}

// withPort returns the host with its port, also if that is the scheme's own.
func withPort(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return net.JoinHostPort(u.Hostname(), port)
}
