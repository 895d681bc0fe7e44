package alibabacloud_test

import (
	"strings"
	"testing"

	"bindery/shared/alibabacloud"
)

func TestWhatIsMissingIsNamedAtOnce(t *testing.T) {
	_, err := alibabacloud.Read(func(string) string { return " " })
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
	env, err := alibabacloud.Read(func(name string) string { return variables[name] })
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
