package binding

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Heads are the heads of a subscription's refs, as the last sync left them: what has been told to
// the receiver. They are a hint for the next sync.
type Heads struct {
	Version string

	Subscription string
	List         []Head // sorted by Ref
	// Cut are the kinds of refs, "heads" or "tags", of which the repository has too many. The list has
	// none of these but those that the row had, or that deliveries have told of since.
	Cut []string

	Attributes any // that this version does not know, in the store's own type
}

// packedHeads is the JSON of [Heads]. Refs has each ref and a line feed, compressed by DEFLATE
// (RFC 1951). Commits has, in the same order, the number of each commit's bytes and these.
type packedHeads struct {
	Subscription string   `json:"subscription"`
	Refs         []byte   `json:"refs"`
	Commits      []byte   `json:"commits"`
	Cut          []string `json:"cut,omitempty"`
}

const (
	// maxPackedHeads is the most bytes of packed heads. They are written in base64, into a row of
	// 400 KB in DynamoDB.
	maxPackedHeads = 290_000
	// maxListedHeads leaves room for those of refs that change before the next sync.
	maxListedHeads = 280_000
)

// ErrTooManyHeads says that heads don't fit into a row: 5,000 with names of 60 random letters do.
var ErrTooManyHeads = errors.New("binding: the heads don't fit into a row")

// MarshalJSON packs the heads. It fails with [ErrTooManyHeads], and for a head that is none of a
// ref.
func (h Heads) MarshalJSON() ([]byte, error) {
	p, err := packHeads(h.List)
	if err != nil {
		return nil, err
	}
	if p.size() > maxPackedHeads {
		return nil, fmt.Errorf("%w: %d take %d bytes", ErrTooManyHeads, len(h.List), p.size())
	}
	p.Subscription, p.Cut = h.Subscription, h.Cut
	return json.Marshal(p)
}

func (p packedHeads) size() int { return len(p.Refs) + len(p.Commits) }

// HeadsFit reports whether heads fit into a row, and those of some more refs.
func HeadsFit(list []Head) bool {
	most := 0
	for _, head := range list {
		most += len(head.Ref) + len(head.Commit)/2 + 2
	}
	if most <= maxListedHeads {
		return true
	}
	p, err := packHeads(list)
	return err == nil && p.size() <= maxListedHeads
}

func packHeads(list []Head) (p packedHeads, err error) {
	var refs bytes.Buffer
	w, err := flate.NewWriter(&refs, flate.DefaultCompression)
	if err != nil {
		return p, err
	}
	for _, head := range list {
		commit, err := hex.DecodeString(head.Commit)
		if err != nil || hex.EncodeToString(commit) != head.Commit || len(commit) > 255 {
			return p, errors.New("the commit of a head is no hash")
		}
		if strings.Contains(head.Ref, "\n") {
			return p, errors.New("a ref has a line feed")
		}
		_, _ = io.WriteString(w, head.Ref+"\n") // a buffer takes everything
		p.Commits = append(append(p.Commits, byte(len(commit))), commit...)
	}
	err = w.Close()
	p.Refs = refs.Bytes()
	return p, err
}

// UnmarshalJSON unpacks the heads.
func (h *Heads) UnmarshalJSON(text []byte) error {
	var p packedHeads
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	refs, err := io.ReadAll(flate.NewReader(bytes.NewReader(p.Refs)))
	if err != nil {
		return fmt.Errorf("the refs of the heads: %w", err)
	}
	h.Subscription, h.Cut, h.List = p.Subscription, p.Cut, nil
	rest := p.Commits
	for ref := range strings.Lines(string(refs)) {
		if len(rest) == 0 || len(rest) <= int(rest[0]) {
			return errors.New("heads without commits")
		}
		end := 1 + int(rest[0])
		h.List = append(h.List, Head{
			Ref: strings.TrimSuffix(ref, "\n"), Commit: hex.EncodeToString(rest[1:end]),
		})
		rest = rest[end:]
	}
	return nil
}

// NoteHead makes a commit the known head of a ref: see [Head]. The states of merge requests make
// room for newer ones, the heads of refs do not: they stay until [Subscription.RemoveHeads].
func (s *Subscription) NoteHead(ref, commit string) {
	heads := slices.DeleteFunc(slices.Clone(s.Heads), func(h Head) bool { return h.Ref == ref })
	s.Heads = append(heads, Head{Ref: ref, Commit: commit})
	merges := len(s.Heads) - len(s.refHeads())
	s.Heads = slices.DeleteFunc(s.Heads, func(h Head) bool {
		oldest := merges > MaxMergeStates && !h.ofRef()
		if oldest {
			merges--
		}
		return oldest
	})
}

// ofRef reports whether a head is one of a ref, and not the state of a merge request.
func (h Head) ofRef() bool { return strings.HasPrefix(h.Ref, "refs/") }

func (s *Subscription) refHeads() (list []Head) {
	for _, h := range s.Heads {
		if h.ofRef() {
			list = append(list, h)
		}
	}
	return list
}

// headsWithin reports whether the heads of refs take at most so much of the room for them.
func (s *Subscription) headsWithin(percent int) bool {
	list, size := s.refHeads(), 0
	for _, h := range list {
		size += h.size()
	}
	return len(list)*100 <= MaxRecentHeads*percent && size*100 <= maxHeadBytes*percent
}

// size is the most bytes that a head takes in JSON, where a letter may become six.
func (h Head) size() int { return 64 + len(h.Commit) + 6*len(h.Ref) }

// roomForHead reports whether the row may have one more head, if it has none of the ref.
func (s *Subscription) roomForHead(ref string) bool {
	if _, known := s.KnownHead(ref); known {
		return true
	}
	next := *s
	next.Heads = append(slices.Clone(s.Heads), Head{Ref: ref, Commit: strings.Repeat("0", 64)})
	return next.headsWithin(100)
}

// OlderHeads returns the heads of refs that are to be moved to those of the last sync, so that
// there is room for newer ones. None while there are few.
func (s *Subscription) OlderHeads() []Head {
	if s.headsWithin(50) {
		return nil
	}
	list := s.refHeads()
	return list[:len(list)*3/4]
}

// maxAllHeads is how much of the room for heads those of all refs may take, in percent.
const maxAllHeads = 25

// NoteAllHeads notes the heads of all refs, as a sync leaves them, if these are so few that there
// is room for those of many other refs. The row's own count more.
func (s *Subscription) NoteAllHeads(all []Head) {
	next := *s
	next.Heads = slices.DeleteFunc(slices.Clone(all), func(h Head) bool {
		_, known := s.KnownHead(h.Ref)
		return known
	})
	next.Heads = append(next.Heads, s.Heads...)
	if s.AllHeads = next.headsWithin(maxAllHeads); s.AllHeads {
		s.Heads = next.Heads
	}
}

// RemoveHeads removes heads that have not changed since.
func (s *Subscription) RemoveHeads(moved []Head) {
	s.AllHeads = false
	s.Heads = slices.DeleteFunc(slices.Clone(s.Heads), func(h Head) bool {
		return slices.Contains(moved, h)
	})
}
