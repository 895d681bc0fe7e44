package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bindery/shared/binding"
	"bindery/shared/table/bolt"
)

// killedLaptop is the laptop's process at a fixed address. It is killed, and started again with
// its data.
type killedLaptop struct {
	t              *testing.T
	binary, folder string
	settings       []string
	kills          int

	mu      sync.RWMutex // held while no process runs
	process *laptopProcess
	client  *laptopClient
}

func newKilledLaptop(t *testing.T, settings ...string) *killedLaptop {
	t.Helper()
	l := &killedLaptop{t: t, binary: built.laptopBinary(t), folder: t.TempDir()}
	port := freePorts(t)
	l.settings = append([]string{fmt.Sprint("PORT=", port)}, settings...)
	l.client = &laptopClient{t: t, own: fmt.Sprint("http://localhost:", port)}
	l.start()
	t.Cleanup(func() { _ = l.process.end(syscall.SIGTERM) })
	return l
}

// freePorts returns the first of two free ports in a row. They are outside the kernel's range of
// ephemeral ports.
func freePorts(t *testing.T) int {
	t.Helper()
	free := func(port int) bool {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
		return err == nil && l.Close() == nil
	}
	for port := 10_000 + os.Getpid()%9_000; port < 20_000; port += 2 {
		if free(port) && free(port+1) {
			return port
		}
	}
	t.Fatal("no two ports in a row are free")
	return 0
}

func (l *killedLaptop) start() {
	l.t.Helper()
	l.process = runLaptop(l.t, l.binary, l.folder, l.settings...)
	l.client.signIn()
}

// kill kills the process at any moment, and starts it again as if it had been away for a time.
func (l *killedLaptop) kill(away time.Duration) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.process.end(syscall.SIGKILL); err == nil {
		l.t.Error("the process has ended before it was killed")
	}
	l.kills++
	if err := l.age(away); err != nil {
		l.t.Fatal(err)
	}
	l.start()
}

// call calls the API as a user, again if the process is killed meanwhile. It may be called in any
// goroutine.
func (l *killedLaptop) call(user, method, path string, body any) (out reply, err error) {
	for range 20 {
		l.mu.RLock() // wait for the next process
		c := *l.client
		token, err := try(c.request(http.MethodGet, c.own+"/dev/token?user="+user, nil))
		l.mu.RUnlock()
		c.token = strings.TrimSpace(token.text)
		if err == nil {
			out, err = try(c.request(method, c.own+path, body))
		}
		if err == nil && out.status != http.StatusUnauthorized { // with the last process's token
			return out, nil
		}
	}
	return out, fmt.Errorf("%s %s: no answer", method, path)
}

// age makes everything that the subscriptions wait for earlier, while no process runs.
func (l *killedLaptop) age(by time.Duration) (err error) {
	table, err := bolt.Open(filepath.Join(l.folder, "data", "bindery.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	ctx := context.Background()
	for cursor := ""; ; {
		page, err := table.AllSubscriptions(ctx, cursor, 100)
		if err != nil {
			return err
		}
		for _, sub := range page.Items {
			ageSubscription(&sub, by)
			if _, err := table.SaveSubscription(ctx, sub); err != nil {
				return err
			}
		}
		if cursor = page.Cursor; cursor == "" {
			return nil
		}
	}
}

// ageSubscription makes the times of a row earlier.
func ageSubscription(sub *binding.Subscription, by time.Duration) {
	times := []*time.Time{&sub.Claim, &sub.Lease, &sub.SyncAt, &sub.SyncedAt}
	for i := range sub.Events {
		e := &sub.Events[i]
		times = append(times, &e.At, &e.TriedAt)
	}
	for _, at := range times {
		if !at.IsZero() {
			*at = at.Add(-by)
		}
	}
	sub.DueAt = sub.DueTime()
}
