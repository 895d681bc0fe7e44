package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"

	"bindery/shared/problem"
	"bindery/shared/secret"
)

// proveCloneAccount asks Codeup's git server for a repository's refs with the clone account and
// the token, as a build does. It returns true if the account is proved, and false with no error if
// nothing is proved either way.
//
// A server that accepts any account proves nothing, so after a success it is asked once more with
// a wrong name. In both cases a wrong password is sent at most once, and never for an existing
// account, since accounts get locked.
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

// refs returns the address of a repository's refs. Only the path of the clone address is used: the
// token is sent to the configured host, whatever host a reply names.
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

// cloneOutcome is how a git server answered an account.
type cloneOutcome int

const (
	cloneUnclear cloneOutcome = iota
	cloneServed
	cloneRefused
)

func (p *codeup) tryClone(
	ctx context.Context, address, account string, token secret.Text,
) cloneOutcome {
	const advertisement = "application/x-git-upload-pack-advertisement"
	r, err := p.do(ctx, call{
		address: address,
		header:  map[string]string{"Accept": advertisement},
		auth:    basic(account, token),
	})
	switch {
	case err != nil, r.limited(), r.html(), json.Valid(r.body):
		return cloneUnclear // git servers refuse in plain text; a gateway has answered
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return cloneRefused
	case r.status == http.StatusOK && r.header.Get("Content-Type") == advertisement:
		return cloneServed
	}
	return cloneUnclear
}
