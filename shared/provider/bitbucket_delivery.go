package provider

import (
	"cmp"
	"context"
	"slices"

	"bindery/shared/problem"
)

// bitbucketPush is the event of pushes to branches and of tags.
const bitbucketPush = "repo:push"

// bitbucketActions are the events of pull requests, and what is told of them.
var bitbucketActions = map[string]string{
	"pullrequest:created": "opened", "pullrequest:updated": "updated",
	"pullrequest:fulfilled": "merged", "pullrequest:rejected": "closed",
}

// bitbucketDelivery is what is read of a delivery.
//
// Source: support.atlassian.com/bitbucket-cloud, "Event payloads".
type bitbucketDelivery struct {
	Repository bitbucketRepository `json:"repository"`
	Actor      struct {
		Nickname loose `json:"nickname"`
		Name     loose `json:"display_name"`
	} `json:"actor"`
	Push struct {
		Changes []bitbucketChange `json:"changes"`
	} `json:"push"`
	PullRequest bitbucketPull `json:"pullrequest"`
}

// bitbucketChange is the change of one ref. Old is null if it was created, and New if it was
// deleted: there are no zero hashes.
type bitbucketChange struct {
	Old       *bitbucketHead `json:"old"`
	New       *bitbucketHead `json:"new"`
	Forced    bool           `json:"forced"`
	Truncated bool           `json:"truncated"` // there are more commits than are listed
	Commits   []pushedCommit `json:"commits"`   // newest first, at most 5
	Links     struct {
		HTML bitbucketLink `json:"html"`
	} `json:"links"`
}

// bitbucketHead is a ref and its commit, also of an annotated tag.
type bitbucketHead struct {
	Type loose `json:"type"`
	bitbucketRef
}

// Delivery implements [WebhookPlatform].
func (b *bitbucketWebhooks) Delivery(in DeliveryRequest) (Delivery, error) {
	if !in.signedInHex("X-Hub-Signature") {
		return Delivery{}, ErrNotAuthentic
	}
	var told bitbucketDelivery
	if err := in.decode(&told); err != nil {
		return Delivery{}, err
	}
	d := Delivery{ID: in.id("X-Request-UUID"), Confirmed: true}
	id := told.Repository.repository(b.site).ID
	if _, ok := bitbucketPath(id); ok {
		d.RepositoryID = id
	}
	event := in.Header.Get("X-Event-Key")
	if event == bitbucketPush {
		for _, c := range told.Push.Changes {
			if change, ok := c.change(b.site); ok {
				d.Changes = append(d.Changes, change)
			}
		}
	} else if change, ok := told.PullRequest.change(b.site, bitbucketActions[event]); ok {
		d.Changes = []Change{change}
	}
	for i := range d.Changes {
		d.Changes[i].Pusher = label(string(cmp.Or(told.Actor.Name, told.Actor.Nickname)))
	}
	return d.ofRepository()
}

// bitbucketKinds are the types of refs. Before 2020 there was Mercurial, whose branches are named
// branches.
var bitbucketKinds = map[loose]RefKind{
	"branch": Branches, "named_branch": Branches, "tag": Tags,
}

// change returns the change of a ref, and whether it is one of a ref that can be.
func (c bitbucketChange) change(site string) (Change, bool) {
	head := cmp.Or(c.New, c.Old)
	if head == nil {
		return Change{}, false
	}
	change := Change{
		Ref:        refPrefix(bitbucketKinds[head.Type]) + string(head.Name),
		Created:    c.Old == nil,
		Deleted:    c.New == nil,
		Forced:     c.Forced,
		CompareURL: onSite(site, string(c.Links.HTML.Href)),
	}
	if c.Old != nil {
		change.Before = fullHash(c.Old.Target.Hash)
	}
	if c.New != nil {
		change.Commit = fullHash(c.New.Target.Hash)
	}
	if !c.Truncated {
		change.Commits = len(c.Commits)
	}
	slices.Reverse(c.Commits)
	change.Titles = titles(c.Commits)
	return change, validFullRef(change.Ref)
}

// bitbucketPull is a pull request. The hashes of its commits have 12 digits.
type bitbucketPull struct {
	ID          loose           `json:"id"`
	Title       loose           `json:"title"`
	State       loose           `json:"state"`
	Source      bitbucketEnd    `json:"source"`
	Destination bitbucketEnd    `json:"destination"`
	MergeCommit bitbucketCommit `json:"merge_commit"` // null until it is merged
	Links       struct {
		HTML bitbucketLink `json:"html"`
	} `json:"links"`
}

// bitbucketEnd is one of the two branches of a pull request.
type bitbucketEnd struct {
	Branch struct {
		Name loose `json:"name"`
	} `json:"branch"`
	Commit bitbucketCommit `json:"commit"`
}

// commit returns the hash of the head or, once merged, of the merge commit.
func (p bitbucketPull) commit(action string) loose {
	if action == "merged" {
		return p.MergeCommit.Hash
	}
	return p.Source.Commit.Hash
}

// change returns the change of a pull request.
func (p bitbucketPull) change(site, action string) (Change, bool) {
	return newMerge(p.Destination.Branch.Name, p.commit(action), MergeRequest{
		Number: string(p.ID), Title: string(p.Title), Source: string(p.Source.Branch.Name),
		URL: onSite(site, string(p.Links.HTML.Href)), Action: action,
	})
}

// bitbucketStates are what the states of pull requests say.
var bitbucketStates = map[loose]string{
	"OPEN": "updated", "MERGED": "merged", "DECLINED": "closed", "SUPERSEDED": "closed",
}

// MergeRequest implements [MergePlatform], with one call for the pull request and one for its
// commit's full hash. A commit that is only in a fork has none.
func (b *bitbucketWebhooks) MergeRequest(
	ctx context.Context, cred Credential, repository, number string,
) (Change, error) {
	path, ok := bitbucketPath(repository)
	if !ok {
		return Change{}, b.repositoryUnknown()
	}
	absent := b.refUnknown(number)
	if !numeric(number) {
		return Change{}, absent
	}
	var pull bitbucketPull
	r, err := b.look(ctx, cred, path+"/pullrequests/"+number, &pull)
	if err != nil {
		return Change{}, b.refused(ctx, cred, repository, r, err, absent)
	}
	action := bitbucketStates[pull.State]
	change, ok := pull.change(b.site, action)
	if !ok || string(pull.ID) != number {
		return Change{}, b.unexpected(r)
	}
	if short := string(pull.commit(action)); change.Commit == "" && short != "" {
		commit, err := b.Commit(ctx, cred, repository, short)
		if err != nil && !problem.Is(err, problem.RefUnknown) {
			return Change{}, err
		}
		change.Commit = commit.Hash
	}
	return change, nil
}
