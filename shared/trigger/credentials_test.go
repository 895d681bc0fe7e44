//go:build alibaba || !aws

package trigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"bindery/shared/alibabacloud"
	"bindery/shared/config"
	"bindery/shared/table"
	"bindery/shared/table/tablestore"
	"bindery/shared/table/tablestore/otstest"
	"bindery/shared/trigger/triggertest"
	"bindery/shared/vault/kms"
	"bindery/shared/vault/kms/kmstest"
)

func init() { children["cloud"] = runCloudChild }

// runCloudChild is the main of a function that only uses a table and a vault on Alibaba Cloud.
func runCloudChild() {
	err := run(context.Background(), os.Getenv, "alibaba", buildCloudChild, Logger("child"))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func buildCloudChild(p Params) (Function, error) {
	environment, err := alibabacloud.Read(os.Getenv, p.Credentials)
	if err != nil {
		return Function{}, err
	}
	rows, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: environment, Instance: p.Config.Alibaba.TablestoreInstance,
		Endpoint: p.Config.Alibaba.TablestoreURL,
	})
	if err != nil {
		return Function{}, err
	}
	secrets, err := kms.NewClient(alibabacloud.ClientOptions{
		Environment: environment, Endpoint: p.Config.Alibaba.KMSURL, Now: time.Now,
	})
	if err != nil {
		return Function{}, err
	}
	use := func(ctx context.Context) string {
		_, err := tablestore.New(rows, p.Config.Table).Authorization(ctx, "1")
		if errors.Is(err, table.ErrNotFound) {
			_, err = kms.Current(ctx, secrets, "name")
		}
		return fmt.Sprint(err)
	}
	return Function{
		HTTP:     cloudHandler(use),
		Schedule: func(ctx context.Context, _ json.RawMessage) (any, error) { return use(ctx), nil },
	}, nil
}

// cloudHandler answers with the outcome of using the cloud: at once, or, between /leave and
// /return, in work that outlives its invocation.
func cloudHandler(use func(context.Context) string) http.Handler {
	resume, outcome := make(chan struct{}), make(chan string)
	mux := http.NewServeMux()
	mux.HandleFunc("/use", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, use(r.Context()))
	})
	mux.HandleFunc("/leave", func(_ http.ResponseWriter, r *http.Request) {
		ctx := context.WithoutCancel(r.Context())
		go func() {
			<-resume
			outcome <- use(ctx)
		}()
	})
	mux.HandleFunc("/return", func(w http.ResponseWriter, _ *http.Request) {
		close(resume)
		_, _ = io.WriteString(w, <-outcome)
	})
	return mux
}

// cloud holds the fake services of one account, which accept one set of credentials at a time.
type cloud struct {
	rows    *otstest.Service
	secrets *kmstest.Service
	process *triggertest.Process
}

// startCloud starts the function with only the environment's credentials, which the services
// accept.
func startCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{
		rows:    otstest.New(otstest.Options{Instance: "mine"}),
		secrets: kmstest.New(kmstest.Options{}),
	}
	c.accept("environment")
	c.secrets.Set("name", "v1", "text", "value")
	rows, secrets := httptest.NewServer(c.rows), httptest.NewServer(c.secrets)
	t.Cleanup(rows.Close)
	t.Cleanup(secrets.Close)
	changes := []string{
		"FC_REGION", "cn-test", "ALIBABA_CLOUD_ACCESS_KEY_ID", "environment",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-key-environment",
		"ALIBABA_CLOUD_SECURITY_TOKEN", "canary-token-environment",
		"BINDERY_TABLE", "bindery_test", "BINDERY_TABLESTORE_INSTANCE", "mine",
		"BINDERY_TABLESTORE_URL", rows.URL, "BINDERY_KMS_URL", secrets.URL,
	}
	lookup := environment(changes...)
	env := []string{"BINDERY_TEST_CHILD=cloud", "GOCOVERDIR=" + t.TempDir()}
	for _, v := range config.Variables() {
		env = append(env, v.Name+"="+lookup(v.Name))
	}
	for i := 0; i < len(changes); i += 2 {
		env = append(env, changes[i]+"="+changes[i+1])
	}
	own, err := alibabacloud.Read(lookup, nil)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := tablestore.NewClient(tablestore.ClientOptions{
		Environment: own, Instance: "mine", Endpoint: rows.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tablestore.Create(t.Context(), operator, "bindery_test"); err != nil {
		t.Fatal(err)
	}
	c.process = triggertest.Start(t, triggertest.Options{
		On: triggertest.FunctionCompute(), Binary: os.Args[0], Env: env,
	})
	c.process.SetCredentials(triggertest.Credentials{})
	return c
}

// accept changes the credentials that the services accept.
func (c *cloud) accept(id string) {
	c.rows.SetCredentials(id, "canary-key-"+id, "canary-token-"+id)
	c.secrets.SetCredentials(id, "canary-key-"+id, "canary-token-"+id)
}

// rotate changes the credentials that the services accept and those that the cloud sends with each
// invocation.
func (c *cloud) rotate(id string) {
	c.accept(id)
	c.process.SetCredentials(triggertest.Credentials{
		ID: id, Key: "canary-key-" + id, Token: "canary-token-" + id,
	})
}

func (c *cloud) get(t *testing.T, path string) string {
	t.Helper()
	return call(t, c.process, event("GET", path, "")).Body
}

func (c *cloud) timer(t *testing.T) string {
	t.Helper()
	reply, err := c.process.Invoke(t.Context(), []byte(
		`{"triggerTime":"2026-11-19T10:00:00Z","triggerName":"check","payload":""}`))
	if err != nil {
		t.Fatal(err)
	}
	var outcome string
	if err := json.Unmarshal(reply, &outcome); err != nil {
		t.Fatal(err)
	}
	return outcome
}

const fine = "<nil>"

func TestCredentialsThatChangeBetweenTwoInvocationsAreUsed(t *testing.T) {
	c := startCloud(t)
	want := func(when, got string) {
		t.Helper()
		if got != fine {
			t.Errorf("%s: %s", when, got)
		}
	}
	want("before any came, with the environment's", c.get(t, "/use"))
	c.rotate("first")
	want("with the first", c.get(t, "/use"))
	c.get(t, "/leave")
	c.rotate("second")
	want("with the second", c.get(t, "/use"))
	want("work that was begun with the first", c.get(t, "/return"))
	c.rotate("third")
	want("a timer's, with the third", c.timer(t))
	c.process.SetCredentials(triggertest.Credentials{ID: "fourth", Token: "canary-token-fourth"})
	want("after two of the three that belong together", c.get(t, "/use"))

	// Counter-check: the environment's credentials no longer work.
	c.accept("fifth")
	c.process.SetCredentials(triggertest.Credentials{})
	if c.get(t, "/use") == fine || c.timer(t) == fine {
		t.Error("the services accept any credentials, so the test proves nothing")
	}
	silent(t, c.process, "canary-key", "canary-token")
}

// Any client of the function can send these headers.
func TestCredentialsAreNotTakenFromARequestsHeaders(t *testing.T) {
	credentials := new(alibabacloud.InvocationCredentials)
	lookup := environment("FC_REGION", "cn-test", "ALIBABA_CLOUD_ACCESS_KEY_ID", "own",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET", "key")
	own, err := alibabacloud.Read(lookup, credentials)
	if err != nil {
		t.Fatal(err)
	}
	h := fcHandler{http: ok("yes"), credentials: credentials, log: newLogger(io.Discard, "")}
	headers, _ := json.Marshal(map[string]string{
		"X-Fc-Access-Key-Id": "forged", "X-Fc-Access-Key-Secret": "forged",
		"X-Fc-Security-Token": "forged",
	})
	_, err = h.invoke(t.Context(), []byte(event("GET", "/", `,"headers":`+string(headers))))
	if err != nil {
		t.Error(err)
	}
	if got := own.Credentials().ID; got != "own" {
		t.Errorf("the credentials are those of %s", got)
	}
}
