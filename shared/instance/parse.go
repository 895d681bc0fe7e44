package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// The longest of each, in bytes.
const (
	maxRegionLength = 64
	maxIDLength     = 128
	maxNameLength   = 256
)

// parse decodes {account: [{type, region, id, name}]} strictly: a catalogue with a mistake would
// bind the wrong things. It reports every mistake in an entry, not only the first.
func parse(text []byte) (accounts, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, mistake("not a JSON object of accounts")
	}
	all := accounts{}
	var mistakes []error
	// One by one, because a map would lose the first of two accounts with the same name.
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, mistake("not JSON: %w", err)
		}
		account := key.(string) // every key of a JSON object is a string
		var list []Instance
		if err := decoder.Decode(&list); err != nil {
			return nil, mistake("account %q: not a list of {type, region, id, name}: %w", account, err)
		}
		if _, twice := all[account]; twice {
			mistakes = append(mistakes, mistake("account %q is there twice", account))
		}
		if strings.TrimSpace(account) == "" {
			mistakes = append(mistakes, mistake("an account's name is blank"))
		}
		mistakes = append(mistakes, check(account, list)...)
		sortList(list)
		all[account] = list
	}
	if _, err := decoder.Token(); err != nil {
		return nil, mistake("not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, mistake("something follows the last brace")
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return all, nil
}

// check returns every mistake in an account's instances.
func check(account string, list []Instance) (mistakes []error) {
	type name struct{ region, id string }
	seen := make(map[name]bool, len(list))
	for i, one := range list {
		wrong := func(why string) {
			mistakes = append(mistakes, mistake("account %q, instance %d: %s", account, i+1, why))
		}
		if one.Type != Enterprise && one.Type != Personal {
			wrong("the type is neither enterprise nor personal")
		}
		// A token's list of instances separates region and id with a slash.
		if !printable(one.Region, 1, maxRegionLength) || strings.ContainsAny(one.Region, "/ ") {
			wrong("the region is missing, too long, or holds a slash or a space")
		}
		// A single dot has a special meaning in an address.
		if !printable(one.ID, 1, maxIDLength) || one.ID == "." || one.ID == ".." {
			wrong("the id is missing, too long, or not a name")
		}
		if !printable(one.Name, 0, maxNameLength) {
			wrong("the name is too long or can't be printed")
		}
		if key := (name{one.Region, one.ID}); seen[key] {
			wrong("the same region and id are there before")
		} else {
			seen[key] = true
		}
	}
	return mistakes
}

// mistake returns an error with the variable's name, which each line of a failed start has.
func mistake(format string, args ...any) error {
	return fmt.Errorf("BINDERY_INSTANCES: "+format, args...)
}

func printable(s string, shortest, longest int) bool {
	return len(s) >= shortest && len(s) <= longest &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
