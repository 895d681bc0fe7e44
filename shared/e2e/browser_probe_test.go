package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bindery/shared/testkit"
)

// Tests without third-party cookies prove something only if the browser really has none.
func TestBrowserKeepsNoThirdPartyCookies(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Content-Type", "text/html")
		http.SetCookie(w, &http.Cookie{
			Name: "probe", Value: "yes", Path: "/", Secure: true, SameSite: http.SameSiteNoneMode,
		})
		answer := `<link rel="icon" href="data:,">`
		if _, err := r.Cookie("probe"); err == nil {
			answer += "it came back"
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	there := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	for _, test := range []struct {
		name  string
		b     *tab
		third string
	}{{"the usual browser", newBrowser(t), "false"}, {"another", otherBrowser(t), "true"}} {
		b := test.b
		ask := func() string {
			b.until("the reply", `(window.reply ??= (async () => {
				for (let i = 0; i < 2; i++) {
					const reply = await fetch(`+jsString(there)+`, { credentials: "include" });
					window.came = (await reply.text()).includes("came back");
				}
				window.done = true;
			})()) && window.done`)
			return b.text("window.came")
		}
		b.open(server.URL)
		testkit.Want(t, test.name+": a third party's cookie came back", ask(), test.third)
		b.open(there)
		testkit.Want(t, test.name+": its own cookie came back", ask(), "true")
	}
}
