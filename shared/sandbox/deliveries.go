package sandbox

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"bindery/shared/sandbox/git"
	"bindery/shared/sandbox/hooks"
	"bindery/shared/sandbox/platform"
)

// Delivery is a delivery of a webhook, with what has become of it.
type Delivery = hooks.Delivery

// deliverer is what a platform has for webhooks.
type deliverer interface {
	// Deliveries returns what the webhooks of a repository send because of a push. It may be called
	// by several goroutines at once.
	Deliveries(platform.Push) []platform.Outgoing
	// Delivered tells the status of the reply to a delivery, 0 if there was none.
	Delivered(repository, hook string, status int)
	// Webhooks lists the webhooks of all repositories.
	Webhooks() []platform.Webhook
	// ChangeMerge opens or changes a merge request. See [platform.Merges].
	ChangeMerge(repository string, c platform.MergeChange) (platform.MergeChange, bool)
	FindMerge(repository, number string) (platform.Merge, bool)
	ListMerges(repository string) []platform.Merge
}

// pushed queues what a platform delivers because of a push.
func (s *Sandbox) pushed(name Platform, push platform.Push) {
	p, path := s.find(name), push.Repository.Path
	s.sender.Send(hooks.Repository{Platform: name, Path: path}, p.Deliveries(push),
		func(hook string, status int) { p.Delivered(path, hook, status) })
}

// send posts one delivery of a platform.
func (s *Sandbox) send(name Platform, repository string, out platform.Outgoing) <-chan int {
	return s.sender.Post(hooks.Repository{Platform: name, Path: repository}, out,
		func(hook string, status int) { s.find(name).Delivered(repository, hook, status) })
}

// Deliveries returns the last 200 deliveries of a repository, oldest first. At Codeup the path
// begins with the organization.
func (s *Sandbox) Deliveries(name Platform, path string) []Delivery {
	return s.sender.Log(hooks.Repository{Platform: name, Path: path})
}

// WaitForDeliveries returns when all deliveries are answered that are not held back.
func (s *Sandbox) WaitForDeliveries() { s.sender.Wait() }

// DropDeliveries loses the next n deliveries of a platform.
func (s *Sandbox) DropDeliveries(name Platform, n int) { s.sender.Drop(name, n) }

// DoubleDeliveries sends each of the next n deliveries of a platform twice.
func (s *Sandbox) DoubleDeliveries(name Platform, n int) { s.sender.Double(name, n) }

// HoldDeliveries keeps the deliveries of a platform back until [Sandbox.ReleaseDeliveries].
func (s *Sandbox) HoldDeliveries(name Platform) { s.sender.Hold(name) }

// ReleaseDeliveries sends the deliveries that were held back, the last one first.
func (s *Sandbox) ReleaseDeliveries(name Platform) { s.sender.Release(name) }

// Redeliver sends a delivery again as it was, and reports whether the log has it.
func (s *Sandbox) Redeliver(number int) bool { return s.sender.Redeliver(number) }

// repository returns what a platform has at a path now. Its id at Codeup is the platform's own.
func (s *Sandbox) repository(name Platform, path string) platform.Repository {
	var r platform.Repository
	if name == Codeup {
		r = s.Codeup.Contents(path)
	} else {
		r = platform.NewRepository(name, path)
	}
	r.Repository = s.git.Current(r.Repository)
	return r
}

// TestDelivery sends a test to the webhooks of a repository.
func (s *Sandbox) TestDelivery(name Platform, path string) {
	s.pushed(name, platform.Push{
		Repository: s.repository(name, path), Pusher: git.Person, Test: true,
	})
}

// PushCommit pushes a commit with a message to a branch of a repository, or to the default branch
// if branch is "", as a user who edits a file on the platform's site. It returns the commit's hash.
func (s *Sandbox) PushCommit(
	ctx context.Context, name Platform, path, branch, message, user string,
) (string, error) {
	return s.commit(ctx, name, path, git.CommitRequest{
		Branch: branch, Message: message, Author: user,
	})
}

// commit makes a commit in a repository, and sends the deliveries of this push.
func (s *Sandbox) commit(
	ctx context.Context, name Platform, path string, in git.CommitRequest,
) (string, error) {
	r := s.repository(name, path)
	in.At = s.options.Now()
	return s.git.Commit(ctx, r.Repository, in, func(changes []git.Change) {
		r.Repository = s.git.Current(r.Repository)
		s.pushed(name, platform.NewPush(r, changes, in.Author))
	})
}

// ChangeMerge opens a merge request, or updates, closes or merges the open one with the change's
// number, as a user does, and sends the deliveries. The head is the source branch's commit. A merge
// makes a merge commit, and is a push too. It returns the change with what the request had before.
func (s *Sandbox) ChangeMerge(
	ctx context.Context, name Platform, path string, c platform.MergeChange, user string,
) (platform.MergeChange, error) {
	p := s.find(name)
	if c.Action != "open" {
		before, ok := p.FindMerge(path, strconv.Itoa(c.Number))
		if !ok {
			return c, fmt.Errorf("sandbox: there is no merge request %d", c.Number)
		}
		c.Source, c.Target = before.Source, before.Target
	}
	head, ok := s.repository(name, path).Commit("heads/" + c.Source)
	if !ok {
		return c, fmt.Errorf("sandbox: there is no branch %q", c.Source)
	}
	c.Head = head.Hash
	if c.Action == "merge" {
		commit, err := s.commit(ctx, name, path, git.CommitRequest{
			Branch: c.Target, Merge: c.Source, Message: "Merge " + c.Source, Author: user,
		})
		if err != nil {
			return c, err
		}
		c.MergeCommit = commit
	}
	if c, ok = p.ChangeMerge(path, c); !ok {
		return c, fmt.Errorf("sandbox: merge request %d is not open", c.Number)
	}
	s.pushed(name, platform.Push{Repository: s.repository(name, path), Pusher: user, Merge: &c})
	return c, nil
}

// PushURL returns the address for git with a user's name and password, which may push. At Codeup
// the user is a clone account, and the path begins with the organization.
func PushURL(origin string, name Platform, path, user string) string {
	scheme, host, _ := strings.Cut(origin, "://")
	folder := git.DemoFolder(string(name))
	switch name {
	case Codeup:
		folder = "/"
	case GitLab:
		folder = "/gitlab/"
	}
	return fmt.Sprintf("%s://%s@%s%s%s.git", scheme,
		url.UserPassword(user, platform.GitPassword(user)), host, folder, path)
}
