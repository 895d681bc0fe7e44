package git

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// disk is a repository on disk.
type disk struct {
	server *Server
	folder string

	writing sync.Mutex        // held while a push changes the refs; guards the next two
	refs    map[string]target // nil before the first push
	main    string            // the default branch

	mu      sync.Mutex
	commits map[string]Commit // that were read, by their full hashes
}

// pushed is what a repository has after a push.
type pushed struct {
	disk *disk
	refs map[string]target
}

// target is what a ref points at: an object, and the commit that this is or, for an annotated tag,
// that it tags.
type target struct{ object, commit string }

// tag returns the hash of an annotated tag's object, "" if it is none.
func (t target) tag() string {
	if t.object == t.commit {
		return ""
	}
	return t.object
}

// commit returns the commit of "heads/NAME" or "tags/NAME", and whether there is one.
func (p *pushed) commit(ref string) (Commit, bool) {
	to, found := p.refs[ref]
	if !found {
		return Commit{}, false
	}
	return p.disk.find(to.commit)
}

// Current returns a repository as it is after the last push to it.
func (s *Server) Current(r Repository) Repository {
	if now, ok := s.pushedTo.Load(r.Name); ok {
		return now.(Repository)
	}
	return r
}

// run runs git in the repository.
func (d *disk) run(ctx context.Context, input string, args ...string) (string, error) {
	return d.server.run(ctx, input, append([]string{"-C", d.folder}, args...)...)
}

// object is an object of git. One that doesn't exist has no hash.
type object struct{ hash, kind, content string }

// objects reads objects by their names, in one run of git-cat-file.
func (d *disk) objects(names ...string) ([]object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := d.run(ctx, strings.Join(names, "\n")+"\n", "cat-file", "--batch")
	if err != nil {
		return nil, err
	}
	all := make([]object, len(names))
	for i := range all {
		line, rest, _ := strings.Cut(out, "\n")
		out = rest
		if strings.HasSuffix(line, " missing") || strings.HasSuffix(line, " ambiguous") {
			continue
		}
		fields := strings.Fields(line)
		size := -1
		if len(fields) == 3 {
			size, _ = strconv.Atoi(fields[2])
		}
		if size < 0 || size >= len(rest) {
			return nil, fmt.Errorf("git cat-file: unexpected reply about object %d", i)
		}
		all[i] = object{fields[0], fields[1], rest[:size]}
		out = rest[size+1:]
	}
	return all, nil
}

// load reads commits that were not read before, so that find has them.
func (d *disk) load(hashes []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	unread := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(hashes))),
		func(hash string) bool { return d.commits[hash].Hash != "" })
	if len(unread) == 0 {
		return nil
	}
	found, err := d.objects(unread...)
	for _, o := range found {
		if o.kind == "commit" {
			d.commits[o.hash] = d.parse(o)
		}
	}
	return err
}

// parse reads a commit's object.
func (d *disk) parse(o object) Commit {
	head, message, _ := strings.Cut(o.content, "\n\n")
	c := Commit{Hash: o.hash, Message: message, disk: d}
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "tree":
			c.Tree = value
		case "parent":
			if c.Parent == "" {
				c.Parent = value
			}
		case "author":
			c.Author, c.Email, _ = person(value)
		case "committer":
			_, _, c.Time = person(value)
		}
	}
	return c
}

// person splits "NAME <EMAIL> SECONDS ZONE".
func person(text string) (name, email, at string) {
	name, rest, _ := strings.Cut(text, " <")
	email, rest, _ = strings.Cut(rest, "> ")
	seconds, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.ParseInt(seconds, 10, 64)
	return name, email, time.Unix(n, 0).UTC().Format(time.RFC3339)
}

var hashPattern = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// find returns the commit whose hash begins like this, and whether there is one.
func (d *disk) find(short string) (Commit, bool) {
	if !hashPattern.MatchString(short) {
		return Commit{}, false
	}
	d.mu.Lock()
	c, found := d.commits[short]
	d.mu.Unlock()
	if found {
		return c, true
	}
	all, err := d.objects(short)
	if err != nil || all[0].kind != "commit" || !strings.HasPrefix(all[0].hash, short) {
		return Commit{}, false
	}
	return d.parse(all[0]), true
}

// inTree returns what a commit has at a path.
func (d *disk) inTree(commit, path string) object {
	if strings.Contains(path, "\n") {
		return object{}
	}
	all, err := d.objects(commit + ":" + path)
	if err != nil {
		return object{}
	}
	return all[0]
}

func (d *disk) file(commit, path string) (File, bool) {
	o := d.inTree(commit, path)
	return File{path, o.content, o.hash}, o.kind == "blob"
}

func (d *disk) isFolder(commit, path string) bool {
	return path != "" && d.inTree(commit, path).kind == "tree"
}
