package engine

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"bindery/shared/binding"
	"bindery/shared/table"
)

// packedHeads is the record of [binding.Heads]. Refs has each ref and a line feed, compressed by
// DEFLATE (RFC 1951). Commits has, in the same order, the number of each commit's bytes and these.
type packedHeads struct {
	Subscription string `json:"subscription"`
	Refs         []byte `json:"refs"`
	Commits      []byte `json:"commits"`
}

// longestHeads is the most bytes of a record of heads: DynamoDB takes rows of 400 KB.
const longestHeads = 390_000

// SubscriptionHeads implements ledger.SubscriptionLog.
func (t *Table) SubscriptionHeads(ctx context.Context, id string) (none binding.Heads, err error) {
	const doing = "read a subscription's heads"
	row, ok, err := t.driver.Get(ctx, HeadsKey(id))
	if err == nil && !ok {
		err = table.ErrNotFound
	}
	if err != nil {
		return none, t.failed(doing, err)
	}
	heads, err := decodeHeads(row)
	if err != nil {
		return none, t.failed(doing, err)
	}
	return heads, nil
}

// SaveSubscriptionHeads implements ledger.SubscriptionLog. It fails for more heads than fit into a
// row: 5,000 with names of 60 random letters do.
func (t *Table) SaveSubscriptionHeads(ctx context.Context, heads binding.Heads) error {
	row, err := encodeHeads(heads)
	if err == nil {
		err = t.driver.Put(ctx, row, Condition{})
	}
	return t.failed("save a subscription's heads", err)
}

func encodeHeads(heads binding.Heads) (Row, error) {
	var refs strings.Builder
	packed := packedHeads{Subscription: heads.Subscription}
	for _, head := range heads.List {
		commit, err := hex.DecodeString(head.Commit)
		if err != nil || hex.EncodeToString(commit) != head.Commit || len(commit) > 255 {
			return Row{}, errors.New("the commit of a head is no hash")
		}
		if strings.Contains(head.Ref, "\n") {
			return Row{}, errors.New("a ref has a line feed")
		}
		refs.WriteString(head.Ref + "\n")
		packed.Commits = append(append(packed.Commits, byte(len(commit))), commit...)
	}
	var err error
	if packed.Refs, err = deflate(refs.String()); err != nil {
		return Row{}, err
	}
	row, err := encode(HeadsKey(heads.Subscription), packed)
	if err == nil && len(row.Record) > longestHeads {
		err = fmt.Errorf("%d heads take %d bytes", len(heads.List), len(row.Record))
	}
	return row, err
}

func decodeHeads(row Row) (heads binding.Heads, err error) {
	packed, err := decode[packedHeads](row)
	if err != nil {
		return heads, err
	}
	if HeadsKey(packed.Subscription) != row.Key {
		return heads, table.ErrMisplaced
	}
	refs, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed.Refs)))
	if err != nil {
		return heads, fmt.Errorf("the refs of the heads: %w", err)
	}
	heads.Subscription = packed.Subscription
	rest := packed.Commits
	for ref := range strings.Lines(string(refs)) {
		if len(rest) == 0 || len(rest) <= int(rest[0]) {
			return heads, errors.New("heads without commits")
		}
		end := 1 + int(rest[0])
		heads.List = append(heads.List, binding.Head{
			Ref: strings.TrimSuffix(ref, "\n"), Commit: hex.EncodeToString(rest[1:end]),
		})
		rest = rest[end:]
	}
	return heads, nil
}

func deflate(text string) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(w, text)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}
