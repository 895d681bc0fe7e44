package provider

import (
	"encoding/json"
	"strings"
)

// apiError is a refusal's error, in lower case. Only rules search it. It must not be shown or
// logged: the server may have put the token that was sent into it.
type apiError struct {
	code string // OAuth's error, or Codeup's errorCode after codeupCode
	text string
}

// The codes of errors that have none, by their shape. onlyMessage is GitLab's and Gitee's own:
// gateways that use the same message add fields to it.
const (
	onlyMessage    = "(only a message)"
	bitbucketShape = "(type error)"
)

// codeupCode is put before the codes of Codeup's own field, to tell them from those of error, which
// every gateway uses.
const codeupCode = "errorCode "

// errorFields are the fields of a reply that is a JSON object.
type errorFields map[string]json.RawMessage

// first returns the first of the named fields that has a text, in lower case.
func (f errorFields) first(names ...string) string {
	for _, name := range names {
		var text loose
		_ = json.Unmarshal(f[name], &text)
		if lower := strings.ToLower(strings.TrimSpace(string(text))); lower != "" {
			return lower
		}
	}
	return ""
}

// apiError returns the reply's error from the fields of the platforms' JSON, and whether it is a
// JSON object. Otherwise the whole body is the text.
func (r reply) apiError() (apiError, bool) {
	var all, bitbucket errorFields
	if json.Unmarshal(r.body, &all) != nil || all == nil {
		return apiError{text: strings.ToLower(strings.TrimSpace(string(r.body)))}, false
	}
	if json.Unmarshal(all["error"], &bitbucket) == nil && bitbucket["message"] != nil {
		e := apiError{text: bitbucket.first("message")}
		if all.first("type") == "error" {
			e.code = bitbucketShape
		}
		return e, true
	}
	e := apiError{
		code: all.first("error"),
		text: all.first("error_description", "errorMessage", "errorDescription", "message"),
	}
	switch code := all.first("errorCode"); {
	case code != "":
		e.code = codeupCode + code
	case len(all) == 1 && all["message"] != nil:
		e.code = onlyMessage
	}
	return e, true
}

// codeups reports whether the error has Codeup's code.
func (e apiError) codeups() bool { return strings.HasPrefix(e.code, codeupCode) }
