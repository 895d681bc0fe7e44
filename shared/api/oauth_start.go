package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/binding/consent"
	"bindery/shared/instance"
	"bindery/shared/netguard"
	"bindery/shared/problem"
)

// OAuthStart adds the routes that start an authorization and redirect the browser to the platform.
func OAuthStart(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/authorizations", a.signedIn(ScopeWrite, limited(a.bindLimiter, a.start)))
	mux.HandleFunc("GET /v1/authorizations/{id}/start", a.beginRedirect)
}

type instanceRefJSON struct {
	Region string `json:"region"`
	ID     string `json:"id"`
}

type startJSON struct {
	Platform string           `json:"platform"`
	Instance *instanceRefJSON `json:"instance"`
	ReturnTo string           `json:"returnTo"`
}

type startedJSON struct {
	ID        string    `json:"id"`
	StartURL  string    `json:"startUrl"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (a *API) start(ctx context.Context, c call) (answer, error) {
	var body startJSON
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	if body.Platform == "" {
		return answer{}, malformed("platform", "required")
	}
	if !isConsolePath(body.ReturnTo) {
		return answer{}, malformed("returnTo", "")
	}
	var i instance.Instance
	if body.Instance != nil {
		var err error
		if i, err = a.find(ctx, c, body.Instance.Region, body.Instance.ID); err != nil {
			return answer{}, err
		}
	}
	started, err := a.consent.StartAuthorization(ctx, consent.StartRequest{
		By:       c.user(),
		Platform: body.Platform,
		Instance: i,
		ReturnTo: body.ReturnTo,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: startedJSON{
		ID:        started.ID,
		StartURL:  a.public + "/v1/authorizations/" + started.ID + "/start",
		ExpiresAt: started.ExpiresAt,
	}}, nil
}

// isConsolePath reports whether a returnTo is only a path, with or without a query, on the
// console's origin. A browser takes "//evil" and "/\evil" for another host, and removes tabs and
// line breaks from an address before it parses it.
func isConsolePath(to string) bool {
	if to == "" {
		return true
	}
	u, err := url.Parse(to)
	if err != nil || len(to) > netguard.MaxAddressLength || u.Scheme != "" || u.Host != "" {
		return false
	}
	forbidden := func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }
	return strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.Path, "//") &&
		!strings.ContainsFunc(to, forbidden) && !strings.ContainsFunc(u.Path, forbidden) &&
		!strings.Contains(to, "#")
}

// beginRedirect serves the browser's navigation to a startUrl. It has no access token: the id of
// the authorization is random and known to the user who started it.
func (a *API) beginRedirect(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	switch {
	case r.Method != http.MethodGet: // a HEAD request would use the authorization up
		w.Header().Set("Allow", http.MethodGet)
		a.fail(w, r, problem.New(problem.MethodNotAllowed).With("method", r.Method))
		return
	case !isNavigation(r.Header):
		a.fail(w, r, problem.New(problem.NotANavigation))
		return
	}
	id := r.PathValue("id")
	used := slotsOf(r)
	to, err := a.consent.BeginRedirect(ctx, id, handshakes(used))
	if err != nil {
		if problem.Is(err, problem.AuthorizationUnknown) {
			id = ""
		}
		a.toConsole(w, r, consent.CallbackResult{ID: id}, err)
		return
	}
	setHandshake(w, to, used, a.now())
	redirect(w, http.StatusFound, to.URL)
}

// isNavigation reports whether the headers are those of a window that is on its way to this
// address, and not those of a script, a frame, a prefetch or a prerender (Fetch Metadata, 2). A
// request without any of them, of an older browser, is a navigation.
func isNavigation(h http.Header) bool {
	mode, dest := h.Get("Sec-Fetch-Mode"), h.Get("Sec-Fetch-Dest")
	early := h.Get("Sec-Purpose") + h.Get("Purpose") + h.Get("X-Moz") // the last two: older browsers
	return (mode == "" || mode == "navigate") && (dest == "" || dest == "document") &&
		!strings.Contains(strings.ToLower(early), "prefetch")
}
