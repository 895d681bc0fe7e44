package engine

import (
	"fmt"
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
	SubscriptionKind  = "subscription"
	SubscribedKind    = "subscribed"
	SourceKind        = "source"
	HeadsKind         = "heads"
	LeaseKind         = "lease"
	// SecretKind is the kind of the sealed secrets of vault/envelope, in a table of their own.
	SecretKind = "secret"
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

// SubscriptionKey is the key of a subscription.
func SubscriptionKey(id string) Key { return Key{binding.Join(SubscriptionKind, id), OnlyRow} }

// SubscribedPK is the PK of all entries of a binding's subscriptions.
func SubscribedPK(k binding.Key) string { return binding.Join(SubscribedKind) + k.String() }

// SubscriptionEntryKey is the key of the entry of a repository of a binding.
func SubscriptionEntryKey(k binding.Key, repositoryID string) Key {
	return Key{SubscribedPK(k), binding.Join(repositoryID)}
}

// LogPK is the PK of the log of a subscription.
func LogPK(id string) string { return binding.Join(SourceKind, id) }

// LogKey is the key of the event with a number in the log of a subscription. Numbers that are
// [binding.MaxLogged] apart share it.
func LogKey(id string, number int64) Key {
	return Key{LogPK(id), fmt.Sprintf("%04d", number%binding.MaxLogged)}
}

// HeadsKey is the key of the heads of a subscription's refs.
func HeadsKey(id string) Key { return Key{binding.Join(HeadsKind, id), OnlyRow} }

// LeaseKey is the key of the lease of a schedule.
func LeaseKey(schedule string) Key { return Key{binding.Join(LeaseKind, schedule), OnlyRow} }

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
// number must not shrink, because rows stay in the shard that they are in, and it can't grow,
// because the shards of subscriptions follow.
const Shards = 4

// SubscriptionShards is the number of parts behind the first [Shards] that have the subscriptions,
// so that neither list reads the other's entries, and versions from before subscriptions none of
// them. The number may grow, but must not shrink.
const SubscriptionShards = 2

// Shard is the part of the index that a row is in.
func Shard(k Key) int {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(k.PK + k.SK)) // never fails: see hash.Hash
	if strings.HasPrefix(k.PK, binding.Join(SubscriptionKind)) {
		return Shards + int(hash.Sum32()%SubscriptionShards)
	}
	return int(hash.Sum32() % Shards)
}

// timeLayout writes times in UTC so that they sort as text, all in the same width.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// SortableTimeLength is the length of what [SortableTime] writes, in bytes.
const SortableTimeLength = len(timeLayout)

// SortableTime writes a time as text that sorts as the times do.
func SortableTime(t time.Time) string { return t.UTC().Format(timeLayout) }
