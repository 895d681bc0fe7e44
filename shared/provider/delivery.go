package provider

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"bindery/shared/secret"
)

// What the deliveries of several platforms have in common.

// maxDeliveryDepth is how deep a delivery's JSON may nest. Those of the platforms nest less than 10
// deep.
const maxDeliveryDepth = 64

// decode decodes the body's JSON into into. Its errors are [ErrNotADelivery], and have nothing of
// the body, which may hold secrets.
func (in DeliveryRequest) decode(into any) error {
	switch {
	case len(in.Body) > MaxDelivery:
		return fmt.Errorf("%w: its body is too long", ErrNotADelivery)
	case deeperThan(in.Body, maxDeliveryDepth):
		return fmt.Errorf("%w: its JSON nests too deep", ErrNotADelivery)
	case json.Unmarshal(in.Body, into) != nil:
		return fmt.Errorf("%w: its body is not the expected JSON", ErrNotADelivery)
	}
	return nil
}

// deeperThan reports whether arrays and objects of a JSON text nest deeper than limit. It reads the
// text once and keeps nothing of it.
func deeperThan(text []byte, limit int) bool {
	depth, inString, escaped := 0, false, false
	for _, b := range text {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = b == '\\', b != '"'
		case b == '"':
			inString = true
		case b == '{', b == '[':
			if depth++; depth > limit {
				return true
			}
		case b == '}', b == ']':
			depth--
		}
	}
	return false
}

// signedBy reports whether mac is the HMAC-SHA256 of a message by a key. The time that it takes
// doesn't depend on how much of mac is right. Nothing is signed by an empty key.
func signedBy(key secret.Text, message, mac []byte) bool {
	if key.Empty() {
		return false
	}
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	h.Write(message)
	return hmac.Equal(mac, h.Sum(nil))
}

// signedInHex reports whether the header has the signature "sha256=…" of the body in hex, as GitHub
// and Bitbucket send it.
func (in DeliveryRequest) signedInHex(header string) bool {
	digits, ok := strings.CutPrefix(in.Header.Get(header), "sha256=")
	mac, err := hex.DecodeString(digits)
	return ok && err == nil && signedBy(in.Secret, in.Body, mac)
}

// maxDeliveryID limits a delivery's id, in bytes. The platforms send uuids.
const maxDeliveryID = 100

// id returns the delivery's id that the header has. Without a usable one it returns an id that
// follows from the body.
func (in DeliveryRequest) id(header string) string {
	id := in.Header.Get(header)
	if id == "" || len(id) > maxDeliveryID || !printable(id) {
		return bodyID(in.Body)
	}
	return id
}

// bodyID returns an id that is the same for the same text.
func bodyID(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256-" + hex.EncodeToString(sum[:])
}

// refPrefix returns how the full name of a kind's refs begins.
func refPrefix(kind RefKind) string { return "refs/" + string(kind) + "/" }

// validFullRef reports whether ref is the full name of a branch or tag that git allows.
func validFullRef(ref string) bool {
	for _, kind := range []RefKind{Branches, Tags} {
		if name, ok := strings.CutPrefix(ref, refPrefix(kind)); ok {
			return ValidRefName(name)
		}
	}
	return false
}

// newChange returns the change of a ref from one hash to another, as GitHub, GitLab, Gitee and
// Codeup tell it. git's zero hash before means that the ref was created, after that it was deleted.
// Of an annotated tag both are those of tag objects, so a tag's Before isn't known, and its Commit
// is commit, "" if the platform didn't tell one.
//
// ok is false, and the change is not to be passed on, if the ref is no branch or tag, if git
// doesn't allow its name, if a hash is not a full one, or if both are the same.
func newChange(ref, before, after, commit loose) (change Change, ok bool) {
	from, fromOK := hashOrZero(before)
	to, toOK := hashOrZero(after)
	ok = fromOK && toOK && from != to && validFullRef(string(ref))
	change = Change{
		Ref: string(ref), Before: from, Commit: to, Created: from == "", Deleted: to == "",
	}
	if strings.HasPrefix(change.Ref, refPrefix(Tags)) {
		change.Before = ""
		if !change.Deleted {
			change.Commit = fullHash(commit)
		}
	}
	return change, ok
}

// hashOrZero returns a full hash in lower case, "" for git's zero hash, and whether it is one.
func hashOrZero(told loose) (hash string, ok bool) {
	if strings.Trim(string(told), "0") != "" {
		hash = strings.ToLower(string(told))
	}
	return hash, isFullHash(string(told))
}

// fullHash returns a full hash in lower case, "" for anything else.
func fullHash(told loose) string {
	hash, ok := hashOrZero(told)
	if !ok {
		return ""
	}
	return hash
}

// newMerge returns a change of a merge request, with the hash of its head or merge commit. ok is
// false if its number or one of its branches can't be one. An empty action makes no change.
func newMerge(target, commit loose, merge MergeRequest) (change Change, ok bool) {
	merge.Title = title(merge.Title)
	change = Change{
		Ref: refPrefix(Branches) + string(target), Commit: fullHash(commit), Merge: &merge,
	}
	ok = merge.Action != "" && numeric(merge.Number) && ValidRefName(string(target)) &&
		ValidRefName(merge.Source)
	return change, ok
}

// unconfirmed returns what of a change may leave a delivery that no signature covers: what the
// platform is asked about, and what it is compared with.
func unconfirmed(c Change) []Change {
	kept := Change{
		Ref: c.Ref, Before: c.Before, Commit: c.Commit, Created: c.Created, Deleted: c.Deleted,
	}
	if c.Merge != nil {
		kept.Merge = &MergeRequest{Number: c.Merge.Number, Action: c.Merge.Action}
	}
	return []Change{kept}
}

// pushedCommit is a commit of a push.
type pushedCommit struct {
	Message loose `json:"message"`
}

// titles returns the titles of the newest commits, newest first. commits are oldest first, as
// GitHub and GitLab list them.
func titles(commits []pushedCommit) []string {
	var list []string
	for _, commit := range slices.Backward(commits) {
		if len(list) == MaxTitles {
			break
		}
		list = append(list, title(string(commit.Message)))
	}
	return list
}

// title returns the first line of a message without control characters, at most [MaxTitle] bytes.
func title(message string) string {
	line, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(message), "\r", "\n"), "\n")
	return label(line)
}

// ofRepository returns the delivery, or [ErrNotADelivery] if it tells of changes and not of which
// repository.
func (d Delivery) ofRepository() (Delivery, error) {
	if d.RepositoryID == "" && len(d.Changes) > 0 {
		return Delivery{}, fmt.Errorf("%w: it names no repository", ErrNotADelivery)
	}
	return d, nil
}
