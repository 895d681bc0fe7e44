package console_test

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bindery/shared/console"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

func options() console.Options {
	return console.Options{
		PublicURL:  "https://bindery.example.com",
		ConsoleURL: "https://console.example.com",
		Issuer:     "https://login.example.com/realm",
		ClientID:   "bindery-console",
		Audience:   "bindery",
	}
}

func ask(t *testing.T, o console.Options, method, target string, header ...string) (
	*http.Response, string,
) {
	t.Helper()
	server := httptest.NewServer(console.Handler(o))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, string(body)
}

// served returns the embedded files by name as they are served: the modules without the lines that
// are only a comment.
func served(t *testing.T) map[string]string {
	t.Helper()
	comments := regexp.MustCompile(`(?m)^[ \t]*//.*\n`)
	all := files(t)
	for name, body := range all {
		if path.Ext(name) == ".js" {
			all[name] = comments.ReplaceAllString(body, "")
		}
	}
	return all
}

// files returns the embedded files by name.
func files(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		body, err := os.ReadFile(path.Join("page", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(body)
	}
	return all
}

func TestEveryFileIsServedWithItsTypeAndProtected(t *testing.T) {
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	for name, want := range served(t) {
		target := "/" + name
		if name == "index.html" {
			target, want = "/", document(t, options())
		}
		reply, body := ask(t, options(), http.MethodGet, target)
		if reply.StatusCode != http.StatusOK || body != want {
			t.Errorf("%s: status %d, %d bytes, want %d", target, reply.StatusCode, len(body),
				len(want))
		}
		for header, want := range map[string]string{
			"Content-Type":               types[path.Ext(name)],
			"Cache-Control":              "no-cache",
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := reply.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", target, header, got, want)
			}
		}
		if reply.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s has no policy", target)
		}
	}
}

// document returns the page as it is served.
func document(t *testing.T, o console.Options) string {
	t.Helper()
	_, body := ask(t, o, http.MethodGet, "/", "Accept-Encoding", "identity")
	return body
}

// TestThePageNamesItsFilesWithAVersion tries each address of the page: what a version names never
// changes, so that a browser need not ask for it again.
func TestThePageNamesItsFilesWithAVersion(t *testing.T) {
	all := served(t)
	named := regexp.MustCompile(`(?:src|href)="(/[0-9a-f]{16}/)([^"]+)"`).
		FindAllStringSubmatch(document(t, options()), -1)
	seen := map[string]bool{}
	for _, match := range named {
		reply, body := ask(t, options(), http.MethodGet, match[1]+match[2])
		if body != all[match[2]] ||
			reply.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %d bytes, %q", match[2], len(body), reply.Header.Get("Cache-Control"))
		}
		seen[match[2]] = true
	}
	// A module that the page doesn't name would be loaded after the one that imports it.
	wanted := map[string]bool{"style.css": true, "icon.svg": true}
	imported(all, "main.js", wanted)
	testkit.WantEqual(t, "the files that the page names", seen, wanted)
	// A page from before a deployment loads the other language.
	reply, body := ask(t, options(), http.MethodGet, "/0123456789abcdef/text-en.js")
	if body != all["text-en.js"] || reply.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("with another version: %d bytes, %q", len(body),
			reply.Header.Get("Cache-Control"))
	}
}

// imported adds a module and those that it imports, but for those that are loaded when they are
// needed.
func imported(all map[string]string, name string, found map[string]bool) {
	found[name] = true
	for _, one := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(all[name], -1) {
		if !found[one[1]] {
			imported(all, one[1], found)
		}
	}
}

func TestThePolicyAllowsOnlyOwnFilesAndNamedOrigins(t *testing.T) {
	reply, _ := ask(t, options(), http.MethodGet, "/")
	got := strings.Split(reply.Header.Get("Content-Security-Policy"), "; ")
	want := []string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self' https: data:",
		"connect-src 'self' https://bindery.example.com https://login.example.com",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheLaptopsPolicyKnowsTheSandboxAndNoIssuer(t *testing.T) {
	o := options()
	o.Dev, o.SandboxURL, o.PublicURL = true, "http://127.0.0.1:8081", "http://localhost:8080"
	reply, _ := ask(t, o, http.MethodGet, "/")
	policy := reply.Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"img-src 'self' https: data: http://127.0.0.1:8081;",
		"connect-src 'self' http://localhost:8080;",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("%q is not in %q", want, policy)
		}
	}
}

func TestAnAddressCanNotAddToThePolicy(t *testing.T) {
	o := options()
	o.Issuer, o.SandboxURL = "https://a.example;script-src *", "http://b.example'; default-src *"
	reply, _ := ask(t, o, http.MethodGet, "/")
	if got := reply.Header.Get("Content-Security-Policy"); strings.Contains(got, "*") {
		t.Errorf("the policy is %q", got)
	}
}

func TestTheSameFileIsNotSentTwice(t *testing.T) {
	first, _ := ask(t, options(), http.MethodGet, "/main.js")
	etag := first.Header.Get("ETag")
	again, body := ask(t, options(), http.MethodGet, "/main.js", "If-None-Match", etag)
	if etag == "" || again.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("with its ETag %q the status is %d, with %d bytes", etag, again.StatusCode,
			len(body))
	}
	if again.Header.Get("Content-Security-Policy") == "" {
		t.Error("a 304 removes the policy")
	}
	other, _ := ask(t, options(), http.MethodGet, "/style.css")
	if other.Header.Get("ETag") == etag {
		t.Error("two files have the same ETag")
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	get, _ := ask(t, options(), http.MethodGet, "/", "Accept-Encoding", "gzip")
	head, body := ask(t, options(), http.MethodHead, "/", "Accept-Encoding", "gzip")
	if head.StatusCode != http.StatusOK || body != "" ||
		head.Header.Get("ETag") != get.Header.Get("ETag") ||
		head.ContentLength != get.ContentLength {
		t.Errorf("HEAD: status %d, length %d, want %d", head.StatusCode, head.ContentLength,
			get.ContentLength)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, target := range []string{
		"/index.html", "/page/main.js", "/console.go", "/favicon.ico", "/main.js/", "//", "/v1/platforms",
		"/config.json", "/packed/main.js.br", "/main.js.br", "/0123456789abcdef/",
		"/0123456789abcdef/index.html", "/0123456789abcdef/0123456789abcdef/main.js",
		"/..%2fconsole.go", "/%2e%2e/console.go", "/callback?code=1",
	} {
		reply, body := ask(t, options(), http.MethodGet, target)
		if reply.StatusCode != http.StatusNotFound || strings.Contains(body, target) {
			t.Errorf("%s: status %d, %q", target, reply.StatusCode, body)
		}
		if reply.Header.Get("Content-Security-Policy") == "" ||
			reply.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the 404 is not protected", target)
		}
	}
	reply, _ := ask(t, options(), http.MethodPost, "/")
	if reply.StatusCode != http.StatusMethodNotAllowed || reply.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow %q", reply.StatusCode, reply.Header.Get("Allow"))
	}
}

func TestTheConfigurationSaysHowToSignIn(t *testing.T) {
	laptop := options()
	laptop.Dev, laptop.SandboxURL = true, "http://127.0.0.1:8081"
	for want, o := range map[string]console.Options{
		`{"publicUrl":"https://bindery.example.com","consoleUrl":"https://console.example.com",` +
			`"signIn":{"kind":"oidc","issuer":"https://login.example.com/realm",` +
			`"clientId":"bindery-console",` +
			`"scope":"openid bindery.read bindery.write bindery.repositories",` +
			`"audience":"bindery"},"sandboxUrl":null}`: options(),
		`{"publicUrl":"https://bindery.example.com","consoleUrl":"https://console.example.com",` +
			`"signIn":{"kind":"dev"},"sandboxUrl":"http://127.0.0.1:8081"}`: laptop,
	} {
		_, got, _ := strings.Cut(document(t, o), `<meta name="bindery" content="`)
		got, _, _ = strings.Cut(got, `">`)
		if got = html.UnescapeString(got); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// references are what a page's file loads: attributes of HTML, imports of modules, urls of CSS.
var references = regexp.MustCompile(
	`(?:\b(?:src|href)="|\bfrom "|\bimport "|\bimport\("|\burl\("?|\bsrc: ")([^"')]+)`)

func TestThePageLoadsItsOwnFilesAndNothingElse(t *testing.T) {
	all := files(t)
	used := map[string]bool{"index.html": true}
	for name, body := range all {
		for _, match := range references.FindAllStringSubmatch(body, -1) {
			to := strings.TrimPrefix(strings.TrimPrefix(match[1], "./"), "/")
			if _, found := all[to]; !found {
				t.Errorf("%s refers to %q, which is not there", name, match[1])
			}
			used[to] = true
		}
	}
	for name := range all {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
}

func TestNothingIsInlineAndNoTextBecomesHTML(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|<script[^>]*>[^<]`)
	for name, body := range files(t) {
		if path.Ext(name) == ".html" || path.Ext(name) == ".svg" {
			if found := inline.FindString(body); found != "" {
				t.Errorf("%s holds %q", name, found)
			}
		}
		for _, way := range []string{
			"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
			"new Function", "DOMParser", "createContextualFragment", "srcdoc",
		} {
			if strings.Contains(body, way) {
				t.Errorf("%s uses %s", name, way)
			}
		}
	}
}

func texts(t *testing.T, language string) map[string]string {
	t.Helper()
	_, object, found := strings.Cut(files(t)["text-"+language+".js"], "export default ")
	var all map[string]string
	err := json.Unmarshal([]byte(strings.TrimSuffix(strings.TrimSpace(object), ";")), &all)
	if !found || err != nil {
		t.Fatalf("the texts in %s can't be read: %v", language, err)
	}
	return all
}

// halfWidth is Western punctuation where Chinese uses its own.
var halfWidth = regexp.MustCompile(`\p{Han}[,;:?!()]|[,;?!()]\p{Han}`)

func TestBothLanguagesSayTheSame(t *testing.T) {
	chinese, english := texts(t, "zh-CN"), texts(t, "en")
	names := regexp.MustCompile(`\{\w+\}`)
	for key, en := range english {
		zh, found := chinese[key]
		if !found {
			t.Errorf("%s has no Chinese", key)
			continue
		}
		a, b := names.FindAllString(zh, -1), names.FindAllString(en, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
			t.Errorf("%s has %v in Chinese, %v in English", key, a, b)
		}
		if halfWidth.MatchString(zh) {
			t.Errorf("%s has half-width punctuation in its Chinese: %s", key, zh)
		}
		if zh == "" || en == "" {
			t.Errorf("%s is empty", key)
		}
	}
	for key := range chinese {
		if _, found := english[key]; !found {
			t.Errorf("%s has no English", key)
		}
	}
}

func TestEveryTextThatTheScriptsUseExists(t *testing.T) {
	english := texts(t, "en")
	named := regexp.MustCompile(`\b(?:t|pageFailure)\((?:\w+ \? )?"([\w.-]+)"(?: : "([\w.-]+)")?`)
	for name, body := range files(t) {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "text-") {
			continue
		}
		for _, match := range named.FindAllStringSubmatch(body, -1) {
			for _, key := range match[1:] {
				_, plain := english[key]
				_, own := english["own."+key+".title"]
				if key != "" && !plain && !own {
					t.Errorf("%s names the text %q, which is not there", name, key)
				}
			}
		}
	}
}

func TestEveryStatusPlatformAndEventHasAText(t *testing.T) {
	english := texts(t, "en")
	var want []string
	for _, status := range []string{
		"unbound", "unknown", "bound", "expiring", "expired", "revoked", "unauthorized", "unreachable",
	} {
		want = append(want, "status."+status)
	}
	for _, platform := range []string{"codeup", "gitee", "github", "gitlab", "bitbucket"} {
		want = append(want, "method."+platform, "versions."+platform)
	}
	for _, event := range []string{
		"bound", "rebound", "unbound", "expiring", "expired", "revoked", "unauthorized",
		"unreachable", "recovered", "revocation_failed",
	} {
		want = append(want, "event."+event)
	}
	for _, key := range want {
		if english[key] == "" {
			t.Errorf("there is no text %s", key)
		}
	}
}

// The page ignores a problem in its fragment that it has no texts for.
func TestA24_ThePageKnowsTheProblemsOfTheRedirectsAndNoOther(t *testing.T) {
	contract, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, list := range regexp.MustCompile(`(?s)&problem=\{code\}.{1,80}The codes:([^.]*)\.`).
		FindAllSubmatch(contract, -1) {
		for _, code := range regexp.MustCompile("`(\\w+)`").FindAllSubmatch(list[1], -1) {
			want = append(want, string(code[1]))
		}
	}
	var got []string
	english := texts(t, "en")
	for key := range english {
		if code, of := strings.CutPrefix(key, "callback."); of && strings.HasSuffix(code, ".title") {
			got = append(got, strings.TrimSuffix(code, ".title"))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if want = slices.Compact(want); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the page has texts for\n%v\nand the redirects have\n%v", got, want)
	}
	script := files(t)["callback.js"]
	for _, code := range got {
		if !strings.Contains(script, `"`+code+`"`) {
			t.Errorf("callback.js doesn't know %s", code)
		}
		if !slices.Contains(problem.Codes(), problem.Code(code)) {
			t.Errorf("%s isn't a code of the catalogue", code)
		}
		for _, part := range []string{"detail", "remedy"} {
			if english["callback."+code+"."+part] == "" {
				t.Errorf("%s has no %s", code, part)
			}
		}
	}
}
