package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"bindery/shared/console"
	"bindery/shared/testkit"
)

// hostileName is what a platform may call a repository.
const hostileName = `<img src=x onerror="document.title='run'">&amp;` + "\u202e\x1b[31m"

// shelf is a Bindery whose one binding, of GitLab, has the repositories that a test wants it to
// have.
type shelf struct {
	url string
	mux *http.ServeMux

	mu     sync.Mutex
	answer func(search, cursor string) (status int, body any)
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	mux := http.NewServeMux()
	s := &shelf{mux: mux}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	mux.Handle("/", console.Handler(console.Options{PublicURL: s.url, ConsoleURL: s.url, Dev: true}))
	mux.HandleFunc("/dev/token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "not-a-token")
	})
	const bindings = "/v1/instances/cn-hangzhou/cri-1/bindings"
	for path, body := range map[string]object{
		"/v1/platforms": {"platforms": []object{{
			"platform": "gitlab", "title": "GitLab", "method": "token",
		}}},
		"/v1/instances": {"instances": []object{{
			"region": "cn-hangzhou", "id": "cri-1", "name": "one", "type": "enterprise",
		}}},
		bindings: {"bindings": []object{{
			"platform": "gitlab", "status": "bound", "method": "token", "warnings": []object{},
		}}},
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			replyJSON(w, http.StatusOK, body)
		})
	}
	mux.HandleFunc(bindings+"/gitlab/repositories", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		status, body := answer(r.FormValue("search"), r.FormValue("cursor"))
		replyJSON(w, status, body)
	})
	return s
}

func replyJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// answers sets what the list of repositories answers from now on.
func (s *shelf) answers(answer func(search, cursor string) (int, any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// listOf returns a page with repositories of these names.
func listOf(cursor any, notices []object, names ...string) object {
	repositories := []object{}
	for _, name := range names {
		repositories = append(repositories, object{
			"key": "key", "name": name, "url": "https://gitlab.example/a/b.git", "webUrl": "",
			"defaultBranch": "main", "visibility": "private", "empty": true,
		})
	}
	return object{"repositories": repositories, "cursor": cursor, "notices": notices}
}

// openRepositories opens the page in a language and then, by the keyboard, the drawer.
func (s *shelf) openRepositories(b *tab, language string) {
	b.t.Helper()
	b.open(s.url + "/")
	b.fill("#language", language)
	b.waitReady("#row-gitlab")
	b.focus("repositories-gitlab")
	b.key("\r")
	b.waitReady("#drawer[open]")
	b.wantFocus("the drawer is open", "repository-search")
}

// wantList waits until the list has exactly the entries of these names.
func (b *tab) wantList(names ...string) {
	b.t.Helper()
	want := strings.Join(names, "\n")
	b.until("the list "+want, pageIdle+` && [...document.querySelectorAll(
		"#repository-search-list .choice-name")].map((one) => one.textContent).join("\n") === `+
		jsString(want))
}

// wantSaid waits until an element that is announced shows the text.
func (b *tab) wantSaid(selector, text string) {
	b.t.Helper()
	b.until(text, pageIdle+` && document.querySelector(`+jsString(selector)+`)?.innerText.includes(`+
		jsString(text)+`) && document.querySelector(`+jsString(selector)+`).
		matches("[role=status], [role=alert], .notices")`)
}

func TestBrowserShowsTheAnswerToTheLatestSearch(t *testing.T) {
	s := newShelf(t)
	asked, release := make(chan string, 9), make(chan struct{})
	s.answers(func(search, _ string) (int, any) {
		asked <- search
		if search == "a" {
			<-release
		}
		return http.StatusOK, listOf(nil, nil, "found by "+search)
	})
	b := newBrowser(t)
	s.openRepositories(b, "en")
	testkit.Want(t, "the first question", <-asked, "")
	b.key("a")
	testkit.Want(t, "the second question", <-asked, "a")
	b.key("b")
	testkit.Want(t, "the third question", <-asked, "ab")
	const list = `document.getElementById("repository-search-list").innerText`
	b.until("the answer to ab", list+`.includes("found by ab")`)
	close(release)
	b.waitReady() // the older answer has arrived
	b.wantList("found by ab")
	b.wantFocus("while typing", "repository-search")
	if got := b.innerText("#repository-search-state"); got != "Found: 1" {
		t.Errorf("the page says %q", got)
	}
}

// A search starts when the reader stops typing, not at each letter.
func TestBrowserAsksOnceForAWordThatIsTypedAtOnce(t *testing.T) {
	s := newShelf(t)
	asked := make(chan string, 9)
	s.answers(func(search, _ string) (int, any) {
		asked <- search
		return http.StatusOK, listOf(nil, nil, "found by "+search)
	})
	b := newBrowser(t)
	s.openRepositories(b, "en")
	b.text(`["h", "he", "hel", "hello"].map((text) => {
		document.activeElement.value = text;
		document.activeElement.dispatchEvent(new Event("input"));
	})`)
	b.wantList("found by hello")
	close(asked)
	var all []string
	for search := range asked {
		all = append(all, search)
	}
	testkit.Want(t, "the questions", strings.Join(all, ","), ",hello")
}

func TestBrowserLeadsThroughALongListByKeyboard(t *testing.T) {
	s := newShelf(t)
	s.answers(func(_, cursor string) (int, any) {
		switch cursor {
		case "":
			return http.StatusOK, listOf("empty", nil, "one", "two")
		case "empty":
			return http.StatusOK, listOf("last", nil)
		}
		return http.StatusOK, listOf(nil, nil, "three")
	})
	b := newBrowser(t)
	s.openRepositories(b, "en")
	b.wantList("one", "two")
	b.wantSaid("#repository-search-state", "Found so far: 2")
	b.focus("repository-search-more")
	b.key("\r")
	b.wantList("one", "two", "three")
	b.wantSaid("#repository-search-state", "Found: 3")
	focused := `document.activeElement.querySelector(".choice-name")?.textContent`
	testkit.Want(t, "the focus after more", b.text(focused), "three")
	b.key("\r")
	b.waitReady("#drawer .note.plain")
	testkit.Want(t, "the focus in the repository", b.text("document.activeElement.tagName"), "H3")
	b.closeView()
	testkit.Want(t, "the focus after going back", b.text(focused), "three")
	// The browser tells of a closed drawer when the next one is open already.
	b.text(`(document.getElementById("drawer").close(),
		document.getElementById("repositories-gitlab").click())`)
	b.waitReady("#drawer[open] #repository-search-list li")
	b.key("\x1b")
	b.waitReady("#drawer:not([open])")
	b.wantFocus("after Escape", "repositories-gitlab")
}

// refusal returns a problem as the API writes it.
func refusal(code string, status int) object {
	return object{
		"code": code, "status": status, "title": "title", "detail": "detail of " + code,
		"remedy": "See https://fix.example/page, then try again.",
	}
}

func TestBrowserSaysWhyAListOfRepositoriesIsNotWhole(t *testing.T) {
	s := newShelf(t)
	b := newBrowser(t)
	b.until("a page", pageIdle)
	for language, words := range map[string]struct{ none, unmatched, retry string }{
		"en":    {"lists no repository", "Nothing matches “zz”.", "Try again"},
		"zh-CN": {"没有列出此账号的任何代码仓库", "没有与“zz”匹配的结果。", "重试"},
	} {
		hidden := []object{refusal("repositories_hidden", 0)}
		s.answers(func(string, string) (int, any) { return http.StatusOK, listOf(nil, hidden) })
		s.openRepositories(b, language)
		b.wantSaid("#repository-search-state", words.none)
		b.wantSaid("#repository-search-notices", "detail of repositories_hidden")
		link := b.text(`document.querySelector("#repository-search-notices a").href`)
		testkit.Want(t, "the page that helps", link, "https://fix.example/page")
		b.fill("#repository-search", "zz")
		b.wantSaid("#repository-search-state", words.unmatched)

		s.answers(func(string, string) (int, any) {
			return http.StatusServiceUnavailable, refusal("storage_unavailable", 503)
		})
		b.fill("#repository-search", "yy")
		b.wantSaid("#repository-search-problem", "detail of storage_unavailable")
		testkit.Want(t, "the button", b.innerText("#repository-search-more"), words.retry)
		s.answers(func(string, string) (int, any) { return http.StatusOK, listOf(nil, nil, "yy") })
		b.focus("repository-search-more")
		b.key("\r")
		b.wantList("yy")
		testkit.Want(t, "the focus", b.text(`document.activeElement.className`), "choice")
		testkit.Want(t, "the search", b.value("#repository-search"), "yy")

		s.answers(func(string, string) (int, any) {
			return http.StatusForbidden, refusal("scope_missing", 403)
		})
		b.fill("#repository-search", "xx")
		b.wantSaid("#repository-search-problem", "detail of scope_missing")
		if b.text(`document.getElementById("repository-search-more").hidden`) != "true" {
			t.Error("the page offers to try again what can't succeed")
		}
	}
}

func TestE10_InABrowserAHostileNameIsText(t *testing.T) {
	s := newShelf(t)
	s.answers(func(string, string) (int, any) {
		page := listOf(nil, nil, hostileName)
		one := page["repositories"].([]object)[0]
		one["url"], one["webUrl"] = "https://a$(id);'.example/a.git", "javascript:alert(1)"
		one["defaultBranch"] = hostileName
		return http.StatusOK, page
	})
	b := newBrowser(t)
	s.openRepositories(b, "en")
	b.wantList(hostileName)
	b.choose("repository-search", hostileName)
	b.waitReady("#drawer .note.plain")
	testkit.Want(t, "the name",
		b.text(`document.querySelector("#drawer h3").textContent`), hostileName)
	testkit.Want(t, "images, links and lines for a shell",
		b.text(`document.querySelectorAll("#drawer :is(img, a, #helper)").length`), "0")
}
