package sandbox

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page/*.html page/style.css
var pageFiles embed.FS

// parsePages reads the templates. Each page is a file that defines itself by its name and uses
// "head" and "foot" of layout.html, so that every page says that this is a sandbox.
func parsePages() *template.Template {
	return template.Must(template.New("").ParseFS(pageFiles, "page/*.html"))
}

// writePage answers with a page of the page folder, "index.html".
func (s *Sandbox) writePage(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Sprintf("sandbox: page %s: %v", name, err))
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// ownPages serves what is no platform's: the page with samples and faults. Another site's page
// can't press its buttons.
func (s *Sandbox) ownPages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /sandbox/{$}", s.index)
	mux.HandleFunc("GET /sandbox/style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pageFiles, "page/style.css")
	})
	mux.HandleFunc("GET /sandbox/avatars/{login}", avatar)
	mux.HandleFunc("POST /sandbox/faults", s.postFault)
	mux.HandleFunc("POST /sandbox/switches", s.postSwitch)
	mux.HandleFunc("POST /sandbox/tokens", s.postToken)
	mux.HandleFunc("/sandbox/redirected/{platform}", s.redirected)
	return http.NewCrossOriginProtection().Handler(mux)
}

// indexPlatform is one platform on the page.
type indexPlatform struct {
	Name     Platform
	Count    int
	Fault    Fault
	Samples  []Sample
	Switches []Switch
	Deeds    []deed // that buttons on the page let happen to a token
	Settings string // the page where a user takes a consent back
	Clone    string // the address of its repository
}

// index is the page for a person.
func (s *Sandbox) index(w http.ResponseWriter, r *http.Request) {
	data := struct {
		Origin    string
		Kinds     []FaultKind
		Platforms []indexPlatform
	}{Origin: s.origin(r), Kinds: FaultKinds()}
	for _, p := range s.platforms {
		name, switches := p.name(), p.switches()
		for i := range switches {
			switches[i].On = s.on(name, switches[i].Name)
		}
		var deeds []deed
		if can, ok := p.(ager); ok {
			deeds = can.deeds()
		}
		data.Platforms = append(data.Platforms, indexPlatform{
			Name: name, Count: s.Count(name), Fault: s.Fault(name),
			Samples: p.samples(), Switches: switches, Deeds: deeds,
			Settings: settingsPath(p), Clone: s.cloneURL(name, s.origin(r)),
		})
	}
	s.writePage(w, http.StatusOK, "index.html", data)
}

// postFault sets a fault: {platform, fault, times, path, after, latency}; the latency as in "1.5s".
func (s *Sandbox) postFault(w http.ResponseWriter, r *http.Request) {
	in, ok := s.readForm(w, r)
	if !ok {
		return
	}
	kind := FaultKind(in["fault"])
	times, err := strconv.Atoi(orElse(in["times"], "0"))
	latency, wrong := time.ParseDuration(orElse(in["latency"], "0"))
	if err != nil || wrong != nil || times < 0 || !slices.Contains(FaultKinds(), kind) {
		http.Error(w, "sandbox: no such fault, times or latency", http.StatusBadRequest)
		return
	}
	s.SetFault(Platform(in["platform"]), Fault{
		Kind: kind, Times: times, Path: in["path"], After: in["after"] == "true",
		Latency: latency,
	})
	finish(w, r)
}

// postSwitch turns a quirk on or off: {platform, switch, on}.
func (s *Sandbox) postSwitch(w http.ResponseWriter, r *http.Request) {
	in, ok := s.readForm(w, r)
	if !ok {
		return
	}
	p, name := Platform(in["platform"]), in["switch"]
	s.mu.Lock()
	_, known := s.switches[p][name]
	s.mu.Unlock()
	if !known {
		http.Error(w, "sandbox: no such switch", http.StatusBadRequest)
		return
	}
	s.SetSwitch(p, name, in["on"] == "true")
	finish(w, r)
}

// readForm reads a form or a flat JSON object and checks its platform.
func (s *Sandbox) readForm(w http.ResponseWriter, r *http.Request) (map[string]string, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	in := map[string]string{}
	if isJSON(r) {
		var raw map[string]any
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
			http.Error(w, "sandbox: not a JSON object", http.StatusBadRequest)
			return nil, false
		}
		for name, value := range raw {
			in[name] = fmt.Sprint(value)
		}
	} else {
		for _, name := range []string{
			"platform", "fault", "times", "path", "after", "latency", "switch", "on", "token", "do",
		} {
			in[name] = r.PostFormValue(name)
		}
	}
	if !s.has(Platform(in["platform"])) {
		http.Error(w, "sandbox: no such platform", http.StatusBadRequest)
		return nil, false
	}
	return in, true
}

// isJSON reports whether the request's body is JSON.
func isJSON(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/json"
}

// orElse is text, or the other if there is none.
func orElse(text, other string) string {
	if strings.TrimSpace(text) == "" {
		return other
	}
	return text
}

// finish leads a browser back to the page; a program gets a 204.
func finish(w http.ResponseWriter, r *http.Request) {
	if isJSON(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/sandbox/", http.StatusSeeOther)
}

// redirected is where [FaultRedirect] points. It is logged as the platform's, so that a test sees
// whether a credential came along.
func (s *Sandbox) redirected(w http.ResponseWriter, r *http.Request) {
	p := Platform(r.PathValue("platform"))
	if !s.has(p) {
		http.NotFound(w, r)
		return
	}
	s.logged(w, r, p, func(w http.ResponseWriter) {
		writeJSON(w, http.StatusOK, object{"message": "this is where the redirect led"})
	})
}
