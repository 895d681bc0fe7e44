package api_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
)

func TestThePlatformsAreFiveInTheirOrder(t *testing.T) {
	w := newWorld(t)
	var got []string
	for _, p := range w.get("/v1/platforms").ok().list("platforms") {
		got = append(got, fmt.Sprint(p["platform"], " ", p["method"], " ", p["triggerBuildLimit"]))
	}
	want := []string{
		"codeup token <nil>", "gitee oauth <nil>", "github oauth <nil>", "gitlab token <nil>",
		"bitbucket oauth <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestA15_ACallerListsTheInstancesThatItMaySee(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		claims map[string]any
		want   string
	}{
		{nil, "cn-hangzhou/a/b%2F.. cn-hangzhou/cri-1 cn-shanghai/cri-1 杭州/实例 ?#1"},
		{map[string]any{"account": "beta"}, "cn-hangzhou/cri-beta"},
		{map[string]any{"account": "nobody"}, ""},
		{map[string]any{"instances": []string{"cn-shanghai/cri-1"}}, "cn-shanghai/cri-1"},
		{map[string]any{"instances": []string{}}, ""},
		{map[string]any{"instances": "cn-hangzhou/cri-beta"}, ""},
	} {
		var got []string
		as := w.issuer.token(t, tt.claims)
		r := w.do(request{method: "GET", path: "/v1/instances", as: as}).ok()
		for _, i := range r.list("instances") {
			got = append(got, fmt.Sprint(i["region"], "/", i["id"]))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v: got %q, want %q", tt.claims, got, tt.want)
		}
	}
}

// instances lists the instances through all pages, as region/id, and counts the pages.
func (w *world) instances(query url.Values, as string) (all []string, pages int) {
	w.t.Helper()
	for range 100 {
		r := w.do(request{method: "GET", path: "/v1/instances?" + query.Encode(), as: as}).ok()
		pages++
		for _, i := range r.list("instances") {
			all = append(all, fmt.Sprint(i["region"], "/", i["id"]))
		}
		cursor := r.text("cursor")
		if cursor == "" {
			return all, pages
		}
		query.Set("cursor", cursor)
	}
	w.t.Fatal("the list has no end")
	return nil, 0
}

func TestManyInstancesAreListedInPages(t *testing.T) {
	const n = 2500
	var catalogue strings.Builder
	named := make([]string, n)
	var team99 []string
	for i := range n {
		named[i] = fmt.Sprintf("r%d/i%06d", i/(n/2), i)
		fmt.Fprintf(&catalogue, `,{"type":"personal","region":"r%d","id":"i%06d","name":"Team %d"}`,
			i/(n/2), i, i%1000)
		if strings.HasPrefix(fmt.Sprint(i%1000), "99") {
			team99 = append(team99, named[i])
		}
	}
	file := filepath.Join(t.TempDir(), "instances.json")
	text := `{"acme":[` + catalogue.String()[1:] + `],"beta":[]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, env("BINDERY_INSTANCES", "file://"+file))
	some := append(slices.Clone(named[:99]), named[n-1], named[0], "r0/none", "r9/i000001")
	few := w.issuer.token(t, map[string]any{"instances": some})
	for _, tt := range []struct {
		about, as string
		query     url.Values
		want      []string
		pages     int
	}{
		{"all", "", url.Values{}, named, 3},
		{"a name", "", url.Values{"search": {"tEAM 99"}}, team99, 1},
		{"an id", "", url.Values{"search": {"I002499"}}, named[n-1:], 1},
		{"a region", "", url.Values{"search": {"R1"}}, named[n/2:], 2},
		{"nothing", "", url.Values{"search": {"team-"}}, []string{}, 1},
		{"a limited token", few, url.Values{}, append(slices.Clone(named[:99]), named[n-1]), 1},
		{"a limited token's search", few, url.Values{"search": {"2499"}}, named[n-1:], 1},
	} {
		got, pages := w.instances(tt.query, tt.as)
		if !slices.Equal(got, tt.want) || pages != tt.pages {
			t.Errorf("%s: got %d instances in %d pages, want %d in %d", tt.about, len(got), pages,
				len(tt.want), tt.pages)
		}
	}
	// A cursor shows nothing that its caller may not see.
	cursor := w.get("/v1/instances").ok().text("cursor")
	one := w.issuer.token(t, map[string]any{"instances": named[n-1:]})
	got, _ := w.instances(url.Values{"cursor": {cursor}}, one)
	if !slices.Equal(got, named[n-1:]) {
		t.Errorf("with another caller's cursor: got %q", got)
	}
	for query, want := range map[string][2]string{
		"cursor=x": {"cursor", "cursor"}, "cursor=bm8": {"cursor", "cursor"},
		"cursor=" + cursor + "&cursor=" + cursor: {"cursor", "doubled"},
		"search=" + strings.Repeat("a", 257):     {"search", "too_long"},
		"search=%00":                             {"search", "characters"},
	} {
		r := w.get("/v1/instances?"+query).refused(problem.InputMalformed, want[1])
		if detail := r.text("detail"); !strings.Contains(detail, want[0]) {
			t.Errorf("%.40s: got %q, want the field %s", query, detail, want[0])
		}
	}
}

func TestAnInstanceListsAllFivePlatforms(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	r := w.get(home).ok()
	if name := r.json()["instance"].(map[string]any)["name"]; name != "production" {
		t.Errorf("got the instance %v", name)
	}
	var got []string
	for _, b := range r.list("bindings") {
		got = append(got, fmt.Sprint(b["platform"], " ", b["status"], " ", b["method"]))
	}
	want := []string{
		"codeup unbound token", "gitee unbound oauth", "github unbound oauth",
		"gitlab bound token", "bitbucket unbound oauth",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Names with special characters, and the same id in two regions, are listed correctly.
func TestInstancesAreDistinguishedWhateverTheirNames(t *testing.T) {
	w := newWorld(t)
	names := [][2]string{
		{"cn-hangzhou", "cri-1"},
		{"cn-shanghai", "cri-1"},
		{"cn-hangzhou", "a/b%2F.."},
		{"杭州", "实例 ?#1"},
	}
	for i, name := range names {
		path := at(name[0], name[1])
		w.put(path+"/gitlab", gitlab()).ok()
		for j, other := range names {
			want := "bound"
			if j > i {
				want = "unbound"
			}
			if got := w.binding(at(other[0], other[1]), "gitlab")["status"]; got != want {
				t.Errorf("%v after %v was bound: got %v, want %s", other, name, got, want)
			}
		}
		if n := len(w.get(path + "/gitlab/history").ok().list("events")); n != 1 {
			t.Errorf("%v has %d events, want 1", name, n)
		}
	}
	if n := len(w.get("/v1/bindings").ok().list("bindings")); n != len(names) {
		t.Errorf("the account has %d bindings, want %d", n, len(names))
	}
	for _, name := range names {
		w.do(request{method: "DELETE", path: at(name[0], name[1]) + "/gitlab"}).ok()
	}
	if n := len(w.get("/v1/bindings").ok().list("bindings")); n != 0 {
		t.Errorf("after unbinding the account has %d bindings", n)
	}
}

// account lists the account's bindings as region/id/platform, through all pages.
func (w *world) account(query url.Values, as string) []string {
	w.t.Helper()
	var all []string
	for range 1000 {
		r := w.do(request{method: "GET", path: "/v1/bindings?" + query.Encode(), as: as}).ok()
		for _, b := range r.list("bindings") {
			i := b["instance"].(map[string]any)
			all = append(all, fmt.Sprint(i["region"], "/", i["id"], "/", b["platform"]))
		}
		cursor := r.text("cursor")
		if cursor == "" {
			slices.Sort(all)
			return all
		}
		query.Set("cursor", cursor)
	}
	w.t.Fatal("the list has no end")
	return nil
}

func TestTheAccountListsItsBindingsByStatusAndPlatform(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab("token", "glpat-sandbox-alice-soon")).ok()
	w.put(home+"/codeup", codeup()).ok()
	w.put(at("cn-shanghai", "cri-1")+"/gitlab", bobs()).ok()
	w.put(at("cn-hangzhou", "a/b%2F..")+"/gitlab", gitlab()).ok()
	w.do(request{method: "DELETE", path: at("cn-hangzhou", "a/b%2F..") + "/gitlab"}).ok()
	for _, tt := range []struct {
		query url.Values
		want  string
	}{
		{url.Values{}, "cn-hangzhou/cri-1/codeup cn-hangzhou/cri-1/gitlab cn-shanghai/cri-1/gitlab"},
		{url.Values{"platform": {"codeup"}}, "cn-hangzhou/cri-1/codeup"},
		{url.Values{"status": {"expiring"}}, "cn-hangzhou/cri-1/gitlab"},
		{url.Values{"status": {"bound"}, "platform": {"gitlab"}}, "cn-shanghai/cri-1/gitlab"},
		{url.Values{"status": {"revoked"}}, ""},
	} {
		if got := strings.Join(w.account(tt.query, ""), " "); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestA15_ACallerListsTheBindingsOfTheInstancesThatItMaySee(t *testing.T) {
	w := newWorld(t)
	w.put(home+"/gitlab", gitlab()).ok()
	w.put(at("cn-shanghai", "cri-1")+"/gitlab", bobs()).ok()
	for _, tt := range []struct {
		claims map[string]any
		want   string
	}{
		{nil, "cn-hangzhou/cri-1/gitlab cn-shanghai/cri-1/gitlab"},
		{map[string]any{"instances": "cn-shanghai/cri-1"}, "cn-shanghai/cri-1/gitlab"},
		{map[string]any{"instances": []string{}}, ""},
		{map[string]any{"account": "beta"}, ""},
	} {
		as := w.issuer.token(t, tt.claims)
		if got := strings.Join(w.account(url.Values{}, as), " "); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.claims, got, tt.want)
		}
	}
}

// newWorldOfPages returns a world whose account has more bindings than a page of the list, and the
// bindings as region/id/platform.
func newWorldOfPages(t *testing.T) (w *world, bound []string) {
	t.Helper()
	var instances []string
	for i := range 104 { // more than a page
		instances = append(instances,
			fmt.Sprintf(`{"type": "personal", "region": "r", "id": "i%03d", "name": ""}`, i))
	}
	w = newWorld(t, env("BINDERY_INSTANCES", `{"acme":[`+strings.Join(instances, ",")+`]}`))
	for i := range 104 {
		if i%20 == 0 {
			w.clock.Advance(time.Minute) // the limit of binds
		}
		id := fmt.Sprintf("i%03d", i)
		w.put(at("r", id)+"/gitlab", gitlab()).ok()
		bound = append(bound, "r/"+id+"/gitlab")
	}
	return w, bound
}

// The cursor is base64 of a row's key, and the key names an instance.
func TestA15_ANarrowedCallersListNamesNoOtherInstance(t *testing.T) {
	w, _ := newWorldOfPages(t)
	wide := w.get("/v1/bindings").ok().text("cursor")
	as := w.issuer.token(t, map[string]any{"instances": "r/i001 r/i102"})
	r := w.do(request{method: "GET", path: "/v1/bindings", as: as}).ok()
	if cursor := r.text("cursor"); cursor != "" {
		named, _ := base64.RawURLEncoding.DecodeString(cursor)
		t.Errorf("the cursor names a row that the caller may not see: %s", named)
	}
	if got := len(r.list("bindings")); got != 2 {
		t.Errorf("the list has %d bindings, want 2", got)
	}
	w.do(request{method: "GET", path: "/v1/bindings?cursor=" + wide, as: as}).
		refused(problem.InputMalformed, "cursor")
}

func TestTheAccountsListHasACursor(t *testing.T) {
	w, want := newWorldOfPages(t)
	if got := w.account(url.Values{}, ""); !slices.Equal(got, want) {
		t.Errorf("got %d bindings, want %d, each once", len(got), len(want))
	}
	first := w.get("/v1/bindings").ok()
	if len(first.list("bindings")) == 104 || first.text("cursor") == "" {
		t.Error("a page holds everything")
	}
	for _, cursor := range []string{"nonsense", "!", strings.Repeat("a", 3000)} {
		w.get("/v1/bindings?cursor="+cursor).refused(problem.InputMalformed, "cursor")
		w.get(at("r", "i001")+"/gitlab/history?cursor="+cursor).
			refused(problem.InputMalformed, "cursor")
	}
}

func TestTheHistoryHasEveryEventOnceBeforeAndAfterASweep(t *testing.T) {
	w := newWorld(t)
	list := func() []string {
		var types []string
		for _, e := range w.get(home + "/gitlab/history").ok().list("events") {
			types = append(types, fmt.Sprint(e["type"], " ", e["at"]))
		}
		return types
	}
	var want []string
	step := func(event string) {
		t.Helper()
		at := w.clock.Now().Format(time.RFC3339)
		want = append([]string{"binding." + event + " " + at}, want...)
		if got := list(); !slices.Equal(got, want) {
			t.Fatalf("after %s: got %q, want %q", event, got, want)
		}
		w.clock.Advance(time.Second)
	}
	if got := list(); len(got) != 0 {
		t.Errorf("before the first bind: %q", got)
	}
	w.put(home+"/gitlab", gitlab()).ok()
	step("bound")
	for range 10 { // more than a record holds
		w.put(home+"/gitlab", bobs()).ok()
		step("rebound")
	}
	w.sweep()
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("after a sweep: got %q, want %q", got, want)
	}
	w.do(request{method: "DELETE", path: home + "/gitlab"}).ok()
	step("unbound")
	w.clock.Advance(time.Hour)
	w.sweep() // the row is deleted now
	w.sweep()
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("after the row has gone: got %q, want %q", got, want)
	}
	w.put(home+"/gitlab", gitlab()).ok()
	step("bound")
}

func TestALongHistoryHasACursor(t *testing.T) {
	w := newWorld(t)
	path := home + "/gitlab"
	for i := range 60 {
		w.clock.Advance(2 * time.Minute)
		if i%5 == 0 {
			w.sweep() // the secrets of before
		}
		w.put(path, gitlab()).ok()
		w.do(request{method: "DELETE", path: path}).ok()
	}
	var ids []string
	cursor := ""
	for page := 0; page == 0 || cursor != ""; page++ {
		if page > 10 {
			t.Fatal("the history has no end")
		}
		query := ""
		if cursor != "" {
			query = "?cursor=" + url.QueryEscape(cursor)
		}
		r := w.get(path + "/history" + query).ok()
		for _, e := range r.list("events") {
			ids = append(ids, e["id"].(string))
		}
		cursor = r.text("cursor")
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); len(ids) != 120 || n != 120 {
		t.Errorf("got %d events, %d different ones, want 120", len(ids), n)
	}
}
