package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// claims are the claims of a verified token. They are a map because struct fields would also match
// other spellings.
type claims map[string]json.RawMessage

// text returns a claim that must be a string that isn't blank.
func (c claims) text(name string) (string, error) {
	var value *string
	if err := json.Unmarshal(orNull(c[name]), &value); err != nil {
		return "", fmt.Errorf("the claim %s is not a string", name)
	}
	if value == nil || strings.TrimSpace(*value) == "" {
		return "", fmt.Errorf("the claim %s is missing or blank", name)
	}
	return *value, nil
}

// words returns a claim that is a string of words (RFC 8693, 4.2) or an array of strings. Any other
// form, including null, is an error: its meaning is unknown.
func (c claims) words(name string) (list []string, present bool, err error) {
	raw, present := c[name]
	if !present {
		return nil, false, nil
	}
	switch strings.TrimLeft(string(raw), " \t\r\n")[0] {
	case '"':
		var value string
		err = json.Unmarshal(raw, &value)
		list = strings.Fields(value)
	case '[':
		var values []*string
		err = json.Unmarshal(raw, &values)
		for _, value := range values {
			if value == nil {
				err = errors.New("null")
				break
			}
			list = append(list, *value)
		}
	default:
		err = errors.New("another type")
	}
	if err != nil {
		return nil, true, fmt.Errorf("the claim %s is neither a string nor a list of strings", name)
	}
	return list, true, nil
}

// scopes returns the claim scope (RFC 9068, 2.2.3) or, if there is none, scp.
func (c claims) scopes() ([]string, error) {
	list, present, err := c.words("scope")
	if !present {
		list, _, err = c.words("scp")
	}
	return list, err
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}
