package api

import (
	"net/http"
	"strings"
	"time"

	"bindery/shared/binding/consent"
	"bindery/shared/secret"
)

// handshakePrefix begins the name of the cookie that holds the state and the PKCE verifier of an
// authorization, which are stored nowhere else. __Host- keeps another host of the same site from
// setting it (RFC 6265bis, 4.1.3.2). The rest of the name differs for each authorization, so that
// two tabs don't disturb each other and a forged callback clears no valid cookie.
const handshakePrefix = "__Host-bindery-"

func handshakeCookie(h consent.Handshake) *http.Cookie {
	return &http.Cookie{
		Name:     handshakePrefix + h.Name(),
		Path:     "/",
		Secure:   true,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

// setHandshake sets the cookie of the handshake until the authorization expires.
func setHandshake(w http.ResponseWriter, h consent.Handshake, expiresAt, now time.Time) {
	cookie := handshakeCookie(h)
	cookie.Value = h.State.Reveal() + "." + h.Verifier.Reveal()
	cookie.MaxAge = max(1, int(expiresAt.Sub(now).Seconds()))
	http.SetCookie(w, cookie)
}

func clearHandshake(w http.ResponseWriter, h consent.Handshake) {
	cookie := handshakeCookie(h)
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}

// handshakes returns the handshakes of all the cookies that the browser sent.
func handshakes(r *http.Request) []consent.Handshake {
	var sent []consent.Handshake
	for _, cookie := range r.Cookies() {
		h := handshakeIn(cookie)
		if cookie.Name == handshakePrefix+h.Name() {
			sent = append(sent, h)
		}
	}
	return sent
}

// handshakeFor returns the handshake in the cookie for a state, or an empty one if the browser sent
// none. A cookie of that name may hold another state, which then doesn't match.
func handshakeFor(r *http.Request, state secret.Text) consent.Handshake {
	cookie, err := r.Cookie(handshakePrefix + consent.Handshake{State: state}.Name())
	if err != nil {
		return consent.Handshake{}
	}
	return handshakeIn(cookie)
}

func handshakeIn(cookie *http.Cookie) consent.Handshake {
	at := max(0, strings.LastIndexByte(cookie.Value, '.'))
	return consent.Handshake{
		State:    secret.New(cookie.Value[:at]),
		Verifier: secret.New(strings.TrimPrefix(cookie.Value[at:], ".")),
	}
}
