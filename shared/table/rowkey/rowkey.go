// Package rowkey is how the records of package table lie in a table that is spread by one key and
// sorted by another: DynamoDB and Tablestore have that in common. Both clouds' tables have the same
// keys, and the same index of what is due.
//
// How a service is asked, and what else a row holds, is for table/dynamo and table/tablestore.
package rowkey

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"bindery/shared/table"
)

// The kinds of rows. A PK begins with one.
const (
	BindingKind       = "binding"
	AuthorizationKind = "authorization"
	HolderKind        = "holder"
	HistoryKind       = "history"
)

// alone is the SK of a row that shares its PK with no other.
const alone = "-"

// Above comes after everything that a key of [table.Join] goes on with, which is a digit.
const Above = "~"

// Key is a row's: rows with the same PK lie together, in the order of their SK. Neither is empty.
type Key struct{ PK, SK string }

// Account is the PK of all bindings of an account.
func Account(account string) string { return table.Join(BindingKind, account) }

// Binding is the key of a binding. Those of an instance lie side by side.
func Binding(k table.Key) Key {
	return Key{Account(k.Account), table.Join(k.Region, k.Instance, k.Platform)}
}

// Authorization is the key of an authorization.
func Authorization(id string) Key { return Key{table.Join(AuthorizationKind, id), alone} }

// Identity is the PK of all entries about an identity.
func Identity(of table.IdentityKey) string {
	return table.Join(HolderKind, of.Platform, of.Address, of.ID)
}

// IdentityEntry is the key of one of them.
func IdentityEntry(h table.IdentityEntry) Key {
	if h.Authorization != "" {
		return Key{Identity(h.Of), table.Join(AuthorizationKind, h.Authorization)}
	}
	return Key{Identity(h.Of), table.Join(BindingKind) + h.Binding.String()}
}

// History is the PK of a binding's events. Their SK is [table.Event.Position].
func History(k table.Key) string { return table.Join(HistoryKind) + k.String() }

// Split takes a key of [table.Join] apart again, and stops at what Join doesn't write.
func Split(joined string) (parts []string) {
	for joined != "" {
		length, rest, _ := strings.Cut(joined, ":")
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 || n > len(rest) {
			return parts
		}
		parts, joined = append(parts, rest[:n]), rest[n:]
	}
	return parts
}

// Shards is over how many parts the index of what is due is spread, so that what comes due next
// doesn't all lie in one place. A part of DynamoDB's takes 1,000 writes a second, and a save that
// moves a row's time is two: four take 2,000 saves a second, far more than builds and checks make.
// Each costs the sweep a call, whether something is due or not. It may grow, for rows stay in the
// shard that they are in, but not shrink.
const Shards = 4

// Shard is the part of the index that a row is in.
func Shard(k Key) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(k.PK + k.SK)) // never fails: see hash.Hash
	return int(hash.Sum32() % Shards)
}

// stampForm writes a time so that times sort as text, all in the same width.
const stampForm = "2006-01-02T15:04:05.000000000Z"

// SortableTimeLength is how long a stamp is, in bytes.
const SortableTimeLength = len(stampForm)

// SortableTime writes a time so that stamps sort as their times do.
func SortableTime(t time.Time) string { return t.UTC().Format(stampForm) }

// DueEntry reads an entry of the index from the key of its row and the stamp of its time, which are
// all that the index holds.
func DueEntry(key Key, stamp string) (table.DueEntry, error) {
	var none table.DueEntry
	at, err := time.Parse(stampForm, stamp)
	if err != nil {
		return none, fmt.Errorf("the time of %q in the index: %w", key.PK, err)
	}
	pk, sk := Split(key.PK), Split(key.SK)
	switch {
	case len(pk) == 2 && pk[0] == AuthorizationKind:
		return table.DueEntry{At: at, Authorization: pk[1]}, nil
	case len(pk) == 2 && pk[0] == BindingKind && len(sk) == 3:
		return table.DueEntry{At: at, Binding: table.Key{
			Account: pk[1], Region: sk[0], Instance: sk[1], Platform: sk[2],
		}}, nil
	}
	return none, fmt.Errorf("the index has %q, which never comes due", key.PK)
}
