package ledger_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/secret"
	"bindery/shared/table"
)

// references are the fields that are named like a secret and hold none.
var references = map[string]string{
	"Token.Secret":            "the name of a secret in the vault, which is not itself a secret",
	"Subscription.SecretHash": "a hash of 256 random bits, by which these can't be found",
	"Subscription.Secret":     "the name of a secret in the vault, which is not itself a secret",
}

// leaks finds the fields of a type, however deep, that could hold a secret: a secret.Text, or
// bytes or text with the name of one. seen is every type that was looked at.
func leaks(record reflect.Type, seen map[reflect.Type]bool) (found []string) {
	if seen[record] || record == reflect.TypeFor[time.Time]() {
		return nil
	}
	seen[record] = true
	switch record.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return leaks(record.Elem(), seen)
	case reflect.Map:
		return append(leaks(record.Key(), seen), leaks(record.Elem(), seen)...)
	case reflect.Struct:
	default:
		return nil
	}
	for i := range record.NumField() {
		field := record.Field(i)
		name := record.Name() + "." + field.Name
		switch {
		case field.Type == reflect.TypeFor[secret.Text]():
			found = append(found, name+" is a secret")
		case isText(field.Type) && (soundsSecret(field.Name) || soundsSecret(field.Tag.Get("json"))):
			found = append(found, name+" is text with the name of a secret")
		default:
			found = append(found, leaks(field.Type, seen)...)
		}
	}
	return found
}

// isText reports whether a field of this type could hold a secret as it is.
func isText(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return isText(t.Elem())
	default:
		return t.Kind() == reflect.String || t.Kind() == reflect.Uint8
	}
}

func soundsSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(
		[]string{"token", "secret", "password", "refresh", "verifier", "credential", "cookie"},
		func(word string) bool { return strings.Contains(name, word) },
	)
}

func TestD4_NoRecordHoldsAToken(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var found []string
	methods := reflect.TypeFor[ledger.Table]()
	for i := range methods.NumMethod() {
		method := methods.Method(i).Type
		for j := range method.NumIn() {
			found = append(found, leaks(method.In(j), seen)...)
		}
		for j := range method.NumOut() {
			found = append(found, leaks(method.Out(j), seen)...)
		}
	}
	allowed := map[string]bool{}
	for _, leak := range found {
		name, _, _ := strings.Cut(leak, " ")
		if references[name] == "" {
			t.Error(leak)
		}
		allowed[name] = true
	}
	for name := range references {
		if !allowed[name] {
			t.Errorf("%s is allowed, but there is no such field", name)
		}
	}
	for _, record := range []reflect.Type{
		reflect.TypeFor[binding.Record](), reflect.TypeFor[binding.Token](),
		reflect.TypeFor[binding.OwnedSecret](), reflect.TypeFor[binding.Authorization](),
		reflect.TypeFor[binding.Event](), reflect.TypeFor[binding.IdentityEntry](),
		reflect.TypeFor[table.DueEntry](), reflect.TypeFor[binding.Lease](),
	} {
		if !seen[record] {
			t.Errorf("%v was not looked at", record)
		}
	}
}

func TestD4_TheSearchFindsWhatItLooksFor(t *testing.T) {
	type inner struct{ RefreshToken []byte }
	type bad struct {
		A    secret.Text
		B    *[]map[string]inner
		C    string `json:"accessToken"`
		Good int
		Name string
	}
	got := leaks(reflect.TypeFor[[]bad](), map[reflect.Type]bool{})
	if len(got) != 3 {
		t.Errorf("got %s, want three leaks", fmt.Sprint(got))
	}
}

func TestD1_AValueOfTheVaultThatCannotBeReadIsNotQuoted(t *testing.T) {
	for _, value := range []string{
		"canary", `{"access_token":"canary"`, `["canary"]`, `{"access_token":{"canary":1}}`,
	} {
		_, err := ledger.DecodeTokenBundle(secret.New(value))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Error("a value that can't be read is accepted, or its error quotes it")
		}
	}
}
