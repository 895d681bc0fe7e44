package binding_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"bindery/shared/awscloud"
	"bindery/shared/binding"
	"bindery/shared/binding/credential"
	"bindery/shared/binding/ledger"
	"bindery/shared/problem"
	"bindery/shared/provider"
	"bindery/shared/sandbox"
	"bindery/shared/secret"
	"bindery/shared/table/dynamo"
	"bindery/shared/table/dynamo/dynamotest"
	"bindery/shared/testkit"
	"bindery/shared/vault"
	"bindery/shared/vault/file"
)

// buildsEnv makes a process of this test's binary run only [TestAsAHostOfBuilds].
const buildsEnv = "BINDERY_BINDING_BUILDS"

// builds is the input of such a process: how many builds ask for one credential at once.
type builds struct {
	Dir      string // of the vault, and of the table if there is no other
	DynamoDB string // the origin of one
	Origin   string // of the sandbox
	Now      time.Time
	Callers  int
	// CrashAt names a call to table or vault: the process ends right before its Nth one.
	CrashAt string
	Nth     int
}

// answered is the output of such a process.
type answered struct {
	Failures []string
	Tokens   map[string]int // how many got the token with this SHA-256
}

const tableName = "bindery-test"

func dynamoClient(origin string) (*dynamodb.Client, error) {
	env := map[string]string{
		"AWS_REGION": "eu-test-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key",
		"AWS_ENDPOINT_URL": origin,
	}
	config, err := awscloud.Config(awscloud.DynamoDB, func(name string) string { return env[name] })
	return dynamodb.NewFromConfig(config), err
}

// open opens the storage of the input.
func (o builds) open() (ledger.Table, vault.Vault, error) {
	if o.DynamoDB == "" {
		s, err := openStore(o.Dir)
		return s.table, s.vault, err
	}
	client, err := dynamoClient(o.DynamoDB)
	if err != nil {
		return nil, nil, err
	}
	key, err := file.ReadKey(filepath.Join(o.Dir, "vault.key"))
	if err != nil {
		return nil, nil, err
	}
	secrets, err := file.Open(filepath.Join(o.Dir, "vault"), key)
	return dynamo.New(client, tableName), secrets, err
}

// TestAsAHostOfBuilds is not a test of its own: it is the main function of a process that another
// test has started.
func TestAsAHostOfBuilds(t *testing.T) {
	text := os.Getenv(buildsEnv)
	if text == "" {
		return
	}
	var order builds
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		t.Fatal(err)
	}
	rows, secrets, err := order.open()
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return order.Now }
	s := newService(rows, secrets, platformsAt(order.Origin, now, nil),
		sandbox.New(sandbox.Options{Now: now, Random: strings.NewReader("")}), now, &testkit.Log{})
	var calls atomic.Int64
	crash := func(_ context.Context, call string) (func(), error) {
		if call == order.CrashAt && calls.Add(1) == int64(order.Nth) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil, nil
	}
	s.Ledger.Table, s.Ledger.Vault = ledger.WithBeforeCall(s.Ledger.Table, crash),
		vault.WithBeforeCall(s.Ledger.Vault, crash)
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	done, err := json.Marshal(order.ask(s))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\ndone %s\n", done)
}

// ask makes all builds ask at once.
func (o builds) ask(s *services) answered {
	out := answered{Tokens: map[string]int{}}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range o.Callers {
		group.Go(func() {
			c, err := s.Credentials.Credential(context.Background(), credential.Request{
				By: user, Instance: registry("i-1"), Platform: provider.GitHub,
				MinimumLife: credential.MinimumLife,
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.Failures = append(out.Failures, err.Error())
				return
			}
			out.Tokens[digest(c.Token)]++
		})
	}
	group.Wait()
	return out
}

// digest returns a hash of a token, which may be printed.
func digest(token secret.Text) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

// host is a process that runs builds.
type host struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a process, which waits for a signal to begin.
func (o builds) start(t testing.TB) *host {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{Cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAsAHostOfBuilds$")}
	h.Env = append(os.Environ(), buildsEnv+"="+string(text))
	h.Stderr = os.Stderr
	out, err := h.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if h.in, err = h.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	h.out = bufio.NewReader(out)
	if line, err := h.out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("a process isn't ready: %q, %v", line, err)
	}
	return h
}

// end reads the process's output.
func (h *host) end(t *testing.T) answered {
	t.Helper()
	var found answered
	for {
		line, err := h.out.ReadString('\n')
		if text, ok := strings.CutPrefix(line, "done "); ok {
			if err := json.Unmarshal([]byte(text), &found); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break
		}
	}
	if err := h.Wait(); err != nil {
		t.Errorf("a process ended badly: %v", err)
	}
	return found
}

func TestB1_AThousandCallersInEightProcessesAndOneRefresh(t *testing.T) {
	origin := dynamotest.Start(t)
	client, err := dynamoClient(origin)
	if err != nil {
		t.Fatal(err)
	}
	if err := dynamo.Create(t.Context(), client, tableName); err != nil {
		t.Fatal(err)
	}
	b := newHarness(t)
	b.serve(dynamo.New(client, tableName), b.store.vault)
	b.bindGitHub("i-1", -time.Minute)
	const processes, callers = 8, 125
	order := builds{
		Dir: b.dir, DynamoDB: origin, Origin: b.url, Now: b.clock().Now(), Callers: callers,
	}
	var hosts []*host
	for range processes {
		hosts = append(hosts, order.start(t))
	}
	began := time.Now()
	for _, h := range hosts {
		if _, err := io.WriteString(h.in, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
	got := answered{Tokens: map[string]int{}}
	for _, h := range hosts {
		one := h.end(t)
		got.Failures = append(got.Failures, one.Failures...)
		for token, n := range one.Tokens {
			got.Tokens[token] += n
		}
	}
	took := time.Since(began)
	rec, err := dynamo.New(client, tableName).Binding(t.Context(), key("i-1", provider.GitHub))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := b.fetch(rec)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Want(t, "refreshes at the platform", b.refreshes(), 1)
	testkit.Want(t, "failures", len(got.Failures), 0)
	for _, failure := range got.Failures[:min(3, len(got.Failures))] {
		t.Log("a caller failed: ", failure)
	}
	testkit.Want(t, "callers with the new token", got.Tokens[digest(bundle.Token.Access)],
		processes*callers)
	testkit.Want(t, "the new token lives", b.sandbox.Lives(sandbox.GitHub, bundle.Token.Access), true)
	t.Logf("%d callers in %d processes: %d refresh, %d failures, in %v", processes*callers,
		processes, b.refreshes(), len(got.Failures), took.Round(time.Millisecond))
}

// TestB2_AProcessKilledBeforeItStoredTheTokenIsReportedAsALoss kills a real process between the
// platform's answer and the vault's put, and right after it: then nothing is lost.
func TestB2_AProcessKilledBeforeItStoredTheTokenIsReportedAsALoss(t *testing.T) {
	for _, lost := range []bool{true, false} {
		b := newRefreshable(t, -time.Minute)
		if lost {
			b.killed("Put", 1)
		} else {
			b.killed("SaveBinding", 2) // the first is the lease
		}
		b.clock().Advance(credential.RefreshLeaseTTL + time.Second)
		_, err := b.ask("i-1", credential.MinimumLife)
		if !lost {
			testkit.Want(t, "error", err, nil)
			b.wantCurrent("i-1", b.mustAsk("i-1", credential.MinimumLife))
			testkit.Want(t, "refreshes", b.refreshes(), 1)
			continue
		}
		testkit.WantCode(t, "the next", err, problem.TokenRevoked)
		b.wantRevoked("i-1", credential.TokenMayBeLost)
		testkit.Want(t, "kind of the metric", b.metrics("Credentials")[credential.TokenMayBeLost], 1)
		_, _ = b.ask("i-1", credential.MinimumLife)
		testkit.Want(t, "alarms", strings.Count(b.log.String(), "alarm="+credential.TokenMayBeLost), 1)
		v, err := b.Connect.InstanceBindings(context.Background(), user.Account, registry("i-1"))
		testkit.Want(t, "error", err, nil)
		testkit.Want(t, "status", v[2].Status, binding.StatusRevoked)
		testkit.Want(t, "the status's reason", v[2].Record.Problem.Reason, credential.TokenMayBeLost)
		b.clock().Advance(ledger.OrphanGracePeriod)
		b.mustRun()
		b.wantRevoked("i-1", credential.TokenMayBeLost) // after the recheck
	}
}

// killed makes a process refresh, and ends it right before its nth call of a name.
func (b *harness) killed(call string, nth int) {
	b.Helper()
	order := builds{
		Dir: b.dir, Origin: b.url, Now: b.clock().Now(), Callers: 1, CrashAt: call, Nth: nth,
	}
	if err := b.store.table.Close(); err != nil {
		b.Fatal(err)
	}
	h := order.start(b)
	if _, err := io.WriteString(h.in, "go\n"); err != nil {
		b.Fatal(err)
	}
	err := h.Wait()
	state, ok := h.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !state.Signaled() {
		b.Fatalf("the process was not killed: %v", err)
	}
	b.reopen()
	b.shortenWaits()
}
