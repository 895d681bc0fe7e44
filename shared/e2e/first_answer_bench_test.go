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

	"bindery/shared/alibabacloud"
	"bindery/shared/awscloud"
	"bindery/shared/binding"
	"bindery/shared/binding/ledger"
	"bindery/shared/provider"
	"bindery/shared/secret"
	"bindery/shared/table/dynamo"
	"bindery/shared/table/engine"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
	"bindery/shared/testkit"
	"bindery/shared/timing"
	"bindery/shared/trigger/triggertest"
	"bindery/shared/vault"
	"bindery/shared/vault/kms"
	"bindery/shared/vault/kms/kmstest"
	sm "bindery/shared/vault/secretsmanager"
	"bindery/shared/vault/secretsmanager/smtest"
)

// firstAnswerCloud is a cloud's table with one row, its vault and an issuer, over TLS and, for the
// benchmark's own calls, without it.
type firstAnswerCloud struct {
	http.ServeMux // of the issuer at /keys, and of the cloud

	keys   jose.JSONWebKeySet
	bearer string

	https, http *httptest.Server
}

func startFirstAnswerCloud(b *testing.B) *firstAnswerCloud {
	b.Helper()
	c := &firstAnswerCloud{}
	c.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(c.keys)
	})
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
	return c
}

// aws adds the services of AWS, with one binding, and returns the settings with their addresses.
func (c *firstAnswerCloud) aws(b *testing.B) []string {
	b.Helper()
	secrets := smtest.New(smtest.Options{})
	var row json.RawMessage
	c.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		switch {
		case service == vaultService:
			secrets.ServeHTTP(w, r)
		case operation == "PutItem":
			var in struct{ Item json.RawMessage }
			_ = json.NewDecoder(r.Body).Decode(&in)
			row = in.Item
			_, _ = io.WriteString(w, "{}")
		default:
			_ = json.NewEncoder(w).Encode(map[string]json.RawMessage{"Item": row})
		}
	})
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
	bindOnce(b, dynamo.New(dynamodb.NewFromConfig(config), tableName),
		sm.New(secretsmanager.NewFromConfig(config), secretPrefix, time.Now, timing.Sleep))
	return []string{"AWS_ENDPOINT_URL=" + c.https.URL}
}

// alibaba is like aws, for Alibaba Cloud.
func (c *firstAnswerCloud) alibaba(b *testing.B) []string {
	b.Helper()
	rows := otstest.New(otstest.Options{Instance: "bindery", ID: "id", Key: "key", Token: "token"})
	secrets := kmstest.New(kmstest.Options{
		ID: "id", Key: "key", Token: "token", Instance: "kst-1", EncryptionKey: "key-1",
	})
	c.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Acs-Action") != "" {
			secrets.ServeHTTP(w, r)
		} else {
			rows.ServeHTTP(w, r)
		}
	})
	environment := alibabacloud.Environment{
		Region: "cn-test", Credentials: func() alibabacloud.Credentials {
			return alibabacloud.Credentials{
				ID: "id", Key: secret.New("key"), Token: secret.New("token"),
			}
		},
	}
	table, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: "bindery", Endpoint: c.http.URL,
	})
	if err == nil {
		err = tablestore.Create(b.Context(), table, tableName)
	}
	if err != nil {
		b.Fatal(err)
	}
	client, err := kms.NewClient(alibabacloud.ClientOptions{
		Environment: environment, Endpoint: c.http.URL, Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	bindOnce(b, tablestore.New(table, tableName),
		kms.New(client, kms.Options{Prefix: secretPrefix, Instance: "kst-1", Key: "key-1"}))
	row := engine.BindingKey(firstAnswerKey)
	return []string{
		"BINDERY_TABLESTORE_URL=" + c.https.URL, "BINDERY_KMS_URL=" + c.https.URL,
		"BENCH_PK=" + row.PK, "BENCH_SK=" + row.SK, // for the bare program
	}
}

var firstAnswerKey = binding.Key{
	Account: "acme", Region: "eu", Instance: "1", Platform: provider.GitLab,
}

// bindOnce stores one binding, as Bindery does.
func bindOnce(b *testing.B, rows *engine.Table, secrets vault.Vault) {
	b.Helper()
	rec := binding.Record{
		Key: firstAnswerKey, Revision: "r",
		Method: string(provider.ByToken), Address: "https://gitlab.example",
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
		err = secrets.Put(b.Context(), rec.Token.Secret, 1, value)
	}
	if err == nil {
		_, err = rows.SaveBinding(b.Context(), rec)
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
// libraries and does nothing else. Both are the median of 20, in turn. cpu-ms is the process's
// processor time, which other load of the machine changes less.
func BenchmarkFirstAnswer(b *testing.B) {
	for _, host := range startTargets() {
		c := startFirstAnswerCloud(b)
		fill := map[string]func(*testing.B) []string{forAWS: c.aws, forAlibaba: c.alibaba}
		host.env = append(host.env, fill[host.stores](b)...)
		host.env = append(host.env, "SSL_CERT_FILE="+c.roots(b),
			"BINDERY_OIDC_JWKS_URL="+c.https.URL+"/keys", "BINDERY_TABLE="+tableName,
			"BINDERY_SECRET_PREFIX="+secretPrefix)
		source, err := os.ReadFile(filepath.Join("testdata", "first_answer_"+host.stores+".go.txt"))
		if err != nil {
			b.Fatal(err)
		}
		host.bareSource = string(source)
		least := host.buildBare(b)
		credential := filepath.Join(built.functions(b, host.stores), "credential")
		c.compare(b, host, "credential", credential, least)
	}
}

func (c *firstAnswerCloud) compare(b *testing.B, host startTarget, name, binary, least string) {
	b.Run(host.stores+"/"+name, func(b *testing.B) {
		for range b.N {
			var cpus [2][]time.Duration // of the function, and of the bare program
			answer := func(n int, binary string) func() time.Duration {
				return func() time.Duration {
					took, cpu := c.firstAnswer(b, host, binary)
					cpus[n] = append(cpus[n], cpu)
					return took
				}
			}
			own, floor := medians(answer(0, binary), answer(1, least))
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(own.Microseconds())/1000, "ms/answer")
			b.ReportMetric(float64(own)/float64(floor), "x-bare")
			own, floor = median(cpus[0]), median(cpus[1])
			b.ReportMetric(float64(own.Microseconds())/1000, "cpu-ms")
			b.ReportMetric(float64(own)/float64(floor), "x-bare-cpu")
		}
	})
}

// firstAnswer starts a process, and returns how long its first answer takes, and the processor time
// that the process used.
func (c *firstAnswerCloud) firstAnswer(
	b *testing.B, host startTarget, binary string,
) (took, cpu time.Duration) {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost,
		"https://b.example/v1/instances/eu/1/bindings/gitlab/credential", nil)
	r.Header.Set("Authorization", "Bearer "+c.bearer)
	begun := time.Now()
	p := triggertest.Start(b, triggertest.Options{
		On: host.on, Binary: binary, Env: host.env,
		As: triggertest.Credentials{ID: "id", Key: "key", Token: "token"},
	})
	defer p.Kill()
	reply := httptest.NewRecorder()
	p.ServeHTTP(reply, r)
	took = time.Since(begun)
	if reply.Code != http.StatusOK {
		b.Fatalf("status %d: %s: %s", reply.Code, reply.Body, p.Log())
	}
	p.Kill()
	return took, p.CPU()
}
