package contract_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2/endpoints"

	"bindery/shared/provider"
)

// fact is what the documentation of a call that has no machine-readable description says.
type fact struct {
	call string
	// header is the one that holds the credential, "" for none.
	header string
	// query and form are the parameters that may be sent, and json the fields of a JSON body; those in
	// must have to be.
	query, form, json, must string
	// fields are those that a successful reply has, of each element if it is a list.
	fields string
	// fails lists the statuses of a refusal, and failure the fields of its body.
	fails   []int
	failure string
	// plain says that replies are no JSON, bare that those to a success may be nothing.
	plain, bare bool
}

// The fields of webhooks, in requests and in replies.
const (
	gitLabProject  = "{address}/api/v4/projects/{project}"
	gitLabHook     = "id url push_events tag_push_events merge_requests_events alert_status"
	gitLabHookJSON = "url token signing_token enable_ssl_verification push_events " +
		"tag_push_events merge_requests_events push_events_branch_filter branch_filter_strategy " +
		"issues_events confidential_issues_events note_events confidential_note_events job_events " +
		"pipeline_events wiki_page_events deployment_events feature_flag_events releases_events " +
		"resource_access_token_events"
	giteeHook     = "id url push_events tag_push_events merge_requests_events"
	giteeHookJSON = "url encryption_type password push_events tag_push_events issues_events " +
		"note_events merge_requests_events"
	codeupHook     = "id url token pushEvents tagPushEvents enableSSLVerification"
	codeupHookJSON = "url token description enableSslVerification pushEvents tagPushEvents " +
		"mergeRequestsEvents noteEvents"
)

// The forms of RFC 6749 and RFC 7636, which all three platforms document.
const (
	authorizeQuery = "client_id redirect_uri response_type state code_challenge " +
		"code_challenge_method"
	tokenForm = "grant_type code redirect_uri code_verifier refresh_token"
	appForm   = " client_id client_secret"
	tokenBody = "access_token token_type "
	tokenFail = "error error_description"
)

// codeupRepository is the call for one of Codeup's repositories.
const codeupRepository = "GET " + codeupAPI +
	"/oapi/v1/codeup/organizations/{organization}/repositories/{repository}"

// giteeRepository is the call for one of Gitee's repositories.
const giteeRepository = "GET gitee.com/api/v5/repos/{owner}/{repo}"

// facts are held for the calls that the table calls documented, assumed, or recorded without a
// description.
var facts = []fact{
	{
		call:   codeupRepository + "/tags",
		header: "X-Yunxiao-Token", query: "page perPage sort orderBy search", fields: "name commit",
		fails: []int{401, 403, 404}, failure: "errorCode errorMessage requestId",
	},
	{
		call:   codeupRepository + "/webhooks",
		header: "X-Yunxiao-Token", query: "page perPage",
		fields: codeupHook,
		fails:  []int{401, 403, 404}, failure: "errorCode errorMessage requestId",
	},
	{
		call: strings.Replace(codeupRepository, "GET", "POST", 1) + "/webhooks",
		json: codeupHookJSON, must: "url", header: "X-Yunxiao-Token", fields: codeupHook,
		fails: []int{400, 401, 403, 404}, failure: "errorCode errorMessage requestId",
	},
	{
		call: strings.Replace(codeupRepository, "GET", "PUT", 1) + "/webhooks/{hook}",
		json: codeupHookJSON, must: "url", header: "X-Yunxiao-Token", fields: codeupHook,
		fails: []int{400, 401, 403, 404}, failure: "errorCode errorMessage requestId",
	},
	{
		call:   strings.Replace(codeupRepository, "GET", "DELETE", 1) + "/webhooks/{hook}",
		header: "X-Yunxiao-Token", bare: true,
		fails: []int{401, 403, 404}, failure: "errorCode errorMessage requestId",
	},
	{
		call:   codeupRepository + "/changeRequests/{number}",
		header: "X-Yunxiao-Token",
		fields: "localId title status sourceBranch targetBranch sourceCommitId mergedRevision",
		fails:  []int{401, 403, 404}, failure: "errorCode errorMessage requestId",
	},
	{
		call:   giteeRepository + "/hooks",
		header: "Authorization", query: "page per_page", fields: giteeHook,
		fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call: strings.Replace(giteeRepository, "GET", "POST", 1) + "/hooks",
		json: giteeHookJSON, must: "url", header: "Authorization", fields: giteeHook,
		fails: []int{400, 401, 403, 404}, failure: "message",
	},
	{
		call: strings.Replace(giteeRepository, "GET", "PATCH", 1) + "/hooks/{id}",
		json: giteeHookJSON, must: "url", header: "Authorization", fields: giteeHook,
		fails: []int{400, 401, 403, 404}, failure: "message",
	},
	{
		call:   strings.Replace(giteeRepository, "GET", "DELETE", 1) + "/hooks/{id}",
		header: "Authorization", bare: true, fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call:   strings.Replace(giteeRepository, "GET", "POST", 1) + "/hooks/{id}/tests",
		header: "Authorization", bare: true, fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call:   giteeRepository + "/pulls/{number}",
		header: "Authorization", fields: "number title state head base html_url",
		fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call: "GET " + gitLabProject + "/hooks", header: "Private-Token", query: "page per_page",
		fields: gitLabHook, fails: []int{401, 403, 404},
	},
	{
		call: "POST " + gitLabProject + "/hooks", header: "Private-Token", json: gitLabHookJSON,
		must: "url", fields: gitLabHook, fails: []int{401, 403, 404, 422, 429},
	},
	{
		call: "PUT " + gitLabProject + "/hooks/{hook}", header: "Private-Token", json: gitLabHookJSON,
		must: "url", fields: gitLabHook, fails: []int{401, 403, 404, 422},
	},
	{
		call: "DELETE " + gitLabProject + "/hooks/{hook}", header: "Private-Token", bare: true,
		fails: []int{401, 403, 404},
	},
	{
		call:   "POST " + gitLabProject + "/hooks/{hook}/test/push_events",
		header: "Private-Token", bare: true, fails: []int{401, 403, 404, 422, 429},
	},
	{
		call:   "GET " + gitLabProject + "/merge_requests/{merge}",
		header: "Private-Token", fails: []int{401, 403, 404},
		fields: "iid title state source_branch target_branch sha merge_commit_sha web_url",
	},
	{
		call:   "GET codeup.aliyun.com/{path...}.git/info/refs",
		header: "Authorization", query: "service", must: "service", fails: []int{401, 403}, plain: true,
	},
	{
		call: "GET gitee.com/oauth/authorize", query: authorizeQuery + " scope",
		must: "client_id redirect_uri response_type", plain: true,
	},
	{
		call: "POST gitee.com/oauth/token", form: tokenForm + appForm, must: "grant_type",
		fields: tokenBody + "expires_in refresh_token scope created_at",
		fails:  []int{400, 401}, failure: tokenFail,
	},
	{
		call: "GET gitee.com/api/v5/user", header: "Authorization", fields: "id login name avatar_url",
		fails: []int{401, 403}, failure: "message",
	},
	{
		call: "GET gitee.com/api/v5/user/repos", header: "Authorization",
		query:  "visibility affiliation type sort direction q page per_page",
		fields: "id full_name html_url default_branch private internal permission",
		fails:  []int{401, 403}, failure: "message",
	},
	{
		call: giteeRepository, header: "Authorization",
		fields: "id full_name html_url default_branch private internal permission",
		fails:  []int{401, 403, 404}, failure: "message",
	},
	{
		call: giteeRepository + "/branches", header: "Authorization",
		query: "sort direction page per_page", fields: "name commit protected",
		fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call: giteeRepository + "/branches/{branch}", header: "Authorization",
		fields: "name commit protected", fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call: giteeRepository + "/tags", header: "Authorization",
		query: "sort direction page per_page", fields: "name message commit",
		fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call: giteeRepository + "/commits/{sha}", header: "Authorization",
		fields: "sha html_url commit", fails: []int{401, 403, 404}, failure: "message",
	},
	{
		call: giteeRepository + "/contents/{path...}", header: "Authorization", query: "ref",
		fields: "type encoding size name path content sha",
		fails:  []int{401, 403, 404}, failure: "message",
	},
	{
		call: "GET api.bitbucket.org/2.0/user/workspaces", header: "Authorization",
		query: "pagelen page", fields: "values", fails: []int{401, 403}, failure: "error type",
	},
	{
		call:   "GET api.bitbucket.org/2.0/user/workspaces/{workspace}/permissions/repositories",
		header: "Authorization", query: "q sort pagelen page", fields: "values",
		fails: []int{401, 403, 404}, failure: "error type",
	},
	{
		call: "GET github.com/login/oauth/authorize", query: authorizeQuery + " scope prompt",
		must: "client_id", plain: true,
	},
	{
		// Errors have the status 200 too.
		call: "POST github.com/login/oauth/access_token", form: tokenForm + appForm,
		must: "client_id client_secret", fields: tokenBody + "scope", failure: tokenFail,
	},
	{
		call: "GET bitbucket.org/site/oauth2/authorize", query: authorizeQuery,
		must: "client_id response_type", plain: true,
	},
	{
		call: "POST bitbucket.org/site/oauth2/access_token", header: "Authorization",
		form: tokenForm, must: "grant_type", fields: tokenBody + "expires_in scopes",
		fails: []int{400, 401}, failure: tokenFail,
	},
}

func TestTheCallsAreAsDocumented(t *testing.T) {
	patterns := make([]row, len(facts))
	for i, f := range facts {
		patterns[i] = row{call: f.call, pattern: callPattern(f.call)}
	}
	total, held := map[string]int{}, map[string]int{}
	for _, e := range recordAll(t) {
		total[e.platform]++
		i := slices.IndexFunc(patterns, func(r row) bool { return r.pattern.MatchString(e.call) })
		if i < 0 {
			continue // it is described
		}
		held[e.platform]++
		for _, wrong := range append(facts[i].request(e), facts[i].reply(e)...) {
			t.Errorf("%s, %d: %s", e.call, e.status, wrong)
		}
	}
	for _, name := range provider.Names() {
		t.Logf("%s: %d of %d calls held against the documentation", name, held[name], total[name])
	}
}

// Each call is held by a description, by the vendor's own client, or by a fact.
func TestEveryCallIsHeldBySomething(t *testing.T) {
	rows := readTable(t)
	for _, r := range rows {
		known := slices.ContainsFunc(facts, func(f fact) bool { return f.call == r.call })
		if r.sure != described && !known && !strings.Contains(r.source, "description") {
			t.Errorf("%s is %s, and no fact holds it", r.call, r.sure)
		}
		if r.sure == described && known {
			t.Errorf("%s is held twice", r.call)
		}
	}
	for _, f := range facts {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.call == f.call }) {
			t.Errorf("a fact is about %s, which isn't in the table", f.call)
		}
	}
}

// The endpoints are those that Go's OAuth library has for the two platforms that it knows.
func TestTheOAuthEndpointsAreThoseOfGo(t *testing.T) {
	var want []string
	for _, e := range []string{
		endpoints.GitHub.AuthURL, endpoints.Bitbucket.AuthURL,
	} {
		want = append(want, "GET "+strings.TrimPrefix(e, "https://"))
	}
	for _, e := range []string{
		endpoints.GitHub.TokenURL, endpoints.Bitbucket.TokenURL,
	} {
		want = append(want, "POST "+strings.TrimPrefix(e, "https://"))
	}
	rows := readTable(t)
	for _, call := range want {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.call == call }) {
			t.Errorf("%s isn't in the table", call)
		}
	}
}

// request returns what is wrong with a request, without its values.
func (f fact) request(e exchange) (wrong []string) {
	form := url.Values{}
	switch {
	case f.json != "":
		var fields map[string]any
		if err := json.Unmarshal(e.body, &fields); err != nil {
			return []string{"the body is no JSON"}
		}
		if got := e.sent.Header.Get("Content-Type"); got != "application/json" {
			wrong = append(wrong, "the body is sent as "+got)
		}
		for name := range fields {
			form.Set(name, "")
		}
	case f.bare:
		if len(e.body) > 0 {
			return []string{"there is a body"}
		}
	case e.sent.Method == http.MethodPost:
		var err error
		if form, err = url.ParseQuery(string(e.body)); err != nil {
			return []string{"the body is no form"}
		}
		if got := e.sent.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
			wrong = append(wrong, "the body is sent as "+got)
		}
	}
	query := e.sent.URL.Query()
	for name := range query {
		if !slices.Contains(strings.Fields(f.query), name) {
			wrong = append(wrong, name+" is no parameter of it")
		}
	}
	for name := range form {
		if !slices.Contains(strings.Fields(f.form+" "+f.json), name) {
			wrong = append(wrong, name+" is no field of its body")
		}
	}
	for name := range strings.FieldsSeq(f.must) {
		if !query.Has(name) && !form.Has(name) {
			wrong = append(wrong, name+" is missing")
		}
	}
	for _, name := range []string{"Authorization", "Private-Token", "X-Yunxiao-Token"} {
		if (name == f.header) != (e.sent.Header.Get(name) != "") {
			wrong = append(wrong, "the credential isn't in "+f.header)
		}
	}
	return wrong
}

// reply returns what is wrong with a reply.
func (f fact) reply(e exchange) (wrong []string) {
	if e.status >= 400 && !slices.Contains(f.fails, e.status) {
		wrong = append(wrong, "the status isn't documented")
	}
	if f.plain || f.bare && e.status < 300 {
		return wrong
	}
	var list []map[string]json.RawMessage
	if json.Unmarshal(e.reply, &list) != nil {
		var object map[string]json.RawMessage
		if json.Unmarshal(e.reply, &object) != nil {
			return append(wrong, "the reply is no JSON")
		}
		list = append(list, object)
	}
	for _, object := range list {
		fields := f.fields
		if _, failed := object["error"]; failed || e.status >= 400 {
			fields = f.failure
		}
		for name := range strings.FieldsSeq(fields) {
			if object[name] == nil {
				names := slices.Sorted(maps.Keys(object))
				wrong = append(wrong, name+" is missing in "+strings.Join(names, " "))
			}
		}
	}
	return wrong
}
