package consent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/secret"
)

// Handshake is what only the browser that goes through the consent has: the state (RFC 6749,
// 10.12) and the PKCE verifier (RFC 7636, 4.1). They are kept in its cookie only; the record has
// their hashes.
type Handshake struct {
	State    secret.Text
	Verifier secret.Text
}

// Hash returns the state's hash, as the record keeps it.
func (h Handshake) Hash() string { return hashOf(h.State) }

// Challenge returns the code challenge of the verifier, by the method S256 (RFC 7636, 4.2).
func (h Handshake) Challenge() string {
	sum := sha256.Sum256([]byte(h.Verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Fits reports whether the handshake is the record's: its state and its verifier, compared in
// constant time. No handshake fits a record without hashes.
func (h Handshake) Fits(a binding.Authorization) bool {
	if h.State.Empty() || h.Verifier.Empty() {
		return false
	}
	return secret.New(h.Hash()).Equal(secret.New(a.StateHash)) &&
		secret.New(h.Challenge()).Equal(secret.New(a.Challenge))
}

// AuthorizationOf returns the id that a state begins with, "" if the state does not have the form
// of a [Handshake]'s.
func AuthorizationOf(state secret.Text) string {
	id, random, _ := strings.Cut(state.Reveal(), ".")
	if !isID(id) || len(random) != 64 {
		return ""
	}
	return id
}

// isID reports whether a text has the form of an authorization's id. A caller may send any text,
// and a table does not accept every text as a key.
func isID(text string) bool {
	return len(text) == 32 && strings.Trim(text, "0123456789abcdef") == ""
}

// fitting returns the first of the shown handshakes that fits the record, or the zero one.
func fitting(a binding.Authorization, shown []Handshake) Handshake {
	for _, h := range shown {
		if h.Fits(a) {
			return h
		}
	}
	return Handshake{}
}

// hasConfirmationCode reports whether the confirmation code is the record's, in constant time. An
// empty code never is.
func hasConfirmationCode(a binding.Authorization, code secret.Text) bool {
	if code.Empty() || a.Stage != binding.StageConsented {
		return false
	}
	return secret.New(hashOf(code)).Equal(secret.New(a.ConfirmationHash))
}

// hashOf returns the SHA-256 of a text in hex.
func hashOf(text secret.Text) string {
	sum := sha256.Sum256([]byte(text.Reveal()))
	return hex.EncodeToString(sum[:])
}
