package sandbox

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bindery/shared/sandbox/page"
	"bindery/shared/sandbox/platform"
	"bindery/shared/secret"
)

// ownRoutes returns the routes that belong to no platform: the page with samples and faults, and
// its buttons, which another site's page can't press.
func (s *Sandbox) ownRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /sandbox/{$}", s.index)
	mux.HandleFunc("GET /sandbox/style.css", page.Style)
	mux.HandleFunc("GET /sandbox/avatars/{login}", page.Avatar)
	mux.HandleFunc("POST /sandbox/faults", s.control(s.postFault))
	mux.HandleFunc("POST /sandbox/switches", s.control(s.postSwitch))
	mux.HandleFunc("POST /sandbox/tokens", s.control(s.postToken))
	mux.HandleFunc("GET "+webhooksPath, s.showWebhooks)
	mux.HandleFunc("POST "+webhooksPath, s.control(s.postWebhooks))
	mux.HandleFunc("GET "+ReceiverPath, s.receiver.show)
	mux.HandleFunc("POST "+ReceiverPath, s.receiver.post)
	mux.HandleFunc("POST /sandbox/receiver", s.postReceiver)
	mux.HandleFunc("/sandbox/redirected/{platform}", s.redirected)
	return http.NewCrossOriginProtection().Handler(mux)
}

// indexPlatform is one platform on the page.
type indexPlatform struct {
	Name     Platform
	Count    int
	Fault    Fault
	Samples  []Sample
	Switches []platform.Switch
	Changes  []platform.TokenChange
	Settings string // the page where a user revokes a consent
	TokenURL string // the page where a user creates a token
	Clone    string // the address of its repository
	Webhooks []repositoryLink
}

// index shows the page for a person.
func (s *Sandbox) index(w http.ResponseWriter, r *http.Request) {
	origin := s.env.Origin(r)
	data := struct {
		Origin    string
		Kinds     []FaultKind
		Platforms []indexPlatform
	}{Origin: origin, Kinds: FaultKinds()}
	for _, p := range s.platforms {
		name := p.Name()
		shown := indexPlatform{
			Name: name, Count: s.Count(name), Fault: s.Fault(name), Samples: p.Samples(),
			Switches: p.ListSwitches(), Clone: p.CloneURL(origin), Webhooks: withWebhooks(p),
		}
		if changer, ok := p.(tokenChanger); ok {
			shown.Changes, shown.TokenURL = changer.TokenChanges(), changer.TokenPath()
		}
		if o := s.Platforms[name]; o != nil {
			shown.Settings = o.SettingsPath
		}
		data.Platforms = append(data.Platforms, shown)
	}
	page.Write(w, http.StatusOK, "index.html", data)
}

// control returns the handler of a button. It reads a form or a flat JSON object and finds its
// platform. A browser is redirected to the page, of the repository if the button is of one, and a
// program gets a 204. A problem that apply returns becomes a 400.
func (s *Sandbox) control(
	apply func(*http.Request, server, map[string]string) string,
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, platform.MaxBody)
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		isJSON := kind == "application/json"
		in, problem := map[string]string{}, ""
		if isJSON {
			in, problem = readJSON(r)
		} else {
			_ = r.ParseForm()
			for name := range r.PostForm {
				in[name] = r.PostForm.Get(name)
			}
		}
		p := s.find(Platform(in["platform"]))
		switch {
		case problem != "":
		case p == nil:
			problem = "no such platform"
		default:
			problem = apply(r, p, in)
		}
		switch {
		case problem != "":
			http.Error(w, "sandbox: "+problem, http.StatusBadRequest)
		case isJSON:
			w.WriteHeader(http.StatusNoContent)
		case in["repository"] != "":
			http.Redirect(w, r, webhooksURL(p.Name(), in["repository"]), http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/sandbox/", http.StatusSeeOther)
		}
	}
}

// readJSON reads a flat JSON object.
func readJSON(r *http.Request) (in map[string]string, problem string) {
	var raw map[string]any
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		return nil, "not a JSON object"
	}
	in = map[string]string{}
	for name, value := range raw {
		in[name] = fmt.Sprint(value)
	}
	return in, ""
}

// postFault sets a fault: {platform, fault, times, path, after, latency}; the latency as in "1.5s".
func (s *Sandbox) postFault(_ *http.Request, p server, in map[string]string) (problem string) {
	orZero := func(text string) string {
		if strings.TrimSpace(text) == "" {
			return "0"
		}
		return text
	}
	kind := FaultKind(in["fault"])
	times, err := strconv.Atoi(orZero(in["times"]))
	latency, latencyErr := time.ParseDuration(orZero(in["latency"]))
	if err != nil || latencyErr != nil || times < 0 || !slices.Contains(FaultKinds(), kind) {
		return "no such fault, times or latency"
	}
	s.SetFault(p.Name(), Fault{
		Kind: kind, Times: times, Path: in["path"], After: in["after"] == "true",
		Latency: latency,
	})
	return ""
}

// postSwitch turns a switch on or off: {platform, switch, on}.
func (s *Sandbox) postSwitch(_ *http.Request, p server, in map[string]string) (problem string) {
	if !p.SetSwitch(in["switch"], in["on"] == "true") {
		return "no such switch"
	}
	return ""
}

// postToken changes a token: {platform, token, do}.
func (s *Sandbox) postToken(_ *http.Request, p server, in map[string]string) (problem string) {
	changer, ok := p.(tokenChanger)
	if !ok || !changer.ChangeToken(secret.New(in["token"]), in["do"]) {
		return "no such token or change"
	}
	return ""
}

// redirected is the target of [FaultRedirect]. It is logged as a request to the platform, so that
// a test sees whether a credential was sent.
func (s *Sandbox) redirected(w http.ResponseWriter, r *http.Request) {
	p := s.find(Platform(r.PathValue("platform")))
	if p == nil {
		http.NotFound(w, r)
		return
	}
	s.logged(w, r, p.Name(), func(w http.ResponseWriter) {
		platform.WriteJSON(w, http.StatusOK, platform.Object{
			"message": "this is where the redirect led",
		})
	})
}
