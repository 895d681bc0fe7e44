package provider

// gitHubDelivery is what is read of a delivery.
//
// Source: docs.github.com, "Webhook events and payloads" and "Validating webhook deliveries".
type gitHubDelivery struct {
	Repository struct {
		ID loose `json:"id"`
	} `json:"repository"`

	// Of a push.
	Ref        loose          `json:"ref"`
	Before     loose          `json:"before"`
	After      loose          `json:"after"`
	Forced     bool           `json:"forced"`
	Compare    loose          `json:"compare"`
	Commits    []pushedCommit `json:"commits"` // oldest first, at most 2,048
	HeadCommit struct {
		ID loose `json:"id"`
	} `json:"head_commit"` // null if the ref was deleted; the commit of an annotated tag
	Pusher struct {
		Name loose `json:"name"`
	} `json:"pusher"`

	// Of a pull request.
	Action      loose             `json:"action"`
	PullRequest gitHubPullDetails `json:"pull_request"`
	Sender      struct {
		Login loose `json:"login"`
	} `json:"sender"`
}

type gitHubPullDetails struct {
	Number         loose     `json:"number"`
	Title          loose     `json:"title"`
	HTMLURL        loose     `json:"html_url"`
	Merged         bool      `json:"merged"`
	MergeCommitSHA loose     `json:"merge_commit_sha"` // of a trial merge until it is merged
	Head           gitHubEnd `json:"head"`
	Base           gitHubEnd `json:"base"`
}

// gitHubEnd is one of the two branches of a pull request.
type gitHubEnd struct {
	Ref loose `json:"ref"`
	SHA loose `json:"sha"`
}

// Delivery implements [WebhookPlatform].
func (g *gitHubWebhooks) Delivery(in DeliveryRequest) (Delivery, error) {
	if !in.signedInHex("X-Hub-Signature-256") {
		return Delivery{}, ErrNotAuthentic
	}
	var told gitHubDelivery
	if err := in.decode(&told); err != nil {
		return Delivery{}, err
	}
	d := Delivery{
		ID: in.id("X-GitHub-Delivery"), Confirmed: true, RepositoryID: string(told.Repository.ID),
	}
	var change Change
	var ok bool
	switch in.Header.Get("X-GitHub-Event") {
	case "ping":
		d.Test = true
	case gitHubPush:
		change, ok = told.push(g.site)
	case gitHubPullRequest:
		change, ok = told.pull(g.site)
	}
	if ok {
		d.Changes = []Change{change}
	}
	return d.ofRepository()
}

// push returns the change of a push.
func (d gitHubDelivery) push(site string) (Change, bool) {
	change, ok := newChange(d.Ref, d.Before, d.After, d.HeadCommit.ID)
	change.Forced = d.Forced
	change.Pusher = label(string(d.Pusher.Name))
	change.Commits, change.Titles = len(d.Commits), titles(d.Commits)
	change.CompareURL = onSite(site, string(d.Compare))
	return change, ok
}

// gitHubActions are what is told of a pull request. "synchronize" means new commits.
var gitHubActions = map[loose]string{
	"opened": "opened", "reopened": "opened", "synchronize": "updated", "edited": "updated",
	"closed": "closed",
}

// pull returns the change of a pull request.
func (d gitHubDelivery) pull(site string) (Change, bool) {
	pull, action, commit := d.PullRequest, gitHubActions[d.Action], d.PullRequest.Head.SHA
	if action == "closed" && pull.Merged {
		action, commit = "merged", pull.MergeCommitSHA
	}
	change, ok := newMerge(pull.Base.Ref, commit, MergeRequest{
		Number: string(pull.Number), Title: string(pull.Title), Source: string(pull.Head.Ref),
		URL: onSite(site, string(pull.HTMLURL)), Action: action,
	})
	change.Pusher = label(string(d.Sender.Login))
	return change, ok
}
