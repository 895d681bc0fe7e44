package sandbox

import (
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
	deliveries := s.Deliveries(p.Name(), path)
	slices.Reverse(deliveries)
	page.Write(w, http.StatusOK, "webhooks.html", struct {
		Platform   Platform
		Repository string
		Push       string
		Webhooks   []platform.Webhook
		Deliveries []Delivery
		Controls   hooks.Controls
	}{
		p.Name(), path, PushURL(s.env.Origin(r), p.Name(), path, "alice"), own, deliveries,
		s.sender.Controls(p.Name()),
	})
}

// postWebhooks presses a button of a repository's page: {platform, repository, do, n, message}.
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
	switch in["do"] {
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
