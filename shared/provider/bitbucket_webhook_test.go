package provider

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bindery/shared/problem"
	"bindery/shared/testkit"
)

const (
	bitbucketID     = workspaceID + "/" + repositoryID
	bitbucketHooks  = bitbucketRepositoryPath + "/hooks"
	bitbucketHookID = "{33333333-0000-4000-8000-000000000000}"
	oneHook         = bitbucketHooks + "/%7B33333333-0000-4000-8000-000000000000%7D"

	bitbucketHookBody = `{"uuid":"` + bitbucketHookID + `","url":"` + hookURL + `","active":true,
		"events":["pullrequest:created","pullrequest:fulfilled","pullrequest:rejected",
		"pullrequest:updated","repo:push"],"skip_cert_verification":false,"secret_set":true}`
	bitbucketRepositoryBody = `{"uuid":"` + repositoryID + `","full_name":"acme/web"}`
)

var bitbucketsHook = Webhook{
	ID: bitbucketHookID, URL: hookURL, Push: true, Tag: true, Merge: true, Active: true, Signed: true,
}

func TestBitbucketsWebhookIsInstalledAsWanted(t *testing.T) {
	s := newTokenSite(t, map[string]canned{
		"POST " + bitbucketHooks: {status: 201, body: bitbucketHookBody},
		"PUT " + oneHook:         {body: bitbucketHookBody}, "DELETE " + oneHook: {status: 204},
	})
	bodies := s.recordBodies()
	p, cred := s.hooks(Bitbucket)
	made, err := p.CreateWebhook(t.Context(), cred, bitbucketID, wantedHook())
	testkit.Want(t, "an error", err, nil)
	testkit.Want(t, "the new one", made, bitbucketsHook)
	repaired, err := p.RepairWebhook(t.Context(), cred, bitbucketID, bitbucketHookID, wantedHook())
	testkit.Want(t, "an error of the repair", err, nil)
	testkit.Want(t, "the repaired one", repaired, bitbucketsHook)
	testkit.Want(t, "an error of the end",
		p.DeleteWebhook(t.Context(), cred, bitbucketID, bitbucketHookID), nil)
	const body = `{"active":true,"description":"Bindery","events":["pullrequest:created",` +
		`"pullrequest:fulfilled","pullrequest:rejected","pullrequest:updated","repo:push"],` +
		`"secret":"` + hookSecret + `","skip_cert_verification":false,"url":"` + hookURL + `"}`
	testkit.WantEqual(t, "what was sent", bodies, map[string]string{
		"POST " + bitbucketHooks: body, "PUT " + oneHook: body, "DELETE " + oneHook: "",
	})
	testkit.Want(t, "the test", p.TestWebhook(t.Context(), cred, bitbucketID, bitbucketHookID),
		ErrNoTest)
	testkit.Want(t, "the page", p.WebhooksURL("https://bitbucket.org/acme/web"),
		"https://bitbucket.org/acme/web/admin/webhooks")
}

// A token that only has the scopes for pushes may install a webhook for them.
func TestBitbucketIsAskedOnlyForTheEventsThatAreWanted(t *testing.T) {
	want := wantedHook()
	want.Push, want.Merge = false, false
	testkit.WantEqual(t, "the events of tags", bitbucketHookFields(want)["events"],
		any([]string{"repo:push"}))
	want.Tag, want.Merge = false, true
	events, _ := bitbucketHookFields(want)["events"].([]string)
	testkit.Want(t, "pushes among those of merges", slices.Contains(events, "repo:push"), false)
}

func TestWhatBitbucketTellsOfAWebhook(t *testing.T) {
	for change, differ := range map[string]func(*Webhook){
		`"active":true|"active":false`:             func(w *Webhook) { w.Active = false },
		`"pullrequest:rejected",|`:                 func(w *Webhook) { w.Merge = false },
		`"repo:push"|"repo:fork"`:                  func(w *Webhook) { w.Push, w.Tag = false, false },
		`"secret_set":true|"secret_set":false`:     func(w *Webhook) { w.SecretMissing = true },
		`,"secret_set":true|`:                      func(*Webhook) {}, // not known
		`_verification":false|_verification":true`: func(w *Webhook) { w.Altered = true },
	} {
		before, after, _ := strings.Cut(change, "|")
		s := newTokenSite(t, map[string]canned{
			oneHook: {body: strings.Replace(bitbucketHookBody, before, after, 1)},
		})
		p, cred := s.hooks(Bitbucket)
		want := bitbucketsHook
		differ(&want)
		got, found, err := p.FindWebhook(t.Context(), cred, bitbucketID, bitbucketHookID, hookURL)
		if err != nil || !found || got != want {
			t.Errorf("%s: got %+v, %v, %v", change, got, found, err)
		}
	}
}

func TestBitbucketsWebhookIsFoundByItsExactAddress(t *testing.T) {
	pages := map[string]string{
		"": `{"values":[{"uuid":"{other}","url":"` + hookURL + `0"},{"uuid":"{}","url":"` + hookURL +
			`/"}],"next":"https://evil.example/2.0/steal?page=2"}`,
		"2": `{"values":[` + bitbucketHookBody + `]}`,
	}
	s := newTokenSite(t, map[string]canned{
		oneHook: {status: 404, body: `{"type":"error","error":{"message":"No such webhook"}}`},
	})
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.EscapedPath() != bitbucketHooks {
			return false
		}
		canned{body: pages[r.URL.Query().Get("page")]}.write(w)
		return true
	}
	p, cred := s.hooks(Bitbucket)
	for _, id := range []string{"", bitbucketHookID, "../7", "{}"} {
		got, found, err := p.FindWebhook(t.Context(), cred, bitbucketID, id, hookURL)
		if err != nil || !found || got != bitbucketsHook {
			t.Errorf("with the id %q: got %+v, %v, %v", id, got, found, err)
		}
	}
	_, found, err := p.FindWebhook(t.Context(), cred, bitbucketID, "", hookURL+"1")
	testkit.Want(t, "another one", fmt.Sprint(found, err), "false <nil>")
}

func TestBitbucketsRefusalsOfAWebhookAreToldApart(t *testing.T) {
	says := func(status int, message, more string) canned {
		return canned{
			status: status, body: `{"type":"error","error":{"message":"` + message + `"` + more + `}}`,
		}
	}
	const scopes = "Your credentials lack one or more required privilege scopes."
	for _, tt := range []struct {
		name         string
		reply        canned
		repository   canned
		code         problem.Code
		reason       string
		missing      string
		alsoOfAbsent bool
	}{
		{
			"pull requests' scope", says(403, scopes, `,"detail":{"required":["webhook","repository",
				"pullrequest"],"granted":["account","repository","webhook"]}`),
			canned{},
			problem.WebhooksForbidden, "scope", "pullrequest", true,
		},
		{
			"a scope that isn't told", says(403, scopes, ""),
			canned{},
			problem.WebhooksForbidden, "scope", "webhook", true,
		},
		{
			"no administrator", says(403, "You do not have admin access to this repository.", ""),
			canned{},
			problem.WebhooksForbidden, "role", "", true,
		},
		{
			"no repository", says(404, "Repository not found", ""), says(404, "not found", ""),
			problem.RepositoryUnknown, "", "", true,
		},
		{
			"no webhook", says(404, "No such webhook", ""),
			canned{body: bitbucketRepositoryBody},
			problem.WebhookLost, "", "", false,
		},
		{
			"too many", says(400, "The maximum number of webhooks is 50.", ""),
			canned{},
			problem.WebhooksFull, "", "", true,
		},
		{
			"an address that isn't reachable", says(400, "Invalid url", ""),
			canned{},
			problem.PlatformError, "", "", true,
		},
		{
			"an allow-list", says(403, "To access, whitelist your IP", ""),
			canned{},
			problem.AddressNotListed, "", "", true,
		},
		{
			"a gateway",
			canned{status: 404, kind: "text/html", body: `<html>`},
			canned{},
			problem.PlatformError, "intercepted", "", true,
		},
		{
			"a gateway's JSON",
			canned{status: 403, body: `{"message":"Forbidden"}`},
			canned{},
			problem.PlatformError, "", "", true,
		},
		{"a limit", says(429, "x", ""), canned{}, problem.PlatformRateLimited, "", "", true},
		{
			"a bad token", says(401, "Access token expired.", ""),
			canned{},
			problem.TokenExpired, "consent", "", true,
		},
	} {
		s := newTokenSite(t, map[string]canned{
			"POST " + bitbucketHooks: tt.reply, "PUT " + oneHook: tt.reply, "DELETE " + oneHook: tt.reply,
			bitbucketHooks: tt.reply, oneHook: tt.reply, bitbucketRepositoryPath: tt.repository,
		})
		p, cred := s.hooks(Bitbucket)
		ctx := t.Context()
		_, repair := p.RepairWebhook(ctx, cred, bitbucketID, bitbucketHookID, wantedHook())
		errs := map[string]error{"repair": repair}
		end := p.DeleteWebhook(ctx, cred, bitbucketID, bitbucketHookID)
		if tt.alsoOfAbsent {
			_, errs["create"] = p.CreateWebhook(ctx, cred, bitbucketID, wantedHook())
			_, _, errs["find"] = p.FindWebhook(ctx, cred, bitbucketID, bitbucketHookID, hookURL)
			errs["delete"] = end
		} else {
			testkit.Want(t, tt.name+", delete", end, nil)
		}
		for call, err := range errs {
			keepsQuiet(t, err)
			testkit.WantProblem(t, tt.name+", "+call, err, tt.code, tt.reason)
			testkit.Want(t, tt.name+", "+call, problem.Of(err).Params["missing"], tt.missing)
		}
	}
}

func TestBitbucketIsNotAskedForWhatIsNoID(t *testing.T) {
	s := newTokenSite(t, nil)
	p, cred := s.hooks(Bitbucket)
	for _, id := range []string{"", "x", "../7", "{}", "7"} {
		_, err := p.CreateWebhook(t.Context(), cred, id+"/"+repositoryID, wantedHook())
		testkit.Want(t, "a repository "+id, problem.Of(err).Code, problem.RepositoryUnknown)
		_, _, err = p.FindWebhook(t.Context(), cred, id, "", hookURL)
		testkit.Want(t, "a list of "+id, problem.Of(err).Code, problem.RepositoryUnknown)
		_, err = p.RepairWebhook(t.Context(), cred, bitbucketID, id, wantedHook())
		testkit.Want(t, "a webhook "+id, problem.Of(err).Code, problem.WebhookLost)
		testkit.Want(t, "no "+id, p.DeleteWebhook(t.Context(), cred, bitbucketID, id), nil)
	}
	testkit.Want(t, "the calls", len(s.paths()), 0)
}

func TestBitbucketsPullRequestIsAskedForWithItsFullHash(t *testing.T) {
	const at = bitbucketRepositoryPath + "/pullrequests/3"
	pull := func(state string) canned {
		return canned{body: `{"id":3,"title":"Fix\nit","state":"` + state + `",
			"source":{"branch":{"name":"fix"},"commit":{"hash":"aaaaaaaaaabb"}},
			"destination":{"branch":{"name":"main"},"commit":{"hash":"222222222222"}},
			"merge_commit":{"hash":"111111111122"},
			"links":{"html":{"href":"https://x@evil.example/acme/web/pull-requests/3"}}}`}
	}
	commit := func(hash string) canned { return canned{body: `{"hash":"` + hash + `"}`} }
	replies := map[string]canned{
		bitbucketRepositoryPath + "/commit/aaaaaaaaaabb": commit(newHash),
		bitbucketRepositoryPath + "/commit/111111111122": commit(oldHash),
		bitbucketRepositoryPath:                          {body: bitbucketRepositoryBody},
	}
	for state, want := range map[string]struct{ action, hash string }{
		"OPEN": {"updated", newHash}, "DECLINED": {"closed", newHash},
		"SUPERSEDED": {"closed", newHash}, "MERGED": {"merged", oldHash},
	} {
		s := newTokenSite(t, with(replies, at, pull(state)))
		hooks, cred := s.hooks(Bitbucket)
		p, ok := hooks.(MergePlatform)
		if !ok {
			t.Fatal("Bitbucket can't be asked for a pull request")
		}
		got, err := p.MergeRequest(t.Context(), cred, bitbucketID, "3")
		testkit.Want(t, state+": an error", err, nil)
		testkit.WantEqual(t, state, got, Change{
			Ref: "refs/heads/main", Commit: want.hash, Merge: &MergeRequest{
				Number: "3", Title: "Fix", Source: "fix", URL: s.URL + "/acme/web/pull-requests/3",
				Action: want.action,
			},
		})
		s.replies = with(replies, at, canned{
			status: 404, body: `{"type":"error","error":{"message":"No pull request"}}`,
		})
		for _, number := range []string{"3", "x", "../3"} {
			_, err = p.MergeRequest(t.Context(), cred, bitbucketID, number)
			testkit.WantProblem(t, "none "+number, err, problem.RefUnknown, "")
		}
	}
	s := newTokenSite(t, map[string]canned{at: pull("OPEN")}) // its commit is only in a fork
	hooks, cred := s.hooks(Bitbucket)
	got, err := hooks.(MergePlatform).MergeRequest(t.Context(), cred, bitbucketID, "3")
	if err != nil || got.Commit != "" {
		t.Errorf("of a fork: got %+v, %v", got, err)
	}
}
