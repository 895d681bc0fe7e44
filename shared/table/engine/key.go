package engine

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"bindery/shared/binding"
)

// The kinds of rows. A PK begins with one.
const (
	BindingKind       = "binding"
	AuthorizationKind = "authorization"
	IdentityKind      = "holder"
	HistoryKind       = "history"
)

// OnlyRow is the SK of a row that shares its PK with no other.
const OnlyRow = "-"

// Above sorts after everything that follows a key of [binding.Join] in a longer key, which begins
// with a digit.
const Above = "~"

// Key is a row's key: rows with the same PK are stored together, in the order of their SK. Neither
// is empty.
type Key struct{ PK, SK string }

// AccountPK is the PK of all bindings of an account.
func AccountPK(account string) string { return binding.Join(BindingKind, account) }

// BindingKey is the key of a binding. The keys of an instance's bindings are adjacent.
func BindingKey(k binding.Key) Key {
	return Key{AccountPK(k.Account), binding.Join(k.Region, k.Instance, k.Platform)}
}

// AuthorizationKey is the key of an authorization.
func AuthorizationKey(id string) Key { return Key{binding.Join(AuthorizationKind, id), OnlyRow} }

// IdentityPK is the PK of all entries about an identity.
func IdentityPK(of binding.IdentityKey) string {
	return binding.Join(IdentityKind, of.Platform, of.Address, of.ID)
}

// IdentityEntryKey is the key of one entry about an identity.
func IdentityEntryKey(e binding.IdentityEntry) Key {
	if e.Authorization != "" {
		return Key{IdentityPK(e.Of), binding.Join(AuthorizationKind, e.Authorization)}
	}
	return Key{IdentityPK(e.Of), binding.Join(BindingKind) + e.Binding.String()}
}

// HistoryPK is the PK of a binding's events. Their SK is [binding.Event.Position].
func HistoryPK(k binding.Key) string { return binding.Join(HistoryKind) + k.String() }

// Split takes a key of [binding.Join] apart, and stops at what Join doesn't write.
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

// Shards is the number of parts over which the index of what is due is spread, so that what comes
// due next is not all in one place. A part of DynamoDB's takes 1,000 writes a second, and a
// save that changes a row's due time makes two: four parts take 2,000 saves a second, far more than
// builds and checks make. Each part costs the sweep a call, whether something is due or not. The
// number may grow, because rows stay in the shard that they are in, but it must not shrink.
const Shards = 4

// Shard is the part of the index that a row is in.
func Shard(k Key) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(k.PK + k.SK)) // never fails: see hash.Hash
	return int(hash.Sum32() % Shards)
}

// timeLayout writes times in UTC so that they sort as text, all in the same width.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// SortableTimeLength is the length of what [SortableTime] writes, in bytes.
const SortableTimeLength = len(timeLayout)

// SortableTime writes a time as text that sorts as the times do.
func SortableTime(t time.Time) string { return t.UTC().Format(timeLayout) }
