package git

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Repository is a small repository. Until something is pushed to it, what is in it follows from
// its fields, so that a platform's API can describe it, with the hashes that git has too, before
// git has made it: each branch and each tag has a commit of its own, whose Dockerfile names it, and
// all have the same parent. After a push [Server.Current] returns what git has.
type Repository struct {
	Name      string   // of the folder on disk: letters, digits and dashes
	Branches  []string // the first is the default one; without any the repository is empty
	Tags      []string // that point at a commit
	Annotated []string // tags that are objects of their own
	pushed    *pushed  // nil before the first push
}

// Named returns a repository by the last part of its path, which decides what is in it: hello has
// odd names, empty has nothing, branches has 2,000 of them, twins has a branch and a tag of one
// name. Any other has one branch.
func Named(name, path string) Repository {
	r := Repository{Name: name, Branches: []string{"main"}}
	switch path[strings.LastIndex(path, "/")+1:] {
	case "hello":
		r.Branches = append(r.Branches, "feature/a", "fix/#1-100%", "功能/登录", "release/1.0")
		r.Tags = []string{"v1.0.0", "发布/2026#1"}
		r.Annotated = []string{"release/2.0", "v2.0.0"}
	case "empty":
		r.Branches = nil
	case "branches":
		for i := 1; i < 2000; i++ {
			r.Branches = append(r.Branches, fmt.Sprintf("topic/%04d", i))
		}
	case "twins":
		r.Branches, r.Annotated = append(r.Branches, "v1"), []string{"v1"}
	}
	return r
}

// Demo returns the one repository of a platform whose API lists none.
func Demo(platform string) Repository { return Named(platform, "demo") }

// Commit is a commit of a repository.
type Commit struct {
	Hash, Parent, Tree  string // the parent is the first one, "" if there is none
	Message             string
	Author, Email, Time string // the time is the committer's, in RFC 3339 and UTC
	// Files are empty for a commit that is read from git. [Commit.File] finds them in any.
	Files []File
	disk  *disk // nil if Files are all there are
}

// File is a file of a commit, with the hash of its content.
type File struct{ Path, Content, Hash string }

// When is the time of every commit before the first push.
const When = "2025-01-02T03:04:05Z"

// Person is the author of every commit before the first push.
const (
	Person = "Sandbox"
	Email  = "sandbox@sandbox.invalid"
)

// signature is an author, committer or tagger with the time.
func signature() string {
	at, _ := time.Parse(time.RFC3339, When)
	return fmt.Sprintf("%s <%s> %d +0000", Person, Email, at.Unix())
}

// hash returns the hash of a git object (git-hash-object).
func hash(kind, content string) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content)))
}

func newFile(path, content string) File { return File{path, content, hash("blob", content)} }

// LargeFile is the path of a file of 300 KB.
const LargeFile = "large.txt"

// sameFiles are the files that are the same in every repository. Their hashes are computed once.
var sameFiles = sync.OnceValue(func() []File {
	return []File{
		newFile("docs/read me #1?.md", "A name that needs escaping: 100%.\n"),
		newFile(LargeFile, strings.Repeat("0123456789abcde\n", 300<<10/16)),
		newFile("目录/文件.txt", "你好\n"),
	}
})

// shared returns the files that are the same in all commits but the first, which has one of them.
func (r Repository) shared() []File {
	readme := newFile("README.md", "A repository of the sandbox: "+r.Name+".\n")
	return append([]File{readme}, sameFiles()...)
}

// first returns the parent of the other commits.
func (r Repository) first() Commit {
	return newCommit("First\n", "", r.shared()[:1])
}

// Commit returns the commit of "heads/NAME" or "tags/NAME", and whether there is one.
func (r Repository) Commit(ref string) (Commit, bool) {
	if r.pushed != nil {
		return r.pushed.commit(ref)
	}
	kind, name, _ := strings.Cut(ref, "/")
	names := r.Branches
	if kind == "tags" {
		names = slices.Concat(r.Tags, r.Annotated)
	}
	if !slices.Contains(names, name) {
		return Commit{}, false
	}
	return r.commit(ref, r.shared(), r.first().Hash), true
}

func (r Repository) commit(ref string, shared []File, parent string) Commit {
	dockerfile := newFile("Dockerfile", "FROM scratch\nLABEL ref=\""+ref+"\"\n")
	return newCommit("Change "+ref+"\n", parent, append([]File{dockerfile}, shared...))
}

// Refs returns all refs: "heads/NAME" and "tags/NAME".
func (r Repository) Refs() []string {
	var all []string
	for _, name := range r.Branches {
		all = append(all, "heads/"+name)
	}
	for _, name := range slices.Concat(r.Tags, r.Annotated) {
		all = append(all, "tags/"+name)
	}
	return all
}

// Find returns the commit whose hash begins like this, and whether there is one.
func (r Repository) Find(short string) (Commit, bool) {
	if r.pushed != nil {
		return r.pushed.disk.find(short)
	}
	shared, first := r.shared(), r.first()
	if len(short) < 4 || len(r.Branches) == 0 {
		return Commit{}, false
	}
	if strings.HasPrefix(first.Hash, short) {
		return first, true
	}
	for _, ref := range r.Refs() {
		if c := r.commit(ref, shared, first.Hash); strings.HasPrefix(c.Hash, short) {
			return c, true
		}
	}
	return Commit{}, false
}

// File returns a file of the commit, and whether there is one.
func (c Commit) File(path string) (File, bool) {
	if c.disk != nil {
		return c.disk.file(c.Hash, path)
	}
	i := slices.IndexFunc(c.Files, func(f File) bool { return f.Path == path })
	if i < 0 {
		return File{}, false
	}
	return c.Files[i], true
}

// TagObject returns the hash of the object of an annotated tag, "" if it is none.
func (r Repository) TagObject(name string) string {
	if r.pushed != nil {
		return r.pushed.refs["tags/"+name].tag()
	}
	c, found := r.Commit("tags/" + name)
	if !found || !slices.Contains(r.Annotated, name) {
		return ""
	}
	return hash("tag", fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger %s\n\n%s",
		c.Hash, name, signature(), tagMessage(name)))
}

func tagMessage(name string) string { return "Release " + name + "\n" }

func newCommit(message, parent string, files []File) Commit {
	c := Commit{
		Parent: parent, Tree: tree(files), Message: message, Files: files,
		Author: Person, Email: Email, Time: When,
	}
	text := "tree " + c.Tree + "\n"
	if parent != "" {
		text += "parent " + parent + "\n"
	}
	c.Hash = hash("commit", fmt.Sprintf("%sauthor %s\ncommitter %s\n\n%s",
		text, signature(), signature(), message))
	return c
}

// tree returns the hash of a folder with these files, whose paths begin there.
func tree(files []File) string {
	folders := map[string][]File{}
	entries := map[string]string{} // what git sorts by -> the entry
	for _, f := range files {
		folder, rest, nested := strings.Cut(f.Path, "/")
		if nested {
			folders[folder] = append(folders[folder], File{rest, f.Content, f.Hash})
			continue
		}
		entries[f.Path] = "100644 " + f.Path + "\x00" + binary(f.Hash)
	}
	for name, inside := range folders {
		entries[name+"/"] = "40000 " + name + "\x00" + binary(tree(inside))
	}
	var content strings.Builder
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		content.WriteString(entries[name])
	}
	return hash("tree", content.String())
}

// binary returns the bytes of a hash.
func binary(hash string) string {
	b, err := hex.DecodeString(hash)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// IsFolder reports whether the commit has files in a folder of this path.
func (c Commit) IsFolder(path string) bool {
	if c.disk != nil {
		return c.disk.isFolder(c.Hash, path)
	}
	return slices.ContainsFunc(c.Files, func(f File) bool {
		return strings.HasPrefix(f.Path, path+"/")
	})
}
