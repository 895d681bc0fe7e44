package sandbox

import (
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// codeupHook is a webhook of a repository.
type codeupHook struct {
	ID                    int64  `json:"id"`
	URL                   string `json:"url"`
	Description           string `json:"description"`
	Token                 string `json:"token"`
	PushEvents            bool   `json:"pushEvents"`
	TagPushEvents         bool   `json:"tagPushEvents"`
	MergeRequestsEvents   bool   `json:"mergeRequestsEvents"`
	NoteEvents            bool   `json:"noteEvents"`
	EnableSSLVerification bool   `json:"enableSslVerification"`
}

// object is the hook as Codeup tells it: with its token in clear, and with another spelling of
// SSL than in the request.
func (h codeupHook) object() object {
	return object{
		"id": h.ID, "url": h.URL, "description": h.Description, "token": h.Token,
		"pushEvents": h.PushEvents, "tagPushEvents": h.TagPushEvents,
		"mergeRequestsEvents": h.MergeRequestsEvents, "noteEvents": h.NoteEvents,
		"enableSSLVerification": h.EnableSSLVerification, "createdAt": epoch,
	}
}

// repositoryObject is what list and detail have in common.
func (c *codeup) repositoryObject(call codeupCall, r CodeupRepository) object {
	full := call.organization + "/" + r.Path
	return object{
		"id": r.ID, "name": r.Path, "path": r.Path, "pathWithNamespace": full,
		"nameWithNamespace": strings.ReplaceAll(full, "/", " / "), "description": "",
		"visibility": "private", "webUrl": c.sandbox.origin(call.Request) + "/" + full,
		"avatarUrl": "", "archived": false, "demoProject": false, "starCount": 0,
		"createdAt": epoch, "updatedAt": epoch, "lastActivityAt": epoch,
		"accessLevel": c.accessLevel(call),
	}
}

// accessLevel is 40 for an administrator, 30 for anybody else.
func (c *codeup) accessLevel(call codeupCall) int {
	if c.members[call.organization][call.token.CloneAccount] {
		return 40
	}
	return 30
}

// listRepositories lists without clone addresses: those are in the detail only.
func (c *codeup) listRepositories(call codeupCall) (codeupReply, *codeupError) {
	var list []object
	search := call.URL.Query().Get("search")
	for _, r := range c.organizations[call.organization].Repositories {
		if strings.Contains(r.Path, search) {
			list = append(list, c.repositoryObject(call, r))
		}
	}
	return many(list)
}

// getRepository tells the access level as a string, which is a number in the list.
func (c *codeup) getRepository(call codeupCall) (codeupReply, *codeupError) {
	r, ok := c.repository(call.organization, call.PathValue("repository"))
	if !ok {
		return missing("Repository")
	}
	o := c.repositoryObject(call, r)
	o["httpUrlToRepo"] = fmt.Sprintf("%v.git", o["webUrl"])
	o["sshUrlToRepo"] = fmt.Sprintf("git@sandbox.invalid:%v.git", o["pathWithNamespace"])
	o["accessLevel"] = strconv.Itoa(c.accessLevel(call))
	o["defaultBranch"] = nil
	if len(r.Branches) > 0 {
		o["defaultBranch"] = r.Branches[0]
	}
	return one(o)
}

// commitID is what a branch or tag points at.
func commitID(repository int64, ref string) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "%d %s", repository, ref)))
}

// commitObject is a commit, as far as a list of refs shows it.
func commitObject(id string) object {
	return object{
		"id": id, "shortId": id[:8], "title": "Sandbox", "message": "Sandbox",
		"authorName": "alice", "authorEmail": "alice@sandbox.invalid", "committedDate": epoch,
		"parentIds": []string{},
	}
}

func (c *codeup) listBranches(call codeupCall) (codeupReply, *codeupError) {
	r, ok := c.repository(call.organization, call.PathValue("repository"))
	if !ok {
		return missing("Repository")
	}
	var list []object
	for i, name := range r.Branches {
		list = append(list, object{
			"name": name, "defaultBranch": i == 0, "protected": i == 0,
			"commit": commitObject(commitID(r.ID, name)),
		})
	}
	return many(list)
}

func (c *codeup) listTags(call codeupCall) (codeupReply, *codeupError) {
	r, ok := c.repository(call.organization, call.PathValue("repository"))
	if !ok {
		return missing("Repository")
	}
	var list []object
	for _, name := range r.Tags {
		list = append(list, object{
			"name": name, "message": "", "commit": commitObject(commitID(r.ID, name)),
		})
	}
	return many(list)
}

func (c *codeup) listHooks(call codeupCall) (codeupReply, *codeupError) {
	r, ok := c.repository(call.organization, call.PathValue("repository"))
	if !ok {
		return missing("Repository")
	}
	var list []object
	for _, h := range c.hooks[r.ID] {
		list = append(list, h.object())
	}
	return many(list)
}

// createHook takes addresses of up to 1,024 bytes.
func (c *codeup) createHook(call codeupCall) (codeupReply, *codeupError) {
	r, ok := c.repository(call.organization, call.PathValue("repository"))
	if !ok {
		return missing("Repository")
	}
	h, refused := readHook(call.Request)
	if refused != nil {
		return codeupReply{}, refused
	}
	c.lastHook++
	h.ID = c.lastHook
	c.hooks[r.ID] = append(c.hooks[r.ID], h)
	return one(h.object())
}

// readHook reads a hook from a request's body.
func readHook(r *http.Request) (codeupHook, *codeupError) {
	var h codeupHook
	err := json.NewDecoder(r.Body).Decode(&h)
	if err != nil || h.URL == "" || len(h.URL) > 1024 {
		return h, &codeupError{http.StatusBadRequest, "BadRequest", "url is missing or too long"}
	}
	return h, nil
}

// findHook returns the repository and the hook's place in its list, -1 if there is none.
func (c *codeup) findHook(call codeupCall) (int64, int) {
	r, _ := c.repository(call.organization, call.PathValue("repository"))
	return r.ID, slices.IndexFunc(c.hooks[r.ID], func(h codeupHook) bool {
		return strconv.FormatInt(h.ID, 10) == call.PathValue("hook")
	})
}

func (c *codeup) getHook(call codeupCall) (codeupReply, *codeupError) {
	repository, i := c.findHook(call)
	if i < 0 {
		return missing("Webhook")
	}
	return one(c.hooks[repository][i].object())
}

func (c *codeup) updateHook(call codeupCall) (codeupReply, *codeupError) {
	repository, i := c.findHook(call)
	if i < 0 {
		return missing("Webhook")
	}
	h, refused := readHook(call.Request)
	if refused != nil {
		return codeupReply{}, refused
	}
	h.ID = c.hooks[repository][i].ID
	c.hooks[repository][i] = h
	return one(h.object())
}

func (c *codeup) deleteHook(call codeupCall) (codeupReply, *codeupError) {
	repository, i := c.findHook(call)
	if i < 0 {
		return missing("Webhook")
	}
	c.hooks[repository] = slices.Delete(c.hooks[repository], i, i+1)
	return codeupReply{status: http.StatusNoContent}, nil
}
