package platform

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"bindery/shared/sandbox/git"
)

// ReadObject returns the JSON object of a request's body. Of a form, whose texts "true" and "false"
// are booleans, it returns the same.
func ReadObject(r *http.Request) (json.RawMessage, bool) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/x-www-form-urlencoded" {
		body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody))
		return body, err == nil && json.Unmarshal(body, &Object{}) == nil
	}
	o := Object{}
	err := r.ParseForm()
	for name := range r.PostForm {
		switch value := r.PostForm.Get(name); value {
		case "true", "false":
			o[name] = value == "true"
		default:
			o[name] = value
		}
	}
	return Encode(o), err == nil
}

// Signature returns the HMAC with SHA-256 of a text.
func Signature(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}

// UUID returns a new random UUID.
func (e *Env) UUID() string {
	h := e.NewSecret("", 16).Reveal()
	return fmt.Sprintf("%s-%s-4%s-8%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:])
}

// Created reports whether a change made its ref.
func Created(c RefChange) bool { return c.Before == git.Zero }

// Deleted reports whether a change deleted its ref.
func Deleted(c RefChange) bool { return c.After == git.Zero }

// TagName returns the name of a change's tag, and reports whether it is one.
func TagName(c RefChange) (string, bool) { return strings.CutPrefix(c.Ref, "refs/tags/") }

// BranchName returns the name of a change's branch, and reports whether it is one.
func BranchName(c RefChange) (string, bool) { return strings.CutPrefix(c.Ref, "refs/heads/") }

// Limited returns the changes without its branches if there are more than so many, and without its
// tags if there are more than so many.
func (p Push) Limited(branches, tags int) []RefChange {
	tagged := 0
	for _, c := range p.Changes {
		if _, isTag := TagName(c); isTag {
			tagged++
		}
	}
	return slices.DeleteFunc(slices.Clone(p.Changes), func(c RefChange) bool {
		_, isTag := TagName(c)
		return isTag && tagged > tags || !isTag && len(p.Changes)-tagged > branches
	})
}

// Describe returns a commit of the push, or what the repository says about another one.
func (p Push) Describe(hash string) PushedCommit {
	for _, change := range p.Changes {
		for _, c := range change.Commits {
			if c.Hash == hash {
				return c
			}
		}
	}
	c, _ := p.Repository.Find(hash)
	return pushedCommit(c, hash)
}

func pushedCommit(c git.Commit, hash string) PushedCommit {
	return PushedCommit{
		Hash: hash, Message: c.Message, Author: c.Author, Email: c.Email, Time: c.Time,
	}
}

// Latest returns the push that a test of a webhook sends: the last commit of the default branch,
// once more. It has no change if the repository is empty.
func Latest(r Repository) Push {
	push := Push{Repository: r, Pusher: git.Person}
	if len(r.Branches) > 0 {
		c, _ := r.Commit("heads/" + r.Branches[0])
		push.Changes = []RefChange{{
			Ref: "refs/heads/" + r.Branches[0], Before: cmp.Or(c.Parent, git.Zero), After: c.Hash,
			Commit: c.Hash, BeforeCommit: c.Parent, Commits: []PushedCommit{pushedCommit(c, c.Hash)},
		}}
	}
	return push
}
