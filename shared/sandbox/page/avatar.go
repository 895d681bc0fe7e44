package page

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// Avatar draws the initial of the user in the path value "login". The real platforms keep pictures
// on hosts of their own, so the path belongs to no platform and its requests are not counted.
func Avatar(w http.ResponseWriter, r *http.Request) {
	login := r.PathValue("login")
	initial := html.EscapeString(strings.ToUpper(string([]rune(login)[:1])))
	hue := 0
	for _, letter := range login {
		hue = (hue*31 + int(letter)) % 360
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">`+
		`<rect width="64" height="64" fill="hsl(%d 45%% 40%%)"/>`+
		`<text x="32" y="43" font-family="sans-serif" font-size="32" fill="#fff" `+
		`text-anchor="middle">%s</text></svg>`, hue, initial)
}
