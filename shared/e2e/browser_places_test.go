package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"bindery/shared/console"
	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

const (
	fragment = "location.hash"
	unnamed  = "#open-cn-beijing\\/cri-2" // the overview has an instance
)

func TestBrowserOpensThePlaceThatItsAddressNames(t *testing.T) {
	s := newSites(t, "localhost")
	b := newBrowser(t)
	b.open(s.console + "/#/cn-hangzhou/cri-1/gitlab")
	b.click("#signin")
	b.click("#be-ann")
	b.waitReady("#row-gitlab.here")
	testkit.Want(t, "the instance", b.value("#instance"), "cn-hangzhou/cri-1")
	testkit.Want(t, "the address", b.text(fragment), "#/cn-hangzhou/cri-1/gitlab")
	b.wantFocus("the address names a row", "row-gitlab")
	s.bind(b, "gitee", "alice")
	b.waitReady(boundSelector("gitee"))
	testkit.Want(t, "the address after a consent", b.text(fragment), "#/cn-hangzhou/cri-1")
	b.reload()
	b.waitReady(boundSelector("gitee"))
	testkit.Want(t, "the address after a reload", b.text(fragment), "#/cn-hangzhou/cri-1")

	b.fill("#instance", "cn-shanghai/crp-3")
	b.waitReady(unboundSelector("gitee"))
	testkit.Want(t, "the address", b.text(fragment), "#/cn-shanghai/crp-3")
	b.text("history.back()")
	b.waitReady(boundSelector("gitee"), "#instance option:checked[value='cn-hangzhou/cri-1']")
	b.click("#all")
	b.waitReady(unnamed, "[data-instance='cn-hangzhou/cri-1'] .mini[data-status=bound]")
	testkit.Want(t, "the overview's address", b.text(fragment), "")
	b.text("history.back()")
	b.waitReady(boundSelector("gitee"))
	b.text("location.hash = '#/cn-hangzhou/cri-1/github'")
	b.waitReady("#row-github.here")
	b.wantFocus("another address is typed", "row-github")
}

func TestBrowserSaysThatItsAddressNamesNoInstance(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	for language, words := range map[string]string{"en": "not among yours", "zh-CN": "不在您的实例列表中"} {
		b.fill("#language", language)
		b.waitReady("html[lang=" + language + "]")
		for _, place := range []string{"cn-hangzhou/cri-2", "attacker/<b>x", "a/b/c", "%00/constructor"} {
			b.open(s.console + "/?to#/" + place)
			b.waitReady(unnamed, "#result .note.bad")
			b.wantShown("#result", words)
			testkit.Want(t, "the address", b.text(fragment), "")
		}
	}
	for _, place := range []string{"", "cn-hangzhou", "/cri-2", "a/b/c/d", "%zz/a"} {
		b.open(s.console + "/?to#/" + place)
		b.waitReady(unnamed, "#result:empty")
		testkit.Want(t, "requests for an instance without a name", b.text(
			`performance.getEntriesByType("resource").filter(
				({ name }) => name.includes("undefined")).length`), "0")
		testkit.Want(t, "the address", b.text(fragment), "")
	}
}

func TestBrowserFindsTheBrokenBindingInTheOverview(t *testing.T) {
	s := newSites(t, "localhost")
	b := s.signIn(newBrowser(t), "ann")
	b.fill("#instance", "cn-shanghai/crp-3")
	b.waitReady(unboundSelector("gitee"))
	s.bind(b, "github", "alice")
	b.waitReady(boundSelector("github"))
	s.box.RevokeTokens(sandbox.GitHub, "alice")
	b.click("#check-github")
	b.waitReady("#status-github[data-status=revoked]", "#result .note.bad")
	for language, words := range map[string]string{"en": "GitHub: Revoked", "zh-CN": "GitHub：已撤销"} {
		b.fill("#language", language)
		b.click("#all")
		b.waitReady("#instances > li:first-child[data-instance='cn-shanghai/crp-3'] .words")
		testkit.Want(t, "the words", b.innerText("#instances > li:first-child .words"), words)
		b.wantShown("#attention", "1")
		b.fill("#filter-status", "attention")
		testkit.Want(t, "instances that need attention",
			b.text("document.querySelectorAll('#instances > li').length"), "1")
		b.click("#instances .words a")
		b.waitReady("#row-github.here", "#problem-github", "#bind-github.primary")
		b.wantFocus("the broken binding is chosen", "row-github")
	}
}

// many serves the page at an address, and an account with thousands of instances, two bindings
// each, a hundred a page.
func many(url string, instances int) http.Handler {
	mux := http.NewServeMux()
	of := func(i int) object {
		return object{
			"region": []string{"cn-beijing", "cn-hangzhou"}[i%2], "id": fmt.Sprintf("cri-%04d", i),
			"name": fmt.Sprintf("team-%04d", i), "type": "enterprise",
		}
	}
	mux.Handle("/", console.Handler(console.Options{
		PublicURL: url, ConsoleURL: url, Dev: true,
	}))
	mux.HandleFunc("/dev/token", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "not-a-token")
	})
	mux.HandleFunc("/v1/platforms", func(w http.ResponseWriter, _ *http.Request) {
		var all []object
		for _, name := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
			all = append(all, object{"platform": name, "title": name, "method": "token"})
		}
		replyJSON(w, http.StatusOK, object{"platforms": all})
	})
	mux.HandleFunc("/v1/instances", func(w http.ResponseWriter, _ *http.Request) {
		var all []object
		for i := range instances {
			all = append(all, of(i))
		}
		replyJSON(w, http.StatusOK, object{"instances": all})
	})
	mux.HandleFunc("/v1/bindings", func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.FormValue("cursor"))
		page := []object{}
		for i := from; i < min(from+50, instances); i++ {
			for _, name := range []string{"github", "gitlab"} {
				status := "bound"
				if i == instances-2 && name == "gitlab" {
					status = "expired"
				}
				page = append(page, object{
					"instance": of(i), "platform": name, "status": status, "method": "token",
				})
			}
		}
		var cursor any
		if from+50 < instances {
			cursor = strconv.Itoa(from + 50)
		}
		replyJSON(w, http.StatusOK, object{"bindings": page, "cursor": cursor})
	})
	const one = "/v1/instances/{region}/{id}/bindings"
	mux.HandleFunc(one, func(w http.ResponseWriter, _ *http.Request) {
		replyJSON(w, http.StatusOK, object{"bindings": []object{{
			"platform": "gitlab", "status": "bound", "method": "token", "warnings": []object{},
		}}})
	})
	return mux
}

func TestBrowserStaysQuickWithThousandsOfInstances(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	server.Config.Handler = many(url, 5000)
	server.Start()
	t.Cleanup(server.Close)
	b := newBrowser(t)
	began := time.Now()
	b.open(url + "/")
	b.waitReady("#instances > li:first-child[data-instance='cn-beijing/cri-4998'] .words")
	t.Logf("5,000 instances are read and shown after %v", time.Since(began).Round(time.Millisecond))
	count := "document.querySelectorAll('#instances > li').length"
	testkit.Want(t, "instances in sight", b.text(count), "100")
	b.focus("more")
	b.key("\r")
	testkit.Want(t, "instances after more", b.text(count), "200")
	testkit.Want(t, "the focus", b.text("document.activeElement.className"), "instance-name")
	b.fill("#filter-search", "TEAM-123")
	testkit.Want(t, "instances found", b.text(count), "10")
	b.fill("#filter-region", "cn-hangzhou")
	testkit.Want(t, "of one region", b.text(count), "5")
	b.fill("#filter-platform", "codeup")
	testkit.Want(t, "with Codeup bound", b.text(count), "0")
	b.fill("#filter-status", "unbound")
	testkit.Want(t, "with Codeup unbound", b.text(count), "5")
	slowest := b.text(`(() => {
		const search = document.getElementById("filter-search");
		document.getElementById("filter-region").value = "";
		const began = performance.now();
		for (const text of ["t", "te", "tea", "team", "team-"]) {
			search.value = text;
			search.dispatchEvent(new Event("input"));
		}
		return Math.round((performance.now() - began) / 5);
	})()`)
	t.Logf("a letter in the search takes %s ms", slowest)
}
