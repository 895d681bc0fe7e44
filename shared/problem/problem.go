// Package problem is the catalogue of everything that can go wrong for a user of Bindery: a code
// for programs, and in Chinese and English a title, what happened, and what to do next.
//
// A [Problem] is an error. It travels through the code like any other, is stored in a binding's
// record as code, reason and parameters, and becomes text only in replies, in the reader's
// language. It never holds a secret, and its cause is only written to the log.
//
// The package imports nothing of Bindery.
package problem

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Language is a language of the catalogue's texts.
type Language string

// The languages of every text in the catalogue.
const (
	Chinese Language = "zh-CN"
	English Language = "en"
)

// Problem is one failure. Its JSON form is stored in records; it has no cause and no delay.
type Problem struct {
	// Code names the entry of the catalogue.
	Code Code `json:"code"`
	// Reason distinguishes causes of one code: "dns", "missing". A program may compare it.
	Reason string `json:"reason,omitempty"`
	// Params fill the {braces} of the texts. No secrets.
	Params map[string]string `json:"params,omitempty"`
	// Choices are what the user may choose from. They are only in the reply.
	Choices []Choice `json:"-"`
	// RetryAfter is how long to wait before trying again, 0 if that is not known.
	RetryAfter time.Duration `json:"-"`
	// Cause is for the log.
	Cause error `json:"-"`
}

// Choice is one of the things that a user may choose from.
type Choice struct {
	ID   string `json:"id"`
	Name string `json:"name"` // for people; may be empty
}

// TypedAddress is the parameter of a problem of a platform whose address the user typed, with any
// value. Only such a problem may tell the user to check the address.
const TypedAddress = "typedAddress"

// New returns a problem of the catalogue. A code that the catalogue does not have was stored by a
// newer version of Bindery, and is shown with the texts of [NewerVersion].
func New(code Code) *Problem { return &Problem{Code: code} }

// Because returns a copy with the reason.
func (p *Problem) Because(reason string) *Problem {
	c := *p
	c.Reason = reason
	return &c
}

// With returns a copy with one more parameter. Control characters are dropped and the value is
// cut to 200 bytes, since it may come from a platform or from a server that pretends to be one.
func (p *Problem) With(name, value string) *Problem {
	c := *p
	c.Params = maps.Clone(p.Params)
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	c.Params[name] = clean(value)
	return &c
}

// Offer returns a copy with one more choice, cleaned like a parameter.
func (p *Problem) Offer(id, name string) *Problem {
	c := *p
	c.Choices = append(slices.Clone(p.Choices), Choice{clean(id), clean(name)})
	return &c
}

// After returns a copy with the time to wait before another try.
func (p *Problem) After(wait time.Duration) *Problem {
	c := *p
	c.RetryAfter = wait
	return &c
}

// From returns a copy with the error that caused it.
func (p *Problem) From(cause error) *Problem {
	c := *p
	c.Cause = cause
	return &c
}

// Error returns the code, the reason and the cause: a line for a log, not for a user.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(string(p.Code))
	if p.Reason != "" {
		b.WriteString(" (" + p.Reason + ")")
	}
	if p.Cause != nil {
		b.WriteString(": " + p.Cause.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// Is reports whether err is a problem with this code, however deep it is wrapped.
func Is(err error, code Code) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}

// Of returns the problem that err wraps. An error that wraps none is [Internal], with err as its
// cause.
func Of(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return New(Internal).From(err)
}

// Status returns the HTTP status of the problem as a reply.
func (p *Problem) Status() int { return p.entry().status }

// Type returns the problem's URI for RFC 9457. It is stable and can't be fetched.
func (p *Problem) Type() string { return "urn:bindery:problem:" + string(p.Code) }

// Text is a problem in words.
type Text struct {
	Title  string
	Detail string
	Remedy string
}

// In renders the problem. A parameter that the problem lacks is shown as "…".
func (p *Problem) In(lang Language) Text {
	e := p.entry()
	detail, remedy := e.detail, e.remedy
	if p.Params[TypedAddress] != "" && e.typedRemedy != (text{}) {
		remedy = e.typedRemedy
	}
	if more, ok := e.reasons[p.Reason]; ok {
		detail = more.detail
		if more.remedy != (text{}) {
			remedy = more.remedy
		}
	}
	return Text{
		Title:  p.fill(e.title, lang),
		Detail: p.fill(detail, lang),
		Remedy: p.fill(remedy, lang),
	}
}

func (p *Problem) entry() entry {
	if e, ok := catalogue[p.Code]; ok {
		return e
	}
	return catalogue[NewerVersion]
}

func (p *Problem) fill(t text, lang Language) string {
	s := t.in(lang)
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		if value := inWords(name, p.Params[name], lang); value != "" {
			b.WriteString(value)
		} else {
			b.WriteString("…")
		}
		s = after
	}
}

const maxParamLength = 200

func clean(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
	if len(s) <= maxParamLength {
		return s
	}
	cut := maxParamLength
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

type text struct{ zh, en string }

func (t text) in(lang Language) string {
	if lang == Chinese {
		return t.zh
	}
	return t.en
}

// more replaces the detail, and the remedy if it has one, for one reason.
type more struct{ detail, remedy text }

type entry struct {
	status                int
	title, detail, remedy text
	// typedRemedy replaces remedy where the user typed the platform's address.
	typedRemedy text
	reasons     map[string]more
}

// Codes returns every code of the catalogue, in no particular order.
func Codes() []Code {
	codes := make([]Code, 0, len(catalogue))
	for code := range catalogue {
		codes = append(codes, code)
	}
	return codes
}

// Reasons returns the reasons for which a code has its own texts, sorted.
func Reasons(code Code) []string { return slices.Sorted(maps.Keys(catalogue[code].reasons)) }
