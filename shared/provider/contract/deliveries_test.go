//go:build contract

package contract_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"bindery/shared/netguard"
	"bindery/shared/provider"
	"bindery/shared/secret"
)

// Every delivery that GitHub's own project has as an example is read. Those that tell of a change
// do so by a ref and a full hash.
func TestGitHubsPublishedDeliveries(t *testing.T) {
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	readInstalled(t, "@octokit/webhooks-examples/api.github.com/index.json", &events)
	set := provider.New(provider.Options{Guard: netguard.New(netguard.Options{})})
	p, _ := set.Get(provider.GitHub)
	hooks, _ := provider.WebhooksOf(p)
	count := map[string]int{}
	for _, event := range events {
		for _, body := range event.Examples {
			d, err := hooks.Delivery(signedByGitHub(event.Name, body))
			if err != nil || d.Test != (event.Name == "ping") {
				t.Errorf("%s: got %+v, %v", event.Name, d, err)
			}
			wantChange(t, event.Name, body, d)
			count[event.Name] += len(d.Changes)
		}
	}
	if count["push"] < 7 || count["pull_request"] < 5 {
		t.Errorf("there are too few changes: %v", count)
	}
}

func signedByGitHub(event string, body []byte) provider.DeliveryRequest {
	const key = "a secret"
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return provider.DeliveryRequest{
		Header: http.Header{
			"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
			"X-Github-Event":      {event},
			"X-Github-Delivery":   {"72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		},
		Body: body, Secret: secret.New(key),
	}
}

// wantChange compares the change of a delivery with the example's fields.
func wantChange(t *testing.T, event string, body []byte, d provider.Delivery) {
	t.Helper()
	var told struct {
		Ref, Action      string
		Created, Deleted bool
		Number           json.Number
		Repository       struct{ ID json.Number }
		HeadCommit       struct{ ID string } `json:"head_commit"`
		PullRequest      struct {
			Head struct{ SHA string }
			Base struct{ Ref string }
		} `json:"pull_request"`
	}
	if err := json.Unmarshal(body, &told); err != nil && event == "push" {
		t.Fatal(err)
	}
	actions := []string{"opened", "reopened", "synchronize", "edited", "closed"}
	if event != "push" && (event != "pull_request" || !slices.Contains(actions, told.Action)) {
		if len(d.Changes) != 0 {
			t.Errorf("%s, %s: got %+v", event, told.Action, d.Changes)
		}
		return
	}
	if len(d.Changes) != 1 || d.RepositoryID != told.Repository.ID.String() {
		t.Fatalf("%s: got %+v", event, d)
	}
	ref, commit, number := told.Ref, told.HeadCommit.ID, ""
	if event == "pull_request" {
		ref, commit = "refs/heads/"+told.PullRequest.Base.Ref, told.PullRequest.Head.SHA
		number = d.Changes[0].Merge.Number
	}
	c := d.Changes[0]
	if c.Ref != ref || c.Commit != commit || c.Created != told.Created || c.Deleted != told.Deleted ||
		number != told.Number.String() {
		t.Errorf("%s: got %+v of %s", event, c, body)
	}
}
