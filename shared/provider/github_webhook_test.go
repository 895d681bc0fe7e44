package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/secret"
	"bindery/shared/testkit"
)

const gitHubHooks = "/repositories/7/hooks"

// gitHubHookBody is a webhook as GitHub describes it: its secret is masked.
const gitHubHookBody = `{"id":12,"active":true,"events":["push","pull_request"],"config":{
	"url":"` + hookURL + `","content_type":"json","insecure_ssl":"0","secret":"********"}}`

var gitHubsHook = Webhook{
	ID: "12", URL: hookURL, Push: true, Tag: true, Merge: true, Active: true, Signed: true,
}

const gitHubConfig = `"config":{"content_type":"json","insecure_ssl":"0","secret":"` + hookSecret +
	`","url":"` + hookURL + `"},"events":["push","pull_request"]`

func TestGitHubsWebhookIsInstalledAsWanted(t *testing.T) {
	s := newTokenSite(t, map[string]canned{
		"POST " + gitHubHooks:               {status: 201, body: gitHubHookBody},
		"PATCH " + gitHubHooks + "/12":      {body: gitHubHookBody},
		"DELETE " + gitHubHooks + "/12":     {status: 204},
		"POST " + gitHubHooks + "/12/pings": {status: 204},
	})
	bodies := s.recordBodies()
	p, cred := s.hooks(GitHub)
	made, err := p.CreateWebhook(t.Context(), cred, "7", wantedHook())
	testkit.Want(t, "an error", err, nil)
	testkit.Want(t, "the new one", made, gitHubsHook)
	testkit.Want(t, "is as wanted", made.Matches(wantedHook()), true)
	repaired, err := p.RepairWebhook(t.Context(), cred, "7", "12", wantedHook())
	testkit.Want(t, "an error of the repair", err, nil)
	testkit.Want(t, "the repaired one", repaired, gitHubsHook)
	testkit.Want(t, "an error of the test", p.TestWebhook(t.Context(), cred, "7", "12"), nil)
	testkit.Want(t, "an error of the end", p.DeleteWebhook(t.Context(), cred, "7", "12"), nil)
	testkit.WantEqual(t, "what was sent", bodies, map[string]string{
		"POST " + gitHubHooks: `{"active":true,` + gitHubConfig + `,"name":"web"}`,
		// A config without the secret would clear it.
		"PATCH " + gitHubHooks + "/12":      `{"active":true,` + gitHubConfig + `}`,
		"POST " + gitHubHooks + "/12/pings": "", "DELETE " + gitHubHooks + "/12": "",
	})
	testkit.Want(t, "the page", p.WebhooksURL("https://github.com/acme/web"),
		"https://github.com/acme/web/settings/hooks")
	testkit.Want(t, "no page", p.WebhooksURL(""), "")
}

func TestWhatGitHubTellsOfAWebhook(t *testing.T) {
	for change, differ := range map[string]func(*Webhook){
		`"active":true|"active":false`:                func(w *Webhook) { w.Active = false },
		`,"pull_request"|`:                            func(w *Webhook) { w.Merge = false },
		`"push",|`:                                    func(w *Webhook) { w.Push, w.Tag = false, false },
		`"push","pull_request"|"*"`:                   func(*Webhook) {},
		`"insecure_ssl":"0"|"insecure_ssl":"1"`:       func(w *Webhook) { w.Altered = true },
		`"insecure_ssl":"0"|"insecure_ssl":0`:         func(*Webhook) {},
		`"content_type":"json"|"content_type":"form"`: func(w *Webhook) { w.Altered = true },
		`,"secret":"********"|`:                       func(w *Webhook) { w.SecretMissing = true },
		`/v1/hooks/|/v1/other/`: func(w *Webhook) {
			w.URL = strings.Replace(hookURL, "hooks", "other", 1)
		},
	} {
		before, after, _ := strings.Cut(change, "|")
		s := newTokenSite(t, map[string]canned{
			gitHubHooks + "/12": {body: strings.Replace(gitHubHookBody, before, after, 1)},
		})
		p, cred := s.hooks(GitHub)
		want := gitHubsHook
		differ(&want)
		got, found, err := p.FindWebhook(t.Context(), cred, "7", "12", hookURL)
		if err != nil || !found || got != want {
			t.Errorf("%s: got %+v, %v, %v", change, got, found, err)
		}
	}
}

func TestGitHubsWebhookIsFoundByItsExactAddress(t *testing.T) {
	pages := map[string]string{
		"1": `[{"id":1,"config":{"url":"` + hookURL + `0"}},{"id":2,"config":{"url":"` +
			strings.ToUpper(hookURL) + `"}},{"id":3,"config":{"url":"` + hookURL + `/"}}]`,
		"2": `[` + gitHubHookBody + `]`,
	}
	s := newTokenSite(t, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		page := canned{body: pages[r.URL.Query().Get("page")]}
		if r.URL.Query().Get("page") == "1" {
			page.header = map[string]string{"Link": `<https://evil.example/>; rel="next"`}
		}
		if r.URL.Path == gitHubHooks {
			page.write(w)
		}
		return r.URL.Path == gitHubHooks
	}
	p, cred := s.hooks(GitHub)
	for _, id := range []string{"", "11", "../7", "x"} {
		got, found, err := p.FindWebhook(t.Context(), cred, "7", id, hookURL)
		if err != nil || !found || got != gitHubsHook {
			t.Errorf("with the id %q: got %+v, %v, %v", id, got, found, err)
		}
	}
	_, found, err := p.FindWebhook(t.Context(), cred, "7", "", hookURL+"1")
	testkit.Want(t, "another one", fmt.Sprint(found, err), "false <nil>")
	if paths := slices.Compact(s.paths()); !slices.Equal(paths,
		[]string{"GET " + gitHubHooks, "GET " + gitHubHooks + "/11"}) {
		t.Errorf("called %q", paths)
	}
}

func TestGitHubsWebhookThatExistsIsTakenOver(t *testing.T) {
	s := newTokenSite(t, map[string]canned{
		"POST " + gitHubHooks: {status: 422, body: `{"message":"Validation Failed","errors":[
			{"resource":"Hook","code":"custom","message":"Hook already exists on this repository"}]}`},
		gitHubHooks:                    {body: `[` + gitHubHookBody + `]`},
		"PATCH " + gitHubHooks + "/12": {body: gitHubHookBody},
	})
	bodies := s.recordBodies()
	p, cred := s.hooks(GitHub)
	made, err := p.CreateWebhook(t.Context(), cred, "7", wantedHook())
	if err != nil || made != gitHubsHook {
		t.Errorf("got %+v, %v", made, err)
	}
	if !strings.Contains(bodies["PATCH "+gitHubHooks+"/12"], hookSecret) {
		t.Error("its secret was not set")
	}
	s.replies = with(s.replies, gitHubHooks, canned{body: `[]`})
	_, err = p.CreateWebhook(t.Context(), cred, "7", wantedHook())
	testkit.Want(t, "one that isn't found", problem.Of(err).Code, problem.PlatformError)
}

func TestGitHubsRefusalsOfAWebhookAreToldApart(t *testing.T) {
	const admin = `{"id":7,"full_name":"o/r","permissions":{"admin":true}}`
	notFound := func(accepted, granted string) canned {
		return canned{status: 404, body: `{"message":"Not Found"}`, header: map[string]string{
			"X-Accepted-OAuth-Scopes": accepted, "X-OAuth-Scopes": granted,
		}}
	}
	accepts := "admin:repo_hook, public_repo, repo, write:repo_hook"
	for _, tt := range []struct {
		name       string
		reply      canned
		repository canned
		code       problem.Code
		reason     string
	}{
		{
			"no repository", notFound(accepts, "repo"),
			canned{status: 404, body: `{"message":"x"}`},
			problem.RepositoryUnknown, "",
		},
		{
			"no administrator", notFound(accepts, "repo"),
			canned{body: `{"id":7,"permissions":{}}`},
			problem.WebhooksForbidden, "role",
		},
		{
			"a scope is missing", notFound(accepts, "read:user"),
			canned{body: admin},
			problem.WebhooksForbidden, "scope",
		},
		{"no scope", notFound(accepts, ""), canned{body: admin}, problem.WebhooksForbidden, "scope"},
		{"another scope", notFound(accepts, "write:repo_hook"), canned{body: admin}, "absent", ""},
		{"no accepted ones", notFound("", "read:user"), canned{body: admin}, "absent", ""},
		{
			"a gateway",
			canned{status: 404, kind: "text/html", body: `<html>`},
			canned{body: admin},
			problem.PlatformError, "intercepted",
		},
		{
			"not an administrator",
			canned{status: 403, body: `{"message":"Must have admin rights to Repository."}`},
			canned{},
			problem.WebhooksForbidden, "role",
		},
		{
			"an archived one", canned{status: 403, body: `{"message":` +
				`"Repository was archived so is read-only."}`}, canned{}, problem.RepositoryArchived, "",
		},
		{
			"too many",
			canned{status: 422, body: `{"message":"Validation Failed","errors":[{"resource":
				"Hook","code":"custom","message":"The \"push\" event cannot have more than 20 hooks"}]}`},
			canned{},
			problem.WebhooksFull, "",
		},
		{
			"an address that GitHub can't reach",
			canned{status: 422, body: `{"message":
				"Validation Failed","errors":[{"resource":"Hook","code":"custom","message":
				"url is not supported because it isn't reachable over the public Internet"}]}`},
			canned{},
			problem.PlatformError, "",
		},
		{
			"a limit",
			canned{
				status: 403, header: map[string]string{"Retry-After": "60"},
				body: `{"message":"You have exceeded a secondary rate limit"}`,
			},
			canned{},
			problem.PlatformRateLimited, "",
		},
		{"an outage", canned{status: 502, body: `{"message":"x"}`}, canned{}, problem.PlatformError, ""},
	} {
		s := newTokenSite(t, map[string]canned{
			"POST " + gitHubHooks: tt.reply, "PATCH " + gitHubHooks + "/12": tt.reply,
			"POST " + gitHubHooks + "/12/pings": tt.reply, "DELETE " + gitHubHooks + "/12": tt.reply,
			gitHubHooks: tt.reply, gitHubHooks + "/12": tt.reply, "/repositories/7": tt.repository,
		})
		p, cred := s.hooks(GitHub)
		ctx := t.Context()
		_, create := p.CreateWebhook(ctx, cred, "7", wantedHook())
		_, repair := p.RepairWebhook(ctx, cred, "7", "12", wantedHook())
		_, found, find := p.FindWebhook(ctx, cred, "7", "12", hookURL)
		testkit.Want(t, tt.name+": it is found", found, false)
		errs := map[string]error{
			"create": create, "repair": repair, "find": find,
			"delete": p.DeleteWebhook(ctx, cred, "7", "12"),
			"test":   p.TestWebhook(ctx, cred, "7", "12"),
		}
		absent := map[string]problem.Code{
			"create": problem.PlatformError, "repair": problem.WebhookLost,
			"find": problem.PlatformError, "test": problem.WebhookLost,
		}
		for call, err := range errs {
			keepsQuiet(t, err)
			code := tt.code
			if code == "absent" {
				code = absent[call]
			}
			if code == "" {
				testkit.Want(t, tt.name+", "+call, err, nil)
				continue
			}
			testkit.WantProblem(t, tt.name+", "+call, err, code, tt.reason)
		}
		if tt.reason == "scope" {
			testkit.Want(t, tt.name, problem.Of(create).Params["missing"], "repo")
		}
	}
}

func TestGitHubIsNotAskedForWhatIsNoID(t *testing.T) {
	s := newTokenSite(t, nil)
	p, cred := s.hooks(GitHub)
	for _, id := range []string{"", "x", "../7", "7/../8"} {
		_, err := p.CreateWebhook(t.Context(), cred, id, wantedHook())
		testkit.Want(t, "a repository "+id, problem.Of(err).Code, problem.RepositoryUnknown)
		_, err = p.RepairWebhook(t.Context(), cred, "7", id, wantedHook())
		testkit.Want(t, "a webhook "+id, problem.Of(err).Code, problem.WebhookLost)
		testkit.Want(t, "no test of "+id,
			problem.Of(p.TestWebhook(t.Context(), cred, "7", id)).Code, problem.WebhookLost)
		testkit.Want(t, "no "+id, p.DeleteWebhook(t.Context(), cred, "7", id), nil)
	}
	testkit.Want(t, "the calls", len(s.paths()), 0)
}

func TestE9_NoSecretIsInWhatGitHubTellsOfAWebhook(t *testing.T) {
	body := strings.Replace(gitHubHookBody, "********", "canary", 1)
	s := newTokenSite(t, map[string]canned{
		"POST " + gitHubHooks: {status: 201, body: body}, gitHubHooks + "/12": {body: body},
		gitHubHooks: {status: 422, body: `{"message":"canary","errors":[{"message":"canary"}]}`},
	})
	p, cred := s.hooks(GitHub)
	made, err := p.CreateWebhook(t.Context(), cred, "7", wantedHook())
	found, _, findErr := p.FindWebhook(t.Context(), cred, "7", "12", hookURL)
	_, _, listErr := p.FindWebhook(t.Context(), cred, "7", "", hookURL)
	keepsQuiet(t, listErr)
	text := fmt.Sprintf("%+v %v %+v %v %+v", made, err, found, findErr, wantedHook())
	if strings.Contains(text, "canary") {
		t.Errorf("got %s", text)
	}
	if want := secret.New(hookSecret); strings.Contains(fmt.Sprint(want), "canary") {
		t.Error("a secret is printed")
	}
}
