package provider

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"bindery/shared/problem"
)

// The permissions that users aren't asked to grant. Without them branches and tags can be listed
// and resolved, and what is missing is named.
//
// Source: help.aliyun.com/zh/yunxiao/developer-reference, GetCommit and GetFileBlobs.
const (
	mayCommits = "提交：只读"
	mayFiles   = "文件：只读"
)

// codeupPages is how many pages Codeup promises of a list of repositories.
const codeupPages = 150

// codeupProject is a repository. The list has neither its clone address nor its default branch.
type codeupProject struct {
	ID            loose `json:"id"`
	Path          loose `json:"pathWithNamespace"`
	WebURL        loose `json:"webUrl"`
	CloneURL      loose `json:"httpUrlToRepo"`
	DefaultBranch loose `json:"defaultBranch"`
	Visibility    loose `json:"visibility"`
	AccessLevel   loose `json:"accessLevel"`
	Archived      bool  `json:"archived"`
}

func (p codeupProject) repository(site string) Repository {
	clone := string(p.CloneURL)
	if clone == "" {
		clone = string(p.WebURL) + ".git" // as in the vendor's examples
	}
	return Repository{
		ID:            string(p.ID),
		Name:          label(string(p.Path)),
		URL:           onSite(site, clone),
		WebURL:        onSite(site, string(p.WebURL)),
		DefaultBranch: label(string(p.DefaultBranch)),
		Visibility:    visibility(p.Visibility, true),
		Archived:      p.Archived,
		CanSubscribe:  p.AccessLevel == highestAccess,
	}
}

// codeupRepositories implements [RepositoryPlatform].
type codeupRepositories codeup

func (p *codeup) repositories() RepositoryPlatform { return (*codeupRepositories)(p) }

// Repositories implements [RepositoryPlatform]. Codeup promises 150 pages. Later ones are read as
// long as it answers them; where it refuses one, the list ends with a notice.
func (p *codeupRepositories) Repositories(
	ctx context.Context, cred Credential, search, cursor string,
) (RepositoryPage, error) {
	n, err := pageOf(cursor)
	if err != nil {
		return RepositoryPage{}, err
	}
	var list []codeupProject
	r, err := p.look(ctx, cred, "?"+codeupQuery(search, n), mayRepositories, &list)
	if err != nil && r.status == http.StatusBadRequest && n > codeupPages {
		return RepositoryPage{Notices: []*problem.Problem{
			p.problem(problem.ListCut).With("limit", strconv.Itoa((n-1)*listSize)).From(err),
		}}, nil
	}
	if err != nil {
		return RepositoryPage{}, err
	}
	page := RepositoryPage{Cursor: nextPage(n, toldNext(r, len(list)))}
	for _, item := range list {
		if numeric(string(item.ID)) {
			page.Repositories = append(page.Repositories, item.repository(p.site))
		}
	}
	return page, nil
}

func codeupQuery(search string, page int) string {
	query := url.Values{"page": {fmt.Sprint(page)}, "perPage": {fmt.Sprint(listSize)}}
	if search != "" {
		query.Set("search", search)
	}
	return query.Encode()
}

// Repository implements [RepositoryPlatform].
func (p *codeupRepositories) Repository(
	ctx context.Context, cred Credential, id string,
) (Repository, error) {
	if !numeric(id) {
		return Repository{}, p.repositoryUnknown()
	}
	var found codeupProject
	r, err := p.look(ctx, cred, "/"+id, mayRepositories, &found)
	if err != nil {
		return Repository{}, unknown(r, err, p.repositoryUnknown())
	}
	if string(found.ID) != id {
		return Repository{}, p.unexpected(r)
	}
	repository := found.repository(p.site)
	repository.Empty = repository.DefaultBranch == ""
	return repository, nil
}

// codeupRef is a branch or a tag. The id of an annotated tag is the tag's object.
type codeupRef struct {
	Name          loose        `json:"name"`
	Commit        codeupCommit `json:"commit"`
	Protected     bool         `json:"protected"`
	DefaultBranch bool         `json:"defaultBranch"`
}

type codeupCommit struct {
	ID            loose `json:"id"`
	CommittedDate loose `json:"committedDate"`
	Message       loose `json:"message"`
	WebURL        loose `json:"webUrl"`
}

// codeupRefs are the paths of the kinds of refs, and the permissions that they need.
var codeupRefs = map[RefKind]struct{ path, permission string }{
	Branches: {"/branches", mayBranches}, Tags: {"/tags", mayTags},
}

// Refs implements [RepositoryPlatform].
func (p *codeupRepositories) Refs(
	ctx context.Context, cred Credential, id string, kind RefKind, search, cursor string,
) (RefPage, error) {
	n, err := pageOf(cursor)
	if err != nil {
		return RefPage{}, err
	}
	list, more, err := p.refPage(ctx, cred, id, kind, search, n)
	if err != nil {
		return RefPage{}, err
	}
	var refs []Ref
	for _, t := range list {
		refs = keepRef(refs, t.Name, t.Commit.ID, t.Protected, t.DefaultBranch)
	}
	return RefPage{refs, nextPage(n, more)}, nil
}

func (p *codeupRepositories) refPage(
	ctx context.Context, cred Credential, id string, kind RefKind, search string, n int,
) (list []codeupRef, more bool, err error) {
	if !numeric(id) {
		return nil, false, p.repositoryUnknown()
	}
	r, err := p.look(ctx, cred, "/"+id+codeupRefs[kind].path+"?"+codeupQuery(search, n),
		codeupRefs[kind].permission, &list)
	return list, toldNext(r, len(list)), unknown(r, err, p.repositoryUnknown())
}

// Commit implements [RepositoryPlatform]. There is no call for one tag, so the list is searched,
// which may cost up to ten calls. A branch is one segment of the path, with its slashes escaped.
func (p *codeupRepositories) Commit(
	ctx context.Context, cred Credential, id, ref string,
) (Commit, error) {
	rev, err := p.parseRef(ref)
	if err != nil {
		return Commit{}, err
	}
	if !numeric(id) {
		return Commit{}, p.repositoryUnknown()
	}
	var told codeupCommit
	var found codeupRef
	var r reply
	switch rev.kind {
	case Tags:
		told, err = p.tagCommit(ctx, cred, id, rev.name)
	case Branches:
		r, err = p.look(ctx, cred, "/"+id+"/branches/"+url.PathEscape(rev.name), mayBranches, &found)
		told = found.Commit
	default:
		r, err = p.look(ctx, cred, "/"+id+"/commits/"+rev.name, mayCommits, &told)
	}
	if err != nil {
		return Commit{}, unknown(r, err, p.refUnknown(ref))
	}
	commit, ok := newCommit(p.site, told.ID, told.CommittedDate, told.Message, told.WebURL)
	if !ok {
		return Commit{}, p.refUnknown(ref)
	}
	return commit, nil
}

// tagCommit returns the commit of a tag, the zero value if there is none.
func (p *codeupRepositories) tagCommit(
	ctx context.Context, cred Credential, id, name string,
) (codeupCommit, error) {
	for n := 1; n <= maxScannedPages; n++ {
		list, more, err := p.refPage(ctx, cred, id, Tags, name, n)
		if err != nil {
			return codeupCommit{}, err
		}
		i := slices.IndexFunc(list, func(t codeupRef) bool { return string(t.Name) == name })
		if i >= 0 {
			return list[i].Commit, nil
		}
		if !more {
			break
		}
	}
	return codeupCommit{}, nil
}

// File implements [RepositoryPlatform].
func (p *codeupRepositories) File(
	ctx context.Context, cred Credential, id, path, ref string,
) ([]byte, error) {
	if !numeric(id) {
		return nil, p.repositoryUnknown()
	}
	return p.file(ctx, p, cred, id, path, ref, func(path, commit string) (reply, error) {
		var told encodedFile
		r, err := p.look(ctx, cred,
			"/"+id+"/files/"+url.PathEscape(path)+"?ref="+commit, mayFiles, &told)
		if err != nil {
			return r, err
		}
		return p.decodeFile(r, told)
	})
}

// encodedFile is a file in a reply of JSON.
type encodedFile struct {
	Content  loose `json:"content"`
	Encoding loose `json:"encoding"`
}

// decodeFile returns the reply with the file's content as its body.
func (c *client) decodeFile(r reply, told encodedFile) (reply, error) {
	switch told.Encoding {
	case "base64":
		content, err := base64.StdEncoding.DecodeString(string(told.Content))
		if err != nil {
			return r, c.unexpected(r)
		}
		r.body = content
	case "text":
		r.body = []byte(told.Content)
	default:
		return r, c.unexpected(r)
	}
	return r, nil
}

// maxEncodedLength limits a reply that has a file in JSON. The longest text is one of control
// characters, which are six bytes each there.
const maxEncodedLength = 6*FileLimit + 4096

// look asks for what is below the organization's repositories. A refusal names the permission.
func (p *codeupRepositories) look(
	ctx context.Context, cred Credential, path, permission string, into any,
) (reply, error) {
	return p.send(ctx, cred, call{limit: maxListLength}, path, permission, into)
}

// send makes a call, whose address and credential it sets, as look does.
func (p *codeupRepositories) send(
	ctx context.Context, cred Credential, k call, path, permission string, into any,
) (reply, error) {
	if !pathSafe(cred.Organization) {
		return reply{}, p.problem(problem.OrganizationUnknown)
	}
	at := (*codeup)(p).get(cred.Access,
		"/oapi/v1/codeup/organizations/"+cred.Organization+"/repositories"+path)
	k.address, k.auth = at.address, at.auth
	if permission == mayFiles {
		k.limit = maxEncodedLength
	}
	r, err := p.ask(ctx, k, into)
	if problem.Is(err, problem.PermissionMissing) {
		return r, problem.Of(err).With("missing", permission)
	}
	return r, err
}
