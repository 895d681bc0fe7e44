package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bindery/shared/awscloud"
	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table/dynamo"
	"bindery/shared/testkit"
	"bindery/shared/timing"
	"bindery/shared/trigger/triggertest"
	sm "bindery/shared/vault/secretsmanager"
	"bindery/shared/vault/secretsmanager/smtest"
)

// firstAnswerCloud is DynamoDB with one row, Secrets Manager and an issuer, over TLS and, for the
// benchmark's own calls, without it.
type firstAnswerCloud struct {
	secrets *smtest.Service
	row     json.RawMessage
	keys    jose.JSONWebKeySet
	bearer  string

	https, http *httptest.Server
}

func (c *firstAnswerCloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(c.keys)
	case service == vaultService:
		c.secrets.ServeHTTP(w, r)
	case operation == "PutItem":
		var in struct{ Item json.RawMessage }
		_ = json.NewDecoder(r.Body).Decode(&in)
		c.row = in.Item
		_, _ = io.WriteString(w, "{}")
	default:
		_ = json.NewEncoder(w).Encode(map[string]json.RawMessage{"Item": c.row})
	}
}

func startFirstAnswerCloud(b *testing.B) *firstAnswerCloud {
	b.Helper()
	c := &firstAnswerCloud{secrets: smtest.New(smtest.Options{})}
	c.https, c.http = httptest.NewTLSServer(c), httptest.NewServer(c)
	b.Cleanup(c.https.Close)
	b.Cleanup(c.http.Close)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	c.keys.Keys = []jose.JSONWebKey{{Key: private.Public(), KeyID: "1", Algorithm: "ES256"}}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: private, KeyID: "1"},
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	c.bearer, err = jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://i.example", "aud": "bindery", "sub": "u", "account": "acme",
		"scope": "bindery.credential bindery.read", "exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		b.Fatal(err)
	}
	c.bind(b)
	return c
}

// bind stores one binding, as Bindery does.
func (c *firstAnswerCloud) bind(b *testing.B) {
	b.Helper()
	lookup := func(name string) string {
		return map[string]string{
			"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
			"AWS_ENDPOINT_URL": c.http.URL,
		}[name]
	}
	config, err := awscloud.Config(awscloud.DynamoDB, lookup)
	if err != nil {
		b.Fatal(err)
	}
	rec := binding.Record{
		Key: binding.Key{
			Account: "acme", Region: "eu", Instance: "1", Platform: provider.GitLab,
		},
		Revision: "r", Method: string(provider.ByToken), Address: "https://gitlab.example",
		Token: binding.Token{
			Secret: "0123456789abcdef0123456789abcdef", Generation: 1, Username: "alice",
		},
	}
	bundle := ledger.TokenBundle{
		Platform: rec.Platform, Username: "alice",
		Token: provider.Token{Access: secret.New("glpat-first-answer")},
	}
	value, err := bundle.Encode(ledger.TokenOwner{Binding: rec.Key})
	if err == nil {
		vault := sm.New(secretsmanager.NewFromConfig(config), secretPrefix, time.Now, timing.Sleep)
		err = vault.Put(b.Context(), rec.Token.Secret, 1, value)
	}
	if err == nil {
		table := dynamo.New(dynamodb.NewFromConfig(config), tableName)
		_, err = table.SaveBinding(b.Context(), rec)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// roots writes the machine's root certificates and the cloud's into a file, and returns its path.
func (c *firstAnswerCloud) roots(b *testing.B) string {
	b.Helper()
	all, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		testkit.Missing(b, "root certificates", "apt-get install ca-certificates")
	}
	all = append(all, pem.EncodeToMemory(&pem.Block{
		Type: "CERTIFICATE", Bytes: c.https.Certificate().Raw,
	})...)
	path := filepath.Join(b.TempDir(), "roots.pem")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkFirstAnswer measures the whole first answer of a new process: from exec to the reply to
// a request that reads the issuer's keys, the table and the vault over TLS, which is sent when the
// process polls. x-bare is its multiple of a program's that makes the same calls with the same
// libraries and does nothing else. Both are the median of 20, in turn.
func BenchmarkFirstAnswer(b *testing.B) {
	c := startFirstAnswerCloud(b)
	host := startTargets()[0]
	host.env = append(host.env,
		"AWS_ENDPOINT_URL="+c.https.URL, "SSL_CERT_FILE="+c.roots(b),
		"BINDERY_OIDC_JWKS_URL="+c.https.URL+"/keys", "BINDERY_TABLE="+tableName,
		"BINDERY_SECRET_PREFIX="+secretPrefix)
	source, err := os.ReadFile(filepath.Join("testdata", "first_answer.go.txt"))
	if err != nil {
		b.Fatal(err)
	}
	host.bareSource = string(source)
	least := host.buildBare(b)
	credential := filepath.Join(built.functions(b, host.stores), "credential")
	c.compare(b, host, "credential", credential, least)
}

func (c *firstAnswerCloud) compare(b *testing.B, host startTarget, name, binary, least string) {
	b.Run(host.stores+"/"+name, func(b *testing.B) {
		for range b.N {
			own, floor := medians(func() time.Duration { return c.firstAnswer(b, host, binary) },
				func() time.Duration { return c.firstAnswer(b, host, least) })
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(own.Microseconds())/1000, "ms/answer")
			b.ReportMetric(float64(own)/float64(floor), "x-bare")
		}
	})
}

// firstAnswer starts a process, and returns how long its first answer takes.
func (c *firstAnswerCloud) firstAnswer(
	b *testing.B, host startTarget, binary string,
) time.Duration {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost,
		"https://b.example/v1/instances/eu/1/bindings/gitlab/credential", nil)
	r.Header.Set("Authorization", "Bearer "+c.bearer)
	begun := time.Now()
	p := triggertest.Start(b, triggertest.Options{On: host.on, Binary: binary, Env: host.env})
	defer p.Kill()
	reply := httptest.NewRecorder()
	p.ServeHTTP(reply, r)
	took := time.Since(begun)
	if reply.Code != http.StatusOK {
		b.Fatalf("status %d: %s: %s", reply.Code, reply.Body, p.Log())
	}
	return took
}
