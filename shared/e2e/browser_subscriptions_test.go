package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"bindery/shared/sandbox"
	"bindery/shared/testkit"
)

// laptopTab is a tab with the page of a laptop, whose platforms are the sandbox's.
type laptopTab struct {
	*tab
	platforms string
}

// openLaptop opens the page of a laptop in a language.
func openLaptop(t *testing.T, language string) laptopTab {
	t.Helper()
	bindery, platforms := startLaptop(t)
	b := laptopTab{newBrowser(t), platforms}
	b.open(bindery + laptopInstance)
	b.waitReady("#instance", "#row-bitbucket")
	b.fill("#language", language)
	b.waitReady("#row-bitbucket")
	return b
}

// bind binds a platform as alice: by a sample token, or by consent.
func (b laptopTab) bind(name sandbox.Platform, title string) {
	b.t.Helper()
	if name == sandbox.Codeup || name == sandbox.GitLab {
		b.click("#bind-" + string(name))
		submitSample(b.tab, b.platforms, sample(b.t, name, title))
	} else {
		b.leave(string(name))
		b.click("#login-alice")
		b.click("#authorize")
	}
	if name == sandbox.Bitbucket {
		chooseInstance(b.tab, "personal", "cn-shanghai", "crp-acme-dev")
	}
	b.waitReady(boundSelector(string(name)), "#dialog:not([open])")
}

// hello returns the name of the repository to which these tests push.
func hello(name sandbox.Platform) string {
	if name == sandbox.Codeup {
		return "sandbox-org-main/hello"
	}
	return "alice/hello"
}

// openRepository opens a repository of a binding, from the list of all.
func (b laptopTab) openRepository(name sandbox.Platform, repository string) {
	b.t.Helper()
	b.click("#repositories-" + string(name))
	b.until(repository, pageIdle+` && (() => {
		const entry = [...document.querySelectorAll("#repository-search-list .choice-name")].
			find((one) => one.textContent === `+jsString(repository)+`);
		entry?.click();
		return entry;
	})()`)
	b.waitReady("#subscription [role=switch]")
}

func (b laptopTab) closeDrawer() {
	b.t.Helper()
	b.key("\x1b")
	b.waitReady("#drawer:not([open])")
}

// turn presses the switch of a subscription by the keyboard, and expects it to keep the focus.
func (b laptopTab) turn(on bool) {
	b.t.Helper()
	b.focus("subscribe")
	b.key(" ")
	b.waitReady("#subscribe[role=switch][aria-checked=" + strconv.FormatBool(on) + "]")
	b.wantFocus("the switch is pressed", "subscribe")
}

// push pushes a commit to hello by the button of the sandbox's page.
func (b laptopTab) push(name sandbox.Platform, message string) {
	b.t.Helper()
	form := url.Values{
		"platform": {string(name)}, "repository": {hello(name)}, "do": {"commit"},
		"message": {message},
	}
	b.send(http.MethodPost, "/sandbox/webhooks", form, nil)
}

// send sends a request to the sandbox and decodes its reply.
func (b laptopTab) send(method, path string, form url.Values, reply any) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.platforms+path,
		strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.platforms)
	r.Header.Set("X-Yunxiao-Token", sample(b.t, sandbox.Codeup, "good").Token.Reveal())
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		b.t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if reply != nil {
		if err := json.NewDecoder(response.Body).Decode(reply); err != nil {
			b.t.Fatal(err)
		}
	}
}

// wantEvent presses Refresh until the newest event of the list shows these texts.
func (b laptopTab) wantEvent(texts ...string) {
	b.t.Helper()
	list, err := json.Marshal(texts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.until("an event with "+string(list), pageIdle+` && (() => {
		const text = document.querySelector("#event-list > li")?.innerText ?? "";
		if (`+string(list)+`.every((one) => text.includes(one))) return true;
		document.getElementById("events-refresh")?.click();
	})()`)
}

func TestBrowserForwardsAPushOnEachPlatform(t *testing.T) {
	words := map[string][]string{
		"en":    {"Push to main", "Forwarded", "Active"},
		"zh-CN": {"推送到 main", "已转发", "正常"},
	}
	b := openLaptop(t, "en")
	for i, name := range []sandbox.Platform{
		sandbox.Codeup, sandbox.GitLab, sandbox.Gitee, sandbox.GitHub, sandbox.Bitbucket,
	} {
		language := []string{"en", "zh-CN"}[i%2]
		b.fill("#language", language)
		b.waitReady(unboundSelector(string(name)))
		b.bind(name, "good")
		b.openRepository(name, hello(name))
		b.turn(true)
		testkit.Want(t, string(name)+": the health", b.innerText("#subscription .badge"),
			words[language][2])
		b.push(name, "A commit of "+string(name))
		b.wantEvent(append(words[language][:2:2], "A commit of "+string(name))...)
		b.waitReady("#event-list [title='HTTP 204']")
		b.closeDrawer()
	}
}

// A person without a mouse uses every control of a subscription, and never loses the focus.
func TestBrowserLeadsThroughASubscriptionByKeyboard(t *testing.T) {
	b := openLaptop(t, "zh-CN")
	b.bind(sandbox.GitLab, "good")
	b.openRepository(sandbox.GitLab, hello(sandbox.GitLab))
	b.keyboard = true
	b.turn(true)
	b.push(sandbox.GitLab, "Try the keyboard")
	b.wantEvent("Try the keyboard")
	for _, id := range []string{"events-refresh", "sync", "replay-1"} {
		b.focus(id)
		b.key("\r")
		b.waitReady("#event-list li")
		b.wantFocus("after "+id, id)
	}
	b.wantSaid("#event-1 .said", "已重新发送")
	b.wantEvent("已转发")

	b.text(`document.querySelector("#subscription summary").focus()`)
	b.key("\r")
	b.key("\t")
	b.wantFocus("the choices are open", "events-push")
	for _, kind := range []string{"push", "tag"} {
		b.focus("events-" + kind)
		b.key(" ")
	}
	b.focus("subscription-save")
	b.key("\r")
	b.waitVisible("#subscription .missing")
	b.wantFocus("nothing is chosen", "events-push")
	b.key(" ")
	b.fill("#branches", "main，bad[")
	b.key("\r")
	b.wantSaid("#branches-refused", "git 不允许这样的分支名")
	b.waitReady("#branches[aria-invalid=true]")
	b.wantFocus("a branch is refused", "branches")
	testkit.Want(t, "what was typed", b.value("#branches"), "main，bad[")
	b.fill("#branches", "main，release/*")
	b.key("\r")
	b.wantSaid("#subscription .said", "已保存")
	b.wantFocus("the choices are saved", "branches")
	testkit.Want(t, "the branches", b.value("#branches"), "main, release/*")
	testkit.Want(t, "the kinds", b.text(
		`[...document.querySelectorAll("#subscription :checked")].map((one) => one.value)`), "push")
	b.turn(false)
	b.turn(true)
	testkit.Want(t, "calls for what there isn't", b.text(`performance.getEntriesByType("resource").
		filter((one) => one.responseStatus === 404).map((one) => one.name).join(" ")`), "")
}

func TestBrowserShowsABrokenSubscriptionAndWhatRemains(t *testing.T) {
	b := openLaptop(t, "en")
	b.bind(sandbox.Codeup, "good")
	for _, one := range []string{"sandbox-org-main/group/world", hello(sandbox.Codeup)} {
		b.openRepository(sandbox.Codeup, one)
		b.turn(true)
		b.closeDrawer()
	}
	b.bind(sandbox.Codeup, "for reading only")
	webhooks := "/oapi/v1/codeup/organizations/sandbox-org-main/repositories/" +
		url.PathEscape(hello(sandbox.Codeup)) + "/webhooks"
	var all []struct{ ID int }
	b.send(http.MethodGet, webhooks, nil, &all)
	for _, one := range all {
		b.send(http.MethodDelete, webhooks+"/"+strconv.Itoa(one.ID), nil, nil)
	}
	b.openRepository(sandbox.Codeup, hello(sandbox.Codeup))
	b.click("#sync")
	b.waitReady(`#subscription [data-health=broken]`, `#sync.primary`,
		`#subscription [role=alert] [data-code=webhooks_forbidden]`)
	b.wantSaid("#subscription .said", "Still broken")
	for _, words := range [][2]string{{"en", "Broken"}, {"zh-CN", "失效"}} {
		b.closeDrawer()
		b.fill("#language", words[0])
		b.waitReady("#row-codeup")
		b.click("#repositories-codeup")
		b.waitReady("#subscriptions [data-health=broken]")
		b.wantShown("#subscriptions", words[1], "1")
		b.click("#subscriptions")
		b.until("a broken subscription", pageIdle+` && [...document.querySelectorAll(
			"#subscription-list li")].some((one) => one.innerText.includes("/hello") &&
			one.innerText.includes(`+jsString(words[1])+`))`)
	}
	b.closeDrawer()
	unbind(b.tab, "codeup")
	b.wantSaid("#result", "未能删除")
	// Bindery can't know that one of them was deleted: it may not ask.
	left := b.innerText("#webhooks-left")
	for _, name := range []string{"sandbox-org-main/group/world", hello(sandbox.Codeup)} {
		if !strings.Contains(left, name) {
			t.Errorf("of the webhooks that remain, %s isn't shown: %s", name, left)
		}
	}
	b.wantFocus("after the unbind", "bind-codeup")
}

func TestE10_InABrowserAHostileEventIsText(t *testing.T) {
	s := newShelf(t)
	s.answers(func(string, string) (int, any) { return http.StatusOK, listOf(nil, nil, "one") })
	const path = "/v1/instances/cn-hangzhou/cri-1/bindings/gitlab/repositories/key/subscription"
	for end, body := range map[string]object{
		"": {
			"events": []string{"push"}, "branches": []string{hostileName}, "health": "active",
			"waiting": 0, "webhooksUrl": "javascript:alert(1)",
		},
		"/deliveries": {"deliveries": []object{{
			"delivery": 1, "type": "source.pushed", "state": "forwarded", "tries": 1, "answer": 200,
			"ref": "refs/heads/" + hostileName, "commit": hostileName, "pusher": hostileName,
			"titles": []string{hostileName}, "receivedAt": "2026-01-02T03:04:05Z",
		}, {
			"delivery": 2, "type": "source.pushed", "state": "ignored", "reason": "test", "ref": "",
			"titles": []string{}, "receivedAt": "2026-01-02T03:04:05Z",
		}}},
	} {
		s.mux.HandleFunc(path+end, func(w http.ResponseWriter, _ *http.Request) {
			replyJSON(w, http.StatusOK, body)
		})
	}
	b := newBrowser(t)
	s.openRepositories(b, "en")
	b.choose("repository-search", "one")
	b.waitReady("#event-list li")
	testkit.Want(t, "what is shown of them", b.text(
		`[...document.querySelectorAll("#event-list bdi")].every((one) => one.textContent === `+
			jsString(hostileName)+`)`), "true")
	b.wantShown("#event-2 .event-words", "Test delivery by the platform")
	testkit.Want(t, "images and links",
		b.text(`document.querySelectorAll("#subscription :is(img, a)").length`), "0")
}
