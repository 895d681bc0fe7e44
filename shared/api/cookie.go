package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bindery/shared/binding/consent"
	"bindery/shared/secret"
)

// handshakePrefix begins the names of the cookies that hold the state and the PKCE verifier of an
// authorization, which are stored nowhere else. __Host- keeps another host of the same site from
// setting them (RFC 6265bis, 4.1.3.2).
const handshakePrefix = "__Host-bindery-"

// handshakeSlots is how many such cookies a browser has at most, so that a page which starts many
// authorizations can't fill the header Cookie: full, they take 1.2 KB of the 4 KB that Function
// Compute allows for all headers. Each authorization has a slot of its own while no more than these
// are under way, so that two tabs don't disturb each other; after that the newest takes the slot of
// the oldest, whose callback then comes without its handshake.
const handshakeSlots = 6

// slot is a cookie with a handshake.
type slot struct {
	consent.Handshake
	name      string
	expiresAt int64 // Unix time
}

// slotsOf returns the slots in use: the cookies that the browser sent and that hold a state.
func slotsOf(r *http.Request) (used []slot) {
	for i := range handshakeSlots {
		cookie, err := r.Cookie(slotName(i))
		if err != nil {
			continue
		}
		if s := slotIn(cookie); !s.State.Empty() {
			used = append(used, s)
		}
	}
	return used
}

func slotName(i int) string { return handshakePrefix + strconv.Itoa(i) }

// handshakes returns the handshakes in the slots.
func handshakes(used []slot) (all []consent.Handshake) {
	for _, s := range used {
		all = append(all, s.Handshake)
	}
	return all
}

// slotFor returns the name of the slot for a handshake: the one that has it, a free one, or the one
// that expires first. Two tabs may start at once and send the same cookies; the state decides which
// free slot is taken, so that they rarely take the same one.
func slotFor(h consent.Handshake, used []slot) string {
	names := map[string]bool{}
	for _, s := range used {
		if s.State.Equal(h.State) {
			return s.name
		}
		names[s.name] = true
	}
	first, _ := strconv.ParseUint(h.Hash()[:8], 16, 32)
	for i := range handshakeSlots {
		if name := slotName((int(first) + i) % handshakeSlots); !names[name] {
			return name
		}
	}
	return slices.MinFunc(used, func(a, b slot) int {
		return cmp.Compare(a.expiresAt, b.expiresAt)
	}).name
}

// setHandshake sets the cookie of the handshake until the authorization expires.
func setHandshake(w http.ResponseWriter, to consent.Redirect, used []slot, now time.Time) {
	cookie := slotCookie(slotFor(to.Handshake, used))
	cookie.Value = fmt.Sprintf("%d.%s.%s", to.ExpiresAt.Unix(),
		to.Handshake.State.Reveal(), to.Handshake.Verifier.Reveal())
	cookie.MaxAge = max(1, int(to.ExpiresAt.Sub(now).Seconds()))
	http.SetCookie(w, cookie)
}

// clearHandshake clears the cookie of the handshake.
func clearHandshake(w http.ResponseWriter, h consent.Handshake, used []slot) {
	cookie := slotCookie(slotFor(h, used))
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}

func slotCookie(name string) *http.Cookie {
	return &http.Cookie{
		Name:     name,
		Path:     "/",
		Secure:   true,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

// slotIn reads what setHandshake has written: the expiry, the state, which has a dot, and the
// verifier.
func slotIn(cookie *http.Cookie) slot {
	expires, rest, _ := strings.Cut(cookie.Value, ".")
	at := max(0, strings.LastIndexByte(rest, '.'))
	s := slot{name: cookie.Name}
	s.expiresAt, _ = strconv.ParseInt(expires, 10, 64) // 0 if Bindery didn't write it
	s.State = secret.New(rest[:at])
	s.Verifier = secret.New(strings.TrimPrefix(rest[at:], "."))
	return s
}
