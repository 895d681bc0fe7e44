package alibabacloud_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"bindery/shared/alibabacloud"
	"bindery/shared/secret"
)

func TestMissingVariablesAreNamedAtOnce(t *testing.T) {
	_, err := alibabacloud.Read(func(string) string { return " " }, nil)
	const want = "FC_REGION is not set\nALIBABA_CLOUD_ACCESS_KEY_ID is not set\n" +
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET is not set"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestCredentialsAreReadAtEachUse(t *testing.T) {
	variables := map[string]string{
		"FC_REGION": "cn-test\n", "ALIBABA_CLOUD_ACCESS_KEY_ID": "first",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "key", "ALIBABA_CLOUD_SECURITY_TOKEN": "token",
	}
	env, err := alibabacloud.Read(func(name string) string { return variables[name] }, nil)
	if err != nil || env.Region != "cn-test" {
		t.Fatalf("got region %q, error %v", env.Region, err)
	}
	variables["ALIBABA_CLOUD_ACCESS_KEY_ID"] = "second"
	got := env.Credentials()
	if got.ID != "second" || got.Key.Reveal() != "key" || got.Token.Reveal() != "token" {
		t.Error("got other credentials than the environment's")
	}
}

func TestAnEndpointIsAnOrigin(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://kms.cn-test.aliyuncs.com": "https kms.cn-test.aliyuncs.com",
		"http://127.0.0.1:80/":             "http 127.0.0.1:80",
		"127.0.0.1:80":                     "", "ftp://a": "", "": "", "https://": "",
		"https://a/b": "", "https://user@a": "", "https://a?b": "",
	} {
		scheme, host, err := alibabacloud.Origin(endpoint)
		if got := strings.TrimSpace(scheme + " " + host); got != want || (err == nil) != (want != "") {
			t.Errorf("Origin(%q) = %q, %v, want %q", endpoint, got, err, want)
		}
	}
}

func TestTheNewestInvocationsCredentialsAreUsedAndNeverMixed(t *testing.T) {
	variables := map[string]string{
		"FC_REGION": "cn-test", "ALIBABA_CLOUD_ACCESS_KEY_ID": "0",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "0", "ALIBABA_CLOUD_SECURITY_TOKEN": "0",
	}
	three := func(id, key, token string) alibabacloud.Credentials {
		return alibabacloud.Credentials{ID: id, Key: secret.New(key), Token: secret.New(token)}
	}
	for _, invocation := range []*alibabacloud.InvocationCredentials{nil, {}} {
		lookup := func(name string) string { return variables[name] }
		env, err := alibabacloud.Read(lookup, invocation)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			set  alibabacloud.Credentials
			want string
		}{
			{three("1", "", "1"), "0"},
			{three("2", "2", "2"), "2"},
			{three("", "3", "3"), "2"},
			{three("4", "4", ""), "2"},
			{three("", "", ""), "2"},
			{three("5", "5", "5"), "5"},
		} {
			invocation.Set(step.set)
			want := step.want
			if invocation == nil {
				want = "0"
			}
			got := env.Credentials()
			if got.ID != want || got.Key.Reveal() != want || got.Token.Reveal() != want {
				t.Errorf("after %s came it isn't all of %s", step.set.ID, want)
			}
		}
	}
}

func TestOverlappingInvocationsMixNothing(t *testing.T) {
	invocation := new(alibabacloud.InvocationCredentials)
	variables := map[string]string{
		"FC_REGION": "cn-test", "ALIBABA_CLOUD_ACCESS_KEY_ID": "0",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": "0", "ALIBABA_CLOUD_SECURITY_TOKEN": "0",
	}
	env, err := alibabacloud.Read(func(name string) string { return variables[name] }, invocation)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 200 {
				text := fmt.Sprint(n, "-", i)
				invocation.Set(alibabacloud.Credentials{
					ID: text, Key: secret.New(text), Token: secret.New(text),
				})
				got := env.Credentials()
				if got.Key.Reveal() != got.ID || got.Token.Reveal() != got.ID {
					t.Error("the three are of different invocations")
				}
			}
		})
	}
	all.Wait()
}
