package instance

import (
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

// maxMistakes is how many mistakes an error shows at most.
const maxMistakes = 100

// parse decodes {account: [{type, region, id, name}]} strictly: a catalogue with a mistake would
// bind the wrong things. It reports every mistake in an entry, not only the first. Of the text it
// has only the entry that it decodes in memory.
func parse(text io.Reader) (accounts, error) {
	p := parser{decoder: json.NewDecoder(text), words: map[string]string{}}
	p.decoder.DisallowUnknownFields()
	if start, err := p.decoder.Token(); err != nil {
		return nil, mistake("not a JSON object of accounts: %w", err)
	} else if start != json.Delim('{') {
		return nil, mistake("not a JSON object of accounts")
	}
	all := accounts{}
	// One by one, because a map would lose the first of two accounts with the same name.
	for p.decoder.More() {
		key, err := p.decoder.Token()
		if err != nil {
			return nil, mistake("not JSON: %w", err)
		}
		account := key.(string) // every key of a JSON object is a string
		if _, twice := all[account]; twice {
			p.report("account %q is there twice", account)
		}
		if strings.TrimSpace(account) == "" {
			p.report("an account's name is blank")
		}
		list, err := p.list(account)
		if err != nil {
			return nil, mistake("account %q: not a list of {type, region, id, name}: %w", account, err)
		}
		p.check(account, list)
		all[account] = NewList(list...)
	}
	if _, err := p.decoder.Token(); err != nil {
		return nil, mistake("not JSON: %w", err)
	}
	if _, err := p.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, mistake("something follows the last brace")
	}
	return all, p.err()
}

type parser struct {
	decoder   *json.Decoder
	instances int // of all accounts
	// words are the types and regions, of which each is stored once.
	words    map[string]string
	mistakes []error
	more     int // mistakes that are not in the list
}

// list decodes an account's instances. A null is an empty list.
func (p *parser) list(account string) ([]Instance, error) {
	switch start, err := p.decoder.Token(); {
	case err != nil:
		return nil, err
	case start == nil:
		return nil, nil
	case start != json.Delim('['):
		return nil, fmt.Errorf("it begins with %v", start)
	}
	var list []Instance
	for p.decoder.More() {
		var one Instance
		if err := p.decoder.Decode(&one); err != nil {
			return nil, fmt.Errorf("instance %d: %w", len(list)+1, err)
		}
		if p.instances++; p.instances > maxInstances {
			return nil, fmt.Errorf("there are more than %d instances in all", maxInstances)
		}
		one.Type, one.Region = p.once(one.Type), p.once(one.Region)
		list = append(list, one)
	}
	_, err := p.decoder.Token()
	return list, err
}

func (p *parser) once(word string) string {
	known, ok := p.words[word]
	if !ok {
		p.words[word] = word
		return word
	}
	return known
}

// check reports every mistake in an account's instances.
func (p *parser) check(account string, list []Instance) {
	type name struct{ region, id string }
	seen := make(map[name]bool, len(list))
	for i, one := range list {
		wrong := func(why string) { p.report("account %q, instance %d: %s", account, i+1, why) }
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
}

func (p *parser) report(format string, args ...any) {
	if len(p.mistakes) == maxMistakes {
		p.more++
		return
	}
	p.mistakes = append(p.mistakes, mistake(format, args...))
}

// err returns the mistakes, or nil if there are none.
func (p *parser) err() error {
	if p.more > 0 {
		return errors.Join(append(p.mistakes, mistake("and %d more", p.more))...)
	}
	return errors.Join(p.mistakes...)
}

// mistake returns an error with the variable's name, which each line of a failed start has.
func mistake(format string, args ...any) error {
	return fmt.Errorf("BINDERY_INSTANCES: "+format, args...)
}

func printable(s string, shortest, longest int) bool {
	return len(s) >= shortest && len(s) <= longest &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
