package api

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/instance"
	"bindery/shared/problem"
)

// OAuthStart is the function that begins an OAuth attempt and sends the browser to its platform.
func OAuthStart(a *API, mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/authorizations", a.signedIn(ScopeWrite, a.start))
	mux.HandleFunc("GET /v1/authorizations/{id}/start", a.depart)
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
	if wait, ok := a.binds.Allow(who(c)); !ok {
		return answer{}, problem.New(problem.TooManyCalls).After(wait)
	}
	var body startJSON
	if err := decode(c, &body); err != nil {
		return answer{}, err
	}
	if body.Platform == "" {
		return answer{}, malformed("platform", "required")
	}
	if !ownPath(body.ReturnTo) {
		return answer{}, malformed("returnTo", "")
	}
	var i instance.Instance
	if body.Instance != nil {
		var err error
		if i, err = a.find(ctx, c, body.Instance.Region, body.Instance.ID); err != nil {
			return answer{}, err
		}
	}
	begun, err := a.bindings.StartAuthorization(ctx, binding.StartRequest{
		By:       c.user(),
		Platform: body.Platform,
		Instance: i,
		ReturnTo: body.ReturnTo,
	})
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: startedJSON{
		ID:        begun.ID,
		StartURL:  a.public + "/v1/authorizations/" + begun.ID + "/start",
		ExpiresAt: begun.ExpiresAt,
	}}, nil
}

// ownPath reports whether a returnTo is nothing but a path with a query on the console's origin. A
// browser takes "//evil" and "/\evil" for another host, and drops tabs and line breaks from an
// address before it looks at it.
func ownPath(to string) bool {
	if to == "" {
		return true
	}
	u, err := url.Parse(to)
	if err != nil || len(to) > maxAddress || u.Scheme != "" || u.Host != "" {
		return false
	}
	strange := func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }
	return strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.Path, "//") &&
		!strings.ContainsFunc(to, strange) && !strings.ContainsFunc(u.Path, strange) &&
		!strings.Contains(to, "#")
}

// depart is the browser's own navigation: it has no bearer, the id is the ticket.
func (a *API) depart(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), whole)
	defer cancel()
	switch mode := r.Header.Get("Sec-Fetch-Mode"); {
	case r.Method != http.MethodGet: // a HEAD would use the id up
		w.Header().Set("Allow", http.MethodGet)
		a.fail(w, r, problem.New(problem.MethodNotAllowed).With("method", r.Method))
		return
	case mode != "" && mode != "navigate":
		a.fail(w, r, problem.New(problem.NotANavigation))
		return
	}
	id := r.PathValue("id")
	to, err := a.bindings.BeginRedirect(ctx, id, tickets(r))
	if err != nil {
		if problem.Is(err, problem.AuthorizationUnknown) {
			id = ""
		}
		a.toConsole(w, r, binding.CallbackResult{ID: id}, err)
		return
	}
	setTicket(w, to.Handshake, to.ExpiresAt, a.now())
	redirect(w, http.StatusFound, to.URL)
}
