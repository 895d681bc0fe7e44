package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"bindery/shared/problem"
)

// A repository's id is the uuids of its workspace and of itself, "{…}/{…}", which Bitbucket accepts
// in the place of the names.
//
// Source: developer.atlassian.com/cloud/bitbucket/rest, and its changelog, CHANGE-2770 and
// CHANGE-3022, on the lists of all workspaces that were removed.

// bitbucketRepository is Bitbucket's description of a repository. Its clone address may have a user
// name. Before 2020 there was only the owner, who has the workspace's uuid.
type bitbucketRepository struct {
	UUID       loose `json:"uuid"`
	FullName   loose `json:"full_name"`
	Private    bool  `json:"is_private"`
	Mainbranch struct {
		Name loose `json:"name"`
	} `json:"mainbranch"` // null if the repository is empty
	Workspace bitbucketWorkspace `json:"workspace"`
	Owner     bitbucketWorkspace `json:"owner"`
	Links     struct {
		HTML  bitbucketLink   `json:"html"`
		Clone []bitbucketLink `json:"clone"`
	} `json:"links"`
}

type bitbucketWorkspace struct {
	UUID loose `json:"uuid"`
	Slug loose `json:"slug"`
}

type bitbucketLink struct {
	Name loose `json:"name"`
	Href loose `json:"href"`
}

// repository returns the repository. Whether it is archived can't be told.
func (r bitbucketRepository) repository(site string) Repository {
	workspace := r.Workspace.UUID
	if workspace == "" {
		workspace = r.Owner.UUID
	}
	clone := ""
	for _, l := range r.Links.Clone {
		if l.Name == "https" {
			clone = string(l.Href)
		}
	}
	return Repository{
		ID:            string(workspace) + "/" + string(r.UUID),
		Name:          label(string(r.FullName)),
		URL:           onSite(site, clone),
		WebURL:        onSite(site, string(r.Links.HTML.Href)),
		DefaultBranch: label(string(r.Mainbranch.Name)),
		Visibility:    visibility("", r.Private),
		Empty:         r.Mainbranch.Name == "",
	}
}

// bitbucketPath returns the path of a repository's id, and whether it is one.
func bitbucketPath(id string) (string, bool) {
	workspace, repository, _ := strings.Cut(id, "/")
	if !isUUID(workspace) || !isUUID(repository) {
		return "", false
	}
	return "/2.0/repositories/" + url.PathEscape(workspace) + "/" + url.PathEscape(repository), true
}

// isUUID reports whether s is a uuid in braces.
func isUUID(s string) bool {
	return len(s) == 38 && s[0] == '{' && s[37] == '}' &&
		strings.Trim(s[1:37], "0123456789abcdefABCDEF-") == ""
}

// bitbucketCursor is a place in the list of all workspaces' repositories, which is in the order of
// their slugs. Its text is "workspace/page/following".
type bitbucketCursor struct {
	workspace string
	page      string // "" if the workspace hasn't begun
	following string // the workspace after it, "" if there is none; not known before it has begun
}

func (c bitbucketCursor) String() string {
	return c.workspace + "/" + c.page + "/" + c.following
}

func parseBitbucketCursor(text string) (bitbucketCursor, error) {
	if text == "" {
		return bitbucketCursor{}, nil
	}
	parts := strings.Split(text, "/")
	if len(parts) != 3 || !pathSafe(parts[0]) || parts[1] != "" && !isPageToken(parts[1]) ||
		parts[2] != "" && !pathSafe(parts[2]) || len(text) > maxLinkLength {
		return bitbucketCursor{}, malformed("cursor", "cursor")
	}
	return bitbucketCursor{parts[0], parts[1], parts[2]}, nil
}

// isPageToken reports whether s can be Bitbucket's name of a page, which needn't be a number.
func isPageToken(s string) bool { return len(s) <= maxLabelLength && pathSafe(s) }

// bitbucketRepositories implements [RepositoryPlatform].
type bitbucketRepositories bitbucket

func (b *bitbucket) repositories() RepositoryPlatform { return (*bitbucketRepositories)(b) }

// Repositories implements [RepositoryPlatform]. There is no list of all workspaces' repositories,
// so each workspace is listed in turn; where one begins, the workspaces are listed too. A workspace
// that refuses the user, such as one with an allow-list, is left out with a notice.
func (b *bitbucketRepositories) Repositories(
	ctx context.Context, cred Credential, search, cursor string,
) (RepositoryPage, error) {
	at, err := parseBitbucketCursor(cursor)
	if err != nil {
		return RepositoryPage{}, err
	}
	var page RepositoryPage
	var workspaces []string
	for range maxScannedPages {
		if at.page == "" {
			if workspaces == nil {
				if workspaces, err = b.workspaces(ctx, cred); err != nil {
					return RepositoryPage{}, err
				}
			}
			i, _ := slices.BinarySearch(workspaces, at.workspace)
			if i == len(workspaces) {
				return page, nil
			}
			at = bitbucketCursor{workspace: workspaces[i]}
			if i+1 < len(workspaces) {
				at.following = workspaces[i+1]
			}
		}
		found, next, err := b.repositoryPage(ctx, cred, at, search)
		if p := problem.Of(err); err != nil && !ofOneWorkspace(p) {
			return RepositoryPage{}, err
		} else if err != nil && p.Code != problem.RepositoryUnknown {
			page.Notices = append(page.Notices, p)
		}
		page.Repositories = found
		switch {
		case next != "":
			at.page = next
		case at.following == "":
			page.Cursor = ""
			return page, nil
		default:
			at = bitbucketCursor{workspace: at.following}
		}
		if page.Cursor = at.String(); len(found) > 0 {
			break
		}
	}
	return page, nil
}

// ofOneWorkspace reports whether a failure says nothing about the user's other workspaces.
func ofOneWorkspace(p *problem.Problem) bool {
	switch p.Code {
	case problem.RepositoryUnknown, problem.AddressNotListed, problem.UserBlocked:
		return true
	}
	return false
}

// maxWorkspacePages is how many pages of workspaces are read: 2,000 of them.
const maxWorkspacePages = 20

// workspaces returns the slugs of the user's workspaces, in order.
func (b *bitbucketRepositories) workspaces(ctx context.Context, cred Credential) ([]string, error) {
	var slugs []string
	page := ""
	for range maxWorkspacePages {
		var list struct {
			Values []struct {
				Workspace bitbucketWorkspace `json:"workspace"`
			} `json:"values"`
			Next loose `json:"next"`
		}
		var err error
		page, err = b.list(ctx, cred, "/2.0/user/workspaces", url.Values{}, page, &list, &list.Next)
		if err != nil {
			return nil, err
		}
		for _, row := range list.Values {
			if slug := string(row.Workspace.Slug); pathSafe(slug) {
				slugs = append(slugs, slug)
			}
		}
		if page == "" {
			break
		}
	}
	slices.Sort(slugs)
	return slices.Compact(slugs), nil
}

// repositoryPage returns a page of a workspace's repositories, and the name of the next one.
func (b *bitbucketRepositories) repositoryPage(
	ctx context.Context, cred Credential, at bitbucketCursor, search string,
) ([]Repository, string, error) {
	query := url.Values{"role": {"member"}, "sort": {"full_name"}}
	if search != "" {
		query.Set("q", `full_name ~ `+quoted(search))
	}
	var list struct {
		Values []bitbucketRepository `json:"values"`
		Next   loose                 `json:"next"`
	}
	next, err := b.list(
		ctx, cred, "/2.0/repositories/"+at.workspace, query, at.page, &list, &list.Next)
	var found []Repository
	for _, item := range list.Values {
		r := item.repository(b.site)
		if _, ok := bitbucketPath(r.ID); ok {
			found = append(found, r)
		}
	}
	return found, next, err
}

// quoted returns a text as a string of Bitbucket's queries.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// list asks for a page of a list into into, and returns the name of the next page, "" if there is
// none. next is where the reply's link to it is decoded.
func (b *bitbucketRepositories) list(
	ctx context.Context, cred Credential, path string, query url.Values, page string,
	into any, next *loose,
) (string, error) {
	query.Set("pagelen", fmt.Sprint(listSize))
	if page != "" {
		query.Set("page", page)
	}
	r, err := b.look(ctx, cred, path+"?"+query.Encode(), into)
	if err != nil {
		return "", unknown(r, err, b.repositoryUnknown())
	}
	return b.nextPage(r, *next)
}

// nextPage returns the name of the page to which a reply's link leads, "" without a link. Only the
// name is used, so that no link leads to another host or path.
func (b *bitbucketRepositories) nextPage(r reply, next loose) (string, error) {
	if next == "" {
		return "", nil
	}
	link, err := url.Parse(string(next))
	if err != nil {
		return "", b.unexpected(r)
	}
	name := link.Query().Get("page")
	if !isPageToken(name) {
		return "", b.unexpected(r)
	}
	return name, nil
}

// Repository implements [RepositoryPlatform]. The user's permission is asked for separately; if it
// isn't told, the user counts as one who may not install webhooks.
func (b *bitbucketRepositories) Repository(
	ctx context.Context, cred Credential, id string,
) (Repository, error) {
	found, err := b.one(ctx, cred, id)
	if err != nil {
		return Repository{}, err
	}
	repository := found.repository(b.site)
	if slug := string(found.Workspace.Slug); pathSafe(slug) {
		var list struct {
			Values []struct {
				Permission loose `json:"permission"`
			} `json:"values"`
		}
		query := url.Values{"q": {`repository.uuid = ` + quoted(string(found.UUID))}}
		_, err := b.look(ctx, cred, "/2.0/user/workspaces/"+slug+"/permissions/repositories?"+
			query.Encode(), &list)
		repository.CanSubscribe = err == nil && len(list.Values) == 1 &&
			list.Values[0].Permission == "admin"
	}
	return repository, nil
}

func (b *bitbucketRepositories) one(
	ctx context.Context, cred Credential, id string,
) (bitbucketRepository, error) {
	var found bitbucketRepository
	path, ok := bitbucketPath(id)
	if !ok {
		return found, b.repositoryUnknown()
	}
	r, err := b.look(ctx, cred, path, &found)
	if err != nil {
		return found, unknown(r, err, b.repositoryUnknown())
	}
	if !strings.HasSuffix(id, "/"+string(found.UUID)) {
		return found, b.unexpected(r)
	}
	return found, nil
}

// bitbucketRef is a branch or a tag. The target is the commit also for an annotated tag.
type bitbucketRef struct {
	Name   loose           `json:"name"`
	Target bitbucketCommit `json:"target"`
}

type bitbucketCommit struct {
	Hash    loose `json:"hash"`
	Date    loose `json:"date"`
	Message loose `json:"message"`
	Links   struct {
		HTML bitbucketLink `json:"html"`
	} `json:"links"`
}

// bitbucketRefs are the paths of the kinds of refs.
var bitbucketRefs = map[RefKind]string{Branches: "/refs/branches", Tags: "/refs/tags"}

// Refs implements [RepositoryPlatform]. Whether a branch is protected isn't told.
func (b *bitbucketRepositories) Refs(
	ctx context.Context, cred Credential, id string, kind RefKind, search, cursor string,
) (RefPage, error) {
	path, ok := bitbucketPath(id)
	if !ok {
		return RefPage{}, b.repositoryUnknown()
	}
	if cursor != "" && !isPageToken(cursor) {
		return RefPage{}, malformed("cursor", "cursor")
	}
	var repository bitbucketRepository
	if kind == Branches {
		var err error
		if repository, err = b.one(ctx, cred, id); err != nil {
			return RefPage{}, err
		}
	}
	query := url.Values{"sort": {"name"}}
	if search != "" {
		query.Set("q", "name ~ "+quoted(search))
	}
	var list struct {
		Values []bitbucketRef `json:"values"`
		Next   loose          `json:"next"`
	}
	next, err := b.list(ctx, cred, path+bitbucketRefs[kind], query, cursor, &list, &list.Next)
	var refs []Ref
	for _, t := range list.Values {
		isDefault := kind == Branches && t.Name == repository.Mainbranch.Name
		refs = keepRef(refs, t.Name, t.Target.Hash, false, isDefault)
	}
	return RefPage{refs, next}, err
}

// Commit implements [RepositoryPlatform]. Bitbucket's own links to refs have literal slashes.
func (b *bitbucketRepositories) Commit(
	ctx context.Context, cred Credential, id, ref string,
) (Commit, error) {
	rev, err := b.parseRef(ref)
	if err != nil {
		return Commit{}, err
	}
	path, ok := bitbucketPath(id)
	if !ok {
		return Commit{}, b.repositoryUnknown()
	}
	var found bitbucketRef
	var r reply
	if rev.kind == "" {
		r, err = b.look(ctx, cred, path+"/commit/"+rev.name, &found.Target)
	} else {
		r, err = b.look(ctx, cred,
			path+bitbucketRefs[rev.kind]+"/"+escapeParts(rev.name), &found)
	}
	if err != nil {
		return Commit{}, unknown(r, err, b.refUnknown(ref))
	}
	told := found.Target
	commit, ok := newCommit(b.site, told.Hash, told.Date, told.Message, told.Links.HTML.Href)
	if !ok {
		return Commit{}, b.refUnknown(ref)
	}
	return commit, nil
}

// File implements [RepositoryPlatform].
func (b *bitbucketRepositories) File(
	ctx context.Context, cred Credential, id, path, ref string,
) ([]byte, error) {
	at, ok := bitbucketPath(id)
	if !ok {
		return nil, b.repositoryUnknown()
	}
	return b.file(ctx, b, cred, id, path, ref, func(path, commit string) (reply, error) {
		r, err := b.askAs(ctx, call{
			address: b.api + at + "/src/" + commit + "/" + escapeParts(path),
			header:  map[string]string{"Accept": "*/*"}, limit: FileLimit,
		}, cred, nil)
		if err == nil && isFolder(r) {
			return r, b.fileUnknown(path, ref)
		}
		return r, err
	})
}

// isFolder reports whether a reply is Bitbucket's list of a folder, and not a file of JSON.
func isFolder(r reply) bool {
	var list struct {
		Pagelen *int `json:"pagelen"`
		Values  []struct {
			Type string `json:"type"`
		} `json:"values"`
	}
	return bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("{")) &&
		json.Unmarshal(r.body, &list) == nil && list.Pagelen != nil && len(list.Values) > 0 &&
		strings.HasPrefix(list.Values[0].Type, "commit_")
}

func (b *bitbucketRepositories) look(
	ctx context.Context, cred Credential, path string, into any,
) (reply, error) {
	return b.askAs(ctx, call{address: b.api + path, limit: maxListLength}, cred, into)
}
