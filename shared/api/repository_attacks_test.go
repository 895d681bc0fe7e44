package api_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// wantLike fails unless both replies are the same problem, but for their ids.
func wantLike(t *testing.T, what string, got, want reply) {
	t.Helper()
	if got.status != want.status || string(withoutID(got)) != string(withoutID(want)) {
		t.Errorf("%s: got %d %s\nwant %d %s", what, got.status, got.body, want.status, want.body)
	}
}

func TestE17_AKeyOfAnotherBindingOrForgedIsOneThatDoesNotExist(t *testing.T) {
	w, s, list := newShelfWorld(t)
	shanghai := at("cn-shanghai", "cri-1") + "/gitlab"
	beta := w.issuer.token(t, map[string]any{"account": "beta"})
	theirs := at("cn-hangzhou", "cri-beta") + "/gitlab"
	w.put(shanghai, gitlab()).ok()
	w.do(request{method: "PUT", path: theirs, body: gitlab(), as: beta}).ok()
	w.bindBy("github", "alice")
	key := w.keys(list)[0]
	sealed, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	otherID := append(append([]byte{}, sealed[:len(sealed)-1]...), '2')
	foreign := map[string]string{
		"the platform's own id": "1",
		"another id":            base64.RawURLEncoding.EncodeToString(otherID),
		"only the hash":         base64.RawURLEncoding.EncodeToString(sealed[:12]),
		"a line break in it":    key[:4] + "%0A" + key[4:],
		"padding":               key + "=",
		"no base64":             "%2E%2E%2F1",
		"another instance's":    w.keys(shanghai + "/repositories")[0],
		"another platform's":    w.keys(gitHub + "/repositories")[0],
		"another account's": w.do(request{
			method: "GET", path: theirs + "/repositories", as: w.looker("account", "beta"),
		}).ok().list("repositories")[0]["key"].(string),
		"a cursor": w.look(list).ok().text("cursor"),
	}
	w.put(home+"/gitlab", bobs()).ok()
	foreign["another identity's"] = key
	s.change(func() { s.list = s.list[:2] })
	mine := w.keys(list)[1]
	s.change(func() { s.list = s.list[:1] })
	want := w.look(list+"/"+mine).refused(problem.RepositoryUnknown, "")
	s.calls()
	for what, key := range foreign {
		for _, path := range []string{
			"", "/branches", "/tags", "/commits/heads%2Fmain", "/files/Dockerfile?ref=heads/main",
		} {
			got := w.look(list+"/"+key+path).refused(problem.RepositoryUnknown, "")
			wantLike(t, what+", "+path, got, want)
		}
		wantLike(t, what+" for git", w.do(request{
			method: "POST", path: home + "/gitlab/credential?repository=" + key, as: w.build(),
		}), want)
	}
	if got := s.calls(); len(got) != 0 {
		t.Errorf("the platform was asked %q", got)
	}
}

func TestE17_ACursorHoldsForItsOwnListOnly(t *testing.T) {
	w, s, list := newShelfWorld(t)
	shanghai := at("cn-shanghai", "cri-1") + "/gitlab"
	w.put(shanghai, gitlab()).ok()
	keys := w.keys(list)
	cursor := func(path string) string { return w.look(path).ok().text("cursor") }
	good := cursor(list)
	cursors := map[string]string{
		"the platform's own": "2",
		"forged":             good[:len(good)-2] + "NA",
		"cut":                good[:8],
		"a key":              keys[0],
		"a history's":        "djE",
		"another instance's": cursor(shanghai + "/repositories"),
		"another search's":   cursor(list + "?search=web"),
		"the branches'":      cursor(list + "/" + keys[0] + "/branches"),
		"with a break":       good[:4] + "%0A" + good[4:],
	}
	w.look(list + "?cursor=" + good).ok()
	branches, others := list+"/"+keys[0]+"/branches", list+"/"+keys[1]+"/branches"
	ofBranches := cursor(branches)
	w.look(branches + "?cursor=" + ofBranches).ok()
	s.calls()
	for what, path := range map[string]string{
		"tags": list + "/" + keys[0] + "/tags?", "another repository": others + "?",
		"another search": branches + "?search=a&",
	} {
		w.look(path+"cursor="+ofBranches).refused(problem.InputMalformed, "cursor")
		if n := len(s.calls()); n != 0 {
			t.Errorf("the cursor of a list of branches at %s: %d calls", what, n)
		}
	}
	for what, c := range cursors {
		w.look(list+"?cursor="+c).refused(problem.InputMalformed, "cursor")
		if n := len(s.calls()); n != 0 {
			t.Errorf("%s: %d calls", what, n)
		}
	}
	w.put(home+"/gitlab", bobs()).ok()
	w.look(list+"?cursor="+good).refused(problem.InputMalformed, "cursor")
}

func TestE18_ACallerNarrowedToOtherInstancesSeesNoRepository(t *testing.T) {
	w, s, list := newShelfWorld(t)
	key := w.keys(list)[0]
	s.calls()
	w.table.reset(nil)
	narrowed := w.looker("instances", []string{"cn-shanghai/cri-1"})
	for _, path := range []string{
		"", "/" + key, "/" + key + "/branches", "/" + key + "/commits/heads%2Fmain",
		"/" + key + "/files/Dockerfile?ref=heads/main",
	} {
		ask := func(list, as string) reply {
			return w.do(request{method: "GET", path: list + path, as: as}).
				refused(problem.InstanceUnknown, "")
		}
		want := ask(at("cn-hangzhou", "no-such")+"/gitlab/repositories", narrowed)
		wantLike(t, path, ask(list, narrowed), want)
		wantLike(t, path+" of another account", ask(list, w.looker("account", "beta")), want)
	}
	if n := len(s.calls()) + len(w.table.made()); n != 0 {
		t.Errorf("%d calls were made", n)
	}
	w.do(request{
		method: "GET", path: list, as: w.looker("instances", []string{"cn-hangzhou/cri-1"}),
	}).ok()
}

// hostile is text that a repository can hold, or that a platform may say that it holds.
const hostile = "<script>alert(1)</script>\r\nSet-Cookie: a=b\x00\x1b[31m../../etc"

func TestE10_HostileNamesAreDataOnly(t *testing.T) {
	w, s, list := newShelfWorld(t)
	s.list[0].Name, s.list[0].DefaultBranch = hostile, hostile
	s.refs[0].Name = hostile
	r := w.look(list).ok()
	testkit.Want(t, "the name", r.list("repositories")[0]["name"], any(hostile))
	one := list + "/" + r.list("repositories")[0]["key"].(string)
	branches := w.look(one + "/branches").ok()
	testkit.Want(t, "the branch", branches.list("refs")[0]["name"], any(hostile))
	for _, reply := range []reply{
		r, branches,
		w.look(one+"/commits/"+url.PathEscape("heads/no"+hostile)).refused(problem.RefUnknown, ""),
		w.look(one+"/commits/~"+base64.RawURLEncoding.EncodeToString([]byte("heads/no"+hostile))).
			refused(problem.RefUnknown, ""),
		w.look(one+"/files/"+url.PathEscape(hostile)+"?ref=heads/main").
			refused(problem.FileUnknown, ""),
	} {
		kind := reply.header.Get("Content-Type")
		if !strings.HasPrefix(kind, "application/") || reply.header.Get("Set-Cookie") != "" ||
			reply.header.Get("X-Content-Type-Options") != "nosniff" ||
			strings.Contains(fmt.Sprint(reply.header), "script") {
			t.Errorf("the headers are %v", reply.header)
		}
		if strings.ContainsAny(string(reply.body), "\r\x00\x1b") {
			t.Errorf("control characters are in the body as they are: %q", reply.body)
		}
	}
}

func TestE10_AFileIsNeverAPage(t *testing.T) {
	w, s, list := newShelfWorld(t)
	page := "<!doctype html><script>alert(document.domain)</script>"
	s.files["index.html"], s.files["logo.png"] = page, "\x89PNG\r\n\x1a\n\xff"
	one := list + "/" + w.keys(list)[0]
	for path, kind := range map[string]string{
		"index.html": "text/plain; charset=utf-8", "logo.png": "application/octet-stream",
	} {
		r := w.look(one + "/files/" + path + "?ref=heads/main").ok()
		testkit.Want(t, path, string(r.body), s.files[path])
		for name, want := range map[string]string{
			"Content-Type": kind, "X-Content-Type-Options": "nosniff",
			"Content-Disposition": "attachment", "Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'; sandbox",
			"Referrer-Policy":         "no-referrer",
		} {
			testkit.Want(t, path+": "+name, r.header.Get(name), want)
		}
	}
}

func TestE19_ACredentialIsForItsPlatformsHostOnly(t *testing.T) {
	w, _, list := newGitHubShelf(t)
	site := w.boxURL // GitHub's origin here
	credential := gitHub + "/credential?format=git&repository="
	for _, address := range []string{
		"https://evil.example/alice/hello.git",
		"https://gitlab.example/alice/hello.git",
		strings.Replace(site, "://", "://alice@", 1) + "/alice/hello.git",
		strings.Replace(site, "://", "://x:y@", 1) + "/alice/hello.git",
		strings.Replace(site, "://", "://evil.example/", 1),
		site + ".evil.example/alice/hello.git",
		site + "@evil.example/alice/hello.git",
		site + `\@evil.example/alice/hello.git`,
		strings.Replace(site, "http", "ssh", 1) + "/alice/hello.git",
		strings.Replace(site, "http:", "https:", 1) + "/alice/hello.git",
		strings.TrimPrefix(site, "http:") + "/alice/hello.git", // no scheme
		"git@github.com:alice/hello.git", ":", "file:///etc/passwd",
	} {
		r := w.do(request{
			method: "POST", path: credential + url.QueryEscape(address), as: w.build(),
		}).refused(problem.InputMalformed, "host")
		readsWell(t, r.json(), problem.English)
	}
	for _, good := range []string{
		site + "/alice/hello.git", strings.ToUpper(site[:5]) + site[5:] + "/x/y", w.keys(list)[0],
	} {
		w.do(request{method: "POST", path: credential + url.QueryEscape(good), as: w.build()}).ok()
	}
	const line = "input_malformed cn-hangzhou cri-1 github"
	if got := w.denials(); !strings.Contains(fmt.Sprint(got), line) {
		t.Errorf("the refusals have no audit line: %q", got)
	}
}

func TestGitReadsTheCredentialAsLines(t *testing.T) {
	w, _, _ := newGitHubShelf(t)
	w.clock.Advance(8 * time.Hour)
	r := w.do(request{method: "POST", path: gitHub + "/credential?format=git", as: w.build()}).ok()
	access := w.accessOf(keyAt("cn-hangzhou", "cri-1", "github"))
	want := fmt.Sprintf("username=x-access-token\npassword=%s\npassword_expiry_utc=%d\n",
		access.Reveal(), w.clock.Now().Add(8*time.Hour).Unix())
	if string(r.body) != want { // a failing test must not print it
		t.Errorf("the reply differs in its %d bytes, want %d", len(r.body), len(want))
	}
	testkit.Want(t, "the type", r.header.Get("Content-Type"), "text/plain; charset=utf-8")
	testkit.Want(t, "caching", r.header.Get("Cache-Control"), "no-store")
	for _, path := range []string{"?format=json", "?format=git&format=git"} {
		w.do(request{
			method: "POST", path: gitHub + "/credential" + path, as: w.build(), odd: true,
		}).refused(problem.InputMalformed, map[bool]string{true: "doubled"}[strings.Contains(path, "&")])
	}
}

// A name with a line break would tell git of another host.
func TestD9_AUserNameOfTwoLinesReachesNoGit(t *testing.T) {
	s := newShelf()
	w := newConsentWorld(t, s.on, func(_ map[string]string, w *world) {
		for i, r := range w.platforms {
			if make := r.New; r.Name == provider.GitHub {
				w.platforms[i].New = func(e provider.Environment) provider.Platform {
					return twoLines{make(e).(provider.OAuthPlatform)}
				}
			}
		}
	})
	w.bindBy("github", "alice")
	r := w.do(request{method: "POST", path: gitHub + "/credential?format=git", as: w.build()})
	r.refused(problem.Internal, "")
}

// The sandbox's replies hold what the platforms' hold: GitLab's runners_token, GitHub's
// temp_clone_token, the user's name in Bitbucket's clone addresses.
func TestE9_NothingSecretOfAPlatformsReplyIsPassedOn(t *testing.T) {
	w := newConsentWorld(t)
	w.put(home+"/codeup", codeup()).ok()
	w.put(home+"/gitlab", gitlab()).ok()
	for _, platform := range []sandbox.Platform{sandbox.Gitee, sandbox.GitHub, sandbox.Bitbucket} {
		w.bindBy(platform, "alice")
	}
	for _, platform := range provider.Names() {
		list := home + "/" + platform + "/repositories"
		page := w.look(list).ok()
		replies := []reply{page}
		for len(page.list("repositories")) == 0 && page.json()["cursor"] != nil {
			page = w.look(list + "?cursor=" + url.QueryEscape(page.text("cursor"))).ok()
			replies = append(replies, page)
		}
		for _, r := range page.list("repositories") {
			one := w.look(list + "/" + r["key"].(string)).ok()
			replies = append(replies, one)
			if u, err := url.Parse(one.text("url")); err != nil || u.User != nil || u.Host == "" {
				t.Errorf("%s: the clone address is %s", platform, one.text("url"))
			}
		}
		if len(replies) < 3 {
			t.Errorf("%s: only %d replies were looked at", platform, len(replies))
		}
		for _, r := range replies {
			for _, word := range []string{"runners", "temporary-clone-token", "temp_clone", "@"} {
				if strings.Contains(string(r.body), word) {
					t.Errorf("%s: a reply holds %q", platform, word)
				}
			}
			w.wantNoSecret("a reply of "+platform, r.body)
		}
	}
	for _, word := range []string{"runners-token", "temporary-clone-token"} {
		if strings.Contains(w.log.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
}
