package problem

import (
	"slices"
	"strings"
	"testing"
)

func TestAProblemSpeaksToPeopleInTheirWords(t *testing.T) {
	for _, c := range []struct {
		p      *Problem
		zh, en string
	}{
		{New(InputMalformed).Because("past").With("field", "expiresAt"), "到期日", "the expiry date"},
		{New(InputMalformed).Because("unknown").With("field", "colour"), "colour", "colour"},
		{New(ScopeMissing).With("scope", "bindery.write"), "更改绑定", "change bindings"},
		{
			New(PermissionMissing).With("missing", "组织部门：只读, 标签：只读"),
			"组织部门：只读、标签：只读", "Organization departments: read, Tags: read",
		},
		{New(NotAPersonalAccount).With("type", "Organization"), "类型是“组织”", "the type organization"},
		{
			New(PermissionNotProvable).With("permission", "Webhook：读写"),
			"Webhook：读写", "Webhooks: read and write",
		},
	} {
		for lang, want := range map[Language]string{Chinese: c.zh, English: c.en} {
			if got := c.p.In(lang).Detail; !strings.Contains(got, want) {
				t.Errorf("%v in %s: %q doesn't have %q", c.p, lang, got, want)
			}
		}
	}
	p := New(PermissionMissing).With("missing", "组织部门：只读, 标签：只读")
	if got := p.DetailsIn(English).Permissions; !slices.Equal(got, []string{"组织部门：只读", "标签：只读"}) {
		t.Errorf("the permissions for programs are %q", got)
	}
}

// No text has a word that only a program's author knows. The problems of requests that only a
// program sends are for that author.
func TestNoTextHasAWordOfTheAPI(t *testing.T) {
	programs := []Code{BodyTooLarge, MediaTypeUnknown, MethodNotAllowed, RouteUnknown}
	words := []string{
		"Retry-After", "If-Match", "If-None-Match", "Authorization", "Bearer", "etag", "/api/", "header",
		"client id", "client secret", "expiresAt", "bindery.", "权限范围", "请求头", "organization 中",
		"in organization.",
	}
	for code, e := range catalogue {
		if slices.Contains(programs, code) {
			continue
		}
		texts := []text{e.title, e.detail, e.remedy, e.typedRemedy}
		for _, m := range e.reasons {
			texts = append(texts, m.detail, m.remedy)
		}
		for _, both := range texts {
			for _, word := range words {
				if strings.Contains(both.zh, word) || strings.Contains(both.en, word) {
					t.Errorf("%s has %q: %s %s", code, word, both.zh, both.en)
				}
			}
		}
	}
}

func TestChoicesAreCopiedAndCleaned(t *testing.T) {
	base := New(OrganizationUnknown).Because("several").Offer("one", "One\n")
	_ = base.Offer("two", "Two")
	if got := base.DetailsIn(English).Choices; len(got) != 1 || got[0] != (Choice{"one", "One"}) {
		t.Errorf("the choices are %+v", got)
	}
}
