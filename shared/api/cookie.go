package api

import (
	"net/http"
	"strings"
	"time"

	"bindery/shared/binding"
	"bindery/shared/secret"
)

// The cookie of an attempt holds its state and verifier, and nobody else has them. __Host- keeps
// a neighbouring host from setting it, and the rest of its name tells attempts apart, so that two
// tabs don't disturb each other and a forged callback clears no live one.
const ticketPrefix = "__Host-bindery-"

func ticketCookie(t binding.Handshake) *http.Cookie {
	return &http.Cookie{
		Name:     ticketPrefix + t.Name(),
		Path:     "/",
		Secure:   true,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

// setTicket gives the browser its ticket until the attempt ends.
func setTicket(w http.ResponseWriter, t binding.Handshake, until, now time.Time) {
	cookie := ticketCookie(t)
	cookie.Value = t.State.Reveal() + "." + t.Verifier.Reveal()
	cookie.MaxAge = max(1, int(until.Sub(now).Seconds()))
	http.SetCookie(w, cookie)
}

func clearTicket(w http.ResponseWriter, t binding.Handshake) {
	cookie := ticketCookie(t)
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}

// tickets are all that the browser shows.
func tickets(r *http.Request) []binding.Handshake {
	var shown []binding.Handshake
	for _, cookie := range r.Cookies() {
		if !strings.HasPrefix(cookie.Name, ticketPrefix) {
			continue
		}
		at := strings.LastIndexByte(cookie.Value, '.')
		if at < 0 {
			continue
		}
		t := binding.Handshake{
			State:    secret.New(cookie.Value[:at]),
			Verifier: secret.New(cookie.Value[at+1:]),
		}
		if cookie.Name == ticketPrefix+t.Name() {
			shown = append(shown, t)
		}
	}
	return shown
}

// ticketFor is the one that goes with a state; empty if the browser shows none. One by that name
// with another state in it fits nothing.
func ticketFor(r *http.Request, state secret.Text) binding.Handshake {
	cookie, err := r.Cookie(ticketPrefix + binding.Handshake{State: state}.Name())
	if err != nil {
		return binding.Handshake{}
	}
	at := max(0, strings.LastIndexByte(cookie.Value, '.'))
	return binding.Handshake{
		State:    secret.New(cookie.Value[:at]),
		Verifier: secret.New(strings.TrimPrefix(cookie.Value[at:], ".")),
	}
}
