package provider

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// proveCloneAccount asks Codeup's git server for a repository's refs with the clone account and
// the token, which is what a build will do. false is: nothing was proved, either way.
//
// A server that serves any account has proved nothing, so after a success it is asked once more
// with a name that is wrong. Either way a wrong password is sent once, and never for an account
// that exists: accounts get locked.
//
// Source: git's gitprotocol-http, "Smart Clients".
func (p *codeup) proveCloneAccount(
	ctx context.Context, cred Credential, code codeupRepository,
) (bool, error) {
	address, known := p.refs(code.cloneURL)
	if !known {
		return false, nil
	}
	switch p.tryClone(ctx, address, cred.Username, cred.Access) {
	case cloneRefused:
		return false, p.problem(problem.UsernameMismatch).Because("clone_account")
	case cloneUnclear:
		return false, nil
	}
	control := p.tryClone(ctx, address, "not-"+cred.Username, cred.Access)
	return control == cloneRefused, nil
}

// refs is the address of a repository's refs. Of a clone address only the path is taken: the
// token goes to the configured host, whatever a reply names.
func (p *codeup) refs(cloneURL string) (string, bool) {
	u, err := url.Parse(cloneURL)
	if err != nil || cloneURL == "" {
		return "", false
	}
	repository := path.Clean("/" + strings.TrimSuffix(u.Path, ".git"))
	if repository == "/" {
		return "", false
	}
	escaped := (&url.URL{Path: repository + ".git/info/refs"}).EscapedPath()
	return p.site + escaped + "?service=git-upload-pack", true
}

// cloned is how a git server took an account.
type cloned int

const (
	cloneUnclear cloned = iota
	cloneServed
	cloneRefused
)

func (p *codeup) tryClone(
	ctx context.Context, address, account string, token secret.Text,
) cloned {
	const advertisement = "application/x-git-upload-pack-advertisement"
	r, err := p.do(ctx, call{
		address: address,
		header:  map[string]string{"Accept": advertisement},
		auth:    basic(account, token),
	})
	switch {
	case err != nil, r.limited():
		return cloneUnclear
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return cloneRefused
	case r.status == http.StatusOK && r.header.Get("Content-Type") == advertisement:
		return cloneServed
	}
	return cloneUnclear
}
