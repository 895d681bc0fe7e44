package problem

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryProblemHasBothLanguages(t *testing.T) {
	for code, e := range catalogue {
		if http.StatusText(e.status) == "" || e.status < 400 {
			t.Errorf("%s has status %d", code, e.status)
		}
		texts := map[string]text{"title": e.title, "detail": e.detail, "remedy": e.remedy}
		for reason, m := range e.reasons {
			texts["detail of "+reason] = m.detail
			if m.remedy != (text{}) {
				texts["remedy of "+reason] = m.remedy
			}
		}
		for where, both := range texts {
			if both.zh == "" || both.en == "" {
				t.Errorf("%s: %s lacks a language", code, where)
			}
			if zh, en := params(both.zh), params(both.en); !slices.Equal(zh, en) {
				t.Errorf("%s: %s has parameters %v in Chinese, %v in English", code, where, zh, en)
			}
			if strings.ContainsFunc(both.en, func(r rune) bool { return r >= 0x3000 }) {
				t.Errorf("%s: %s has Chinese in its English", code, where)
			}
		}
	}
}

func params(s string) []string {
	var names []string
	for {
		_, rest, found := strings.Cut(s, "{")
		if !found {
			slices.Sort(names)
			return slices.Compact(names)
		}
		var name string
		name, s, _ = strings.Cut(rest, "}")
		names = append(names, name)
	}
}

func TestTextIsFilledIn(t *testing.T) {
	p := New(PermissionMissing).With("missing", "api").With("platform", "GitLab")
	const english = "“Read repositories and manage webhooks (complete access to the API)” (api)"
	if got, want := p.In(English).Detail, "The token lacks: "+english+"."; got != want {
		t.Errorf("English detail = %q, want %q", got, want)
	}
	const chinese = "“读取代码仓库、管理 Webhook（完整的 API 权限）”（api）"
	if got, want := p.In(Chinese).Detail, "令牌缺少以下权限："+chinese+"。"; got != want {
		t.Errorf("Chinese detail = %q, want %q", got, want)
	}
	got, want := New(TokenExpired).In(English).Detail, "… says that the token has expired."
	if got != want {
		t.Errorf("detail without its parameter = %q, want %q", got, want)
	}
}

func TestReasonChangesDetailAndRemedy(t *testing.T) {
	plain := New(OrganizationUnknown).In(English)
	several := New(OrganizationUnknown).Because("several").With("organizations", "a, b").In(English)
	if plain.Detail == several.Detail || plain.Remedy == several.Remedy {
		t.Errorf("the reason changes nothing: %+v", several)
	}
	if !strings.Contains(several.Detail, "a, b") {
		t.Errorf("detail = %q, want the organizations in it", several.Detail)
	}
}

func TestParamsFromOutsideAreCleaned(t *testing.T) {
	p := New(InputMalformed).With("field", "a\r\nSet-Cookie: x\x00\u2028").With("other",
		strings.Repeat("中", 200))
	if got, want := p.Params["field"], "aSet-Cookie: x"; got != want {
		t.Errorf("field = %q, want %q", got, want)
	}
	got := p.Params["other"]
	if len(got) > maxParamLength+len("…") || strings.ContainsRune(got, '\ufffd') {
		t.Errorf("the other has %d bytes, or a torn rune", len(got))
	}
}

func TestProblemIsAnError(t *testing.T) {
	cause := errors.New("disk full")
	full := New(StorageUnavailable).Because("x").From(cause).After(time.Second)
	err := fmt.Errorf("saving: %w", full)
	if !Is(err, StorageUnavailable) || Is(err, Internal) || !errors.Is(err, cause) {
		t.Errorf("%v is not found again", err)
	}
	if got, want := Of(err).Error(), "storage_unavailable (x): disk full"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got := Of(cause); got.Code != Internal || !errors.Is(got, cause) {
		t.Errorf("Of(plain error) = %v", got)
	}
}

func TestCopiesShareNothing(t *testing.T) {
	base := New(InputMalformed).With("field", "a")
	_ = base.With("field", "b")
	if base.Params["field"] != "a" {
		t.Error("With changed the problem it was called on")
	}
}

func TestACodeOfANewerVersionIsShownInGeneralWords(t *testing.T) {
	p := New("of_a_newer_version").Because("some_reason").With("platform", "GitLab")
	if Known(p.Code) || !Known(NewerVersion) || !Known(TokenRevoked) {
		t.Error("the catalogue knows the wrong codes")
	}
	if got := p.Status(); got != http.StatusServiceUnavailable {
		t.Errorf("its status is %d", got)
	}
	if got, want := p.Type(), "urn:bindery:problem:of_a_newer_version"; got != want {
		t.Errorf("its type is %q, want %q", got, want)
	}
	for _, lang := range []Language{Chinese, English} {
		if got, want := p.In(lang), New(NewerVersion).In(lang); got != want {
			t.Errorf("its text is %+v, want %+v", got, want)
		}
	}
}
