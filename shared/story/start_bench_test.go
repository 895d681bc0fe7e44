package story_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bindery/shared/trigger/triggertest"
)

// bareProgram is the least that can run on Lambda.
const bareProgram = `package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() error { return nil }) }
`

// BenchmarkStart measures a cold start's own part: from exec to the first request for an event,
// the median of 20, and how many times that of a bare program it is. The budget is 1.5 times for
// status and 2 times for the others; it is shown and not asserted, for the machine decides.
func BenchmarkStart(b *testing.B) {
	folders := []string{
		"status", "tokenbind", "unbind", "oauthstart", "oauthcallback", "oauthconfirm", "credential",
		"expirycheck", "console",
	}
	binaries := kept.functions(b, forAWS)
	least := buildBare(b)
	for _, folder := range folders {
		b.Run(folder, func(b *testing.B) {
			var own, floor time.Duration
			for range b.N {
				own, floor = medians(b, filepath.Join(binaries, folder), least)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(own.Microseconds())/1000, "ms/start")
			b.ReportMetric(float64(own)/float64(floor), "x-bare")
		})
	}
}

// medians starts both by turns, so that whatever else the machine does hits both.
func medians(b *testing.B, binary, least string) (own, floor time.Duration) {
	b.Helper()
	const starts, warm = 20, 2
	var all, bares []time.Duration
	for i := range starts + warm {
		one, other := startOnce(b, binary), startOnce(b, least)
		if i >= warm {
			all, bares = append(all, one), append(bares, other)
		}
	}
	slices.Sort(all)
	slices.Sort(bares)
	return all[starts/2], bares[starts/2]
}

func startOnce(b *testing.B, binary string) time.Duration {
	b.Helper()
	p := triggertest.Start(b, triggertest.Options{
		On: triggertest.Lambda(), Binary: binary, Env: []string{
			"AWS_REGION=eu-test-1", "AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=key",
			"BINDERY_PUBLIC_URL=https://b.example", "BINDERY_CONSOLE_URL=https://c.example",
			"BINDERY_OIDC_ISSUER=https://i.example", "BINDERY_OIDC_AUDIENCE=bindery",
			"BINDERY_OIDC_JWKS_URL=https://i.example/keys", "BINDERY_OIDC_CLIENT_ID=console",
			"BINDERY_OAUTH_APPS=bindery/oauth-apps", "BINDERY_INSTANCES=" + catalogued(),
		},
	})
	defer p.Kill()
	took, err := p.Ready(b.Context())
	if err != nil {
		b.Fatalf("%v: %s", err, p.Log())
	}
	return took
}

// buildBare builds the bare program with this module's requirements, from a folder of its own that
// is gone afterwards.
func buildBare(b *testing.B) (binary string) {
	b.Helper()
	folder := b.TempDir()
	source := filepath.Join(folder, "main.go")
	if err := os.WriteFile(source, []byte(bareProgram), 0o600); err != nil {
		b.Fatal(err)
	}
	binary = filepath.Join(folder, "bare")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w",
		"-tags", "lambda.norpc", "-o", binary, source)
	build.Dir = root
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building: %v: %s", err, out)
	}
	return binary
}
