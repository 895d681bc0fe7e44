package tablestore

import (
	"strconv"
	"strings"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"bindery/shared/table"
)

// The kinds that begin a pk.
const (
	bindingKind       = "binding"
	noteKind          = "note"
	authorizationKind = "authorization"
	holderKind        = "holder"
	historyKind       = "history"
)

// alone is the sk of a row that shares its pk with no other.
const alone = "-"

// above comes after everything that a key of [table.Join] goes on with, which is a digit.
const above = "~"

// longestKey is how long a key column may be, in bytes.
const longestKey = 1024

// key is a row's.
type key struct{ pk, sk string }

// primary is the library's form of it.
func (k key) primary() *sdk.PrimaryKey {
	p := &sdk.PrimaryKey{}
	p.AddPrimaryKeyColumn(pkColumn, k.pk)
	p.AddPrimaryKeyColumn(skColumn, k.sk)
	return p
}

func accountPK(account string) string { return table.Join(bindingKind, account) }

func bindingKey(k table.Key) key {
	return key{accountPK(k.Account), table.Join(k.Region, k.Instance, k.Platform)}
}

func noteKey(secret string) key { return key{table.Join(noteKind, secret), alone} }

func authorizationKey(id string) key { return key{table.Join(authorizationKind, id), alone} }

func identityPK(of table.IdentityKey) string {
	return table.Join(holderKind, of.Platform, of.Address, of.ID)
}

func holderKey(h table.Holder) key {
	if h.Authorization != "" {
		return key{identityPK(h.Of), table.Join(authorizationKind, h.Authorization)}
	}
	return key{identityPK(h.Of), table.Join(bindingKind) + h.Binding.String()}
}

func historyPK(k table.Key) string { return table.Join(historyKind) + k.String() }

// split takes a key of [table.Join] apart again, and stops at what Join doesn't write.
func split(joined string) (parts []string) {
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
