package sandbox

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"bindery/shared/sandbox/hooks"
	"bindery/shared/sandbox/page"
	"bindery/shared/sandbox/platform"
)

// webhooksPath is the page of a repository's webhooks: ?platform=github&repository=alice/hello.
const webhooksPath = "/sandbox/webhooks"

// repositoryLink is a repository with webhooks on the page, with the address of its own page.
type repositoryLink struct{ Path, URL string }

func webhooksURL(name Platform, path string) string {
	return webhooksPath + "?" + url.Values{
		"platform": {string(name)}, "repository": {path},
	}.Encode()
}

// withWebhooks returns the repositories of a platform that have a webhook.
func withWebhooks(p server) []repositoryLink {
	var all []repositoryLink
	for _, h := range p.Webhooks() {
		all = append(all, repositoryLink{h.Repository, webhooksURL(p.Name(), h.Repository)})
	}
	return slices.Compact(all)
}

// showWebhooks shows the webhooks of a repository and what they delivered, newest first.
func (s *Sandbox) showWebhooks(w http.ResponseWriter, r *http.Request) {
	path := r.FormValue("repository")
	p := s.find(Platform(r.FormValue("platform")))
	if p == nil || path == "" {
		http.NotFound(w, r)
		return
	}
	own := slices.DeleteFunc(p.Webhooks(), func(h platform.Webhook) bool {
		return h.Repository != path
	})
	merges := slices.DeleteFunc(p.ListMerges(path), func(m platform.Merge) bool { return !m.Open() })
	deliveries := s.Deliveries(p.Name(), path)
	slices.Reverse(deliveries)
	page.Write(w, http.StatusOK, "webhooks.html", struct {
		Platform   Platform
		Repository string
		Push       string
		Webhooks   []platform.Webhook
		Merges     []platform.Merge // the open ones
		Deliveries []Delivery
		Controls   hooks.Controls
	}{
		p.Name(), path, PushURL(s.env.Origin(r), p.Name(), path, "alice"), own, merges, deliveries,
		s.sender.Controls(p.Name()),
	})
}

// postWebhooks presses a button of a repository's page: {platform, repository, do, n, message}.
// The buttons of merge requests take the message as the title, and n as the number.
func (s *Sandbox) postWebhooks(r *http.Request, p server, in map[string]string) (problem string) {
	path, name := in["repository"], p.Name()
	n, err := strconv.Atoi(in["n"])
	if in["n"] != "" && (err != nil || n < 0) {
		return "n is not a number"
	}
	if in["n"] == "" {
		n = 1
	}
	if !slices.ContainsFunc(p.Webhooks(), func(h platform.Webhook) bool {
		return h.Repository == path
	}) {
		return "the repository has no webhook"
	}
	switch do := in["do"]; do {
	case "open", "update", "close", "merge":
		if err := s.postMerge(r, name, path, do, n, in["message"]); err != nil {
			return err.Error()
		}
	case "commit":
		if _, err := s.PushCommit(r.Context(), name, path, "", in["message"], "alice"); err != nil {
			return "git: " + err.Error()
		}
	case "test":
		s.TestDelivery(name, path)
	case "redeliver":
		if !s.Redeliver(n) {
			return "no such delivery"
		}
	case "drop":
		s.DropDeliveries(name, n)
	case "double":
		s.DoubleDeliveries(name, n)
	case "hold":
		s.HoldDeliveries(name)
	case "release":
		s.ReleaseDeliveries(name)
	default:
		return "no such button"
	}
	return ""
}

// postMerge opens a merge request of a new branch with a commit, or changes the one with a number.
// An update pushes another commit to its branch first.
func (s *Sandbox) postMerge(
	r *http.Request, name Platform, path, do string, n int, title string,
) error {
	c := platform.MergeChange{Action: do, Number: n, Title: title}
	if branches := s.repository(name, path).Branches; do == "open" {
		if len(branches) == 0 {
			return errors.New("the repository is empty")
		}
		c.Source, c.Target = "topic-"+rand.Text()[:8], branches[0]
	} else if there, ok := s.find(name).FindMerge(path, strconv.Itoa(n)); ok && there.Open() {
		c.Source = there.Source
	}
	if do == "open" || do == "update" && c.Source != "" {
		_, err := s.PushCommit(r.Context(), name, path, c.Source, title, "alice")
		if err != nil {
			return err
		}
	}
	_, err := s.ChangeMerge(r.Context(), name, path, c, "alice")
	return err
}
