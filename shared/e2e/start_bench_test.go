package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bindery/shared/trigger/triggertest"
)

// startTarget is a runtime whose cold starts are measured.
type startTarget struct {
	stores string
	on     triggertest.Runtime
	// bareSource is the smallest program for the runtime.
	bareSource string
	env        []string
	// without is a function that isn't deployed to this cloud.
	without string
}

func startTargets() []startTarget {
	common := []string{
		"BINDERY_PUBLIC_URL=https://b.example", "BINDERY_CONSOLE_URL=https://c.example",
		"BINDERY_OIDC_ISSUER=https://i.example", "BINDERY_OIDC_AUDIENCE=bindery",
		"BINDERY_OIDC_JWKS_URL=https://i.example/keys", "BINDERY_OIDC_CLIENT_ID=console",
		"BINDERY_OAUTH_APPS=bindery/oauth-apps", "BINDERY_INSTANCES=" + catalogue(),
	}
	return []startTarget{
		{
			stores: forAWS, on: triggertest.Lambda(), without: "router",
			bareSource: `package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
`,
			env: append([]string{
				"AWS_REGION=eu-test-1", "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=key",
			}, common...),
		},
		{
			stores: forAlibaba, on: triggertest.FunctionCompute(),
			bareSource: `package main

import "github.com/aliyun/fc-runtime-go-sdk/fc"

func main() { fc.Start(func() error { return nil }) }
`,
			env: append([]string{
				"FC_REGION=cn-test", "FC_ACCOUNT_ID=1234567890123456", "FC_FUNCTION_NAME=bindery-router",
				"ALIBABA_CLOUD_ACCESS_KEY_ID=id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=key",
				"ALIBABA_CLOUD_SECURITY_TOKEN=token", "BINDERY_TABLESTORE_INSTANCE=bindery",
				"BINDERY_KMS_INSTANCE=kst-1", "BINDERY_KMS_KEY=key-1",
			}, common...),
		},
	}
}

// BenchmarkStart measures the process's own part of a cold start: from exec to the first request
// for an event, the median of 20, also as a multiple of a bare program's for the same runtime; and
// the binary's size. The budget is 1.5 times for status and 2 times for the others. It is shown
// and not asserted, because it depends on the machine.
func BenchmarkStart(b *testing.B) {
	for _, host := range startTargets() {
		b.Run(host.stores, func(b *testing.B) {
			binaries, least := built.functions(b, host.stores), host.buildBare(b)
			b.Run("bare", func(b *testing.B) { host.measure(b, least, least) })
			for _, folder := range functionFolders(b) {
				if folder != host.without {
					b.Run(folder, func(b *testing.B) {
						host.measure(b, filepath.Join(binaries, folder), least)
					})
				}
			}
		})
	}
}

func (h startTarget) measure(b *testing.B, binary, least string) {
	b.Helper()
	about, err := os.Stat(binary)
	if err != nil {
		b.Fatal(err)
	}
	var own, floor time.Duration
	for range b.N {
		own, floor = medians(func() time.Duration { return h.coldStart(b, binary) },
			func() time.Duration { return h.coldStart(b, least) })
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(about.Size()), "bytes")
	b.ReportMetric(float64(own.Microseconds())/1000, "ms/start")
	b.ReportMetric(float64(own)/float64(floor), "x-bare")
}

// medians measures both in turn, so that other load of the machine affects both.
func medians(one, other func() time.Duration) (ofOne, ofOther time.Duration) {
	const starts, warm = 20, 2
	var ones, others []time.Duration
	for i := range starts + warm {
		a, b := one(), other()
		if i >= warm {
			ones, others = append(ones, a), append(others, b)
		}
	}
	return median(ones), median(others)
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func (h startTarget) coldStart(b *testing.B, binary string) time.Duration {
	b.Helper()
	p := triggertest.Start(b, triggertest.Options{On: h.on, Binary: binary, Env: h.env})
	defer p.Kill()
	took, err := p.Ready(b.Context())
	if err != nil {
		b.Fatalf("%v: %s", err, p.Log())
	}
	return took
}

// buildBare builds the bare program with this module's requirements.
func (h startTarget) buildBare(b *testing.B) (binary string) {
	b.Helper()
	folder := b.TempDir()
	source := filepath.Join(folder, "main.go")
	if err := os.WriteFile(source, []byte(h.bareSource), 0o600); err != nil {
		b.Fatal(err)
	}
	binary = filepath.Join(folder, "bare")
	buildAs(b, h.stores, binary, source)
	return binary
}
