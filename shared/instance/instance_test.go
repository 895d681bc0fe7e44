package instance_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bindery/shared/instance"
	"bindery/shared/problem"
	"bindery/shared/testkit"
)

const two = `{
	"acme": [
		{"type": "personal", "region": "cn-shanghai", "id": "a", "name": ""},
		{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-2", "name": "生产"},
		{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-1", "name": "test"}
	],
	"beta": [{"type": "enterprise", "region": "cn-hangzhou", "id": "cri-9", "name": "prod"}],
	"none": []
}`

func open(t testing.TB, spec string, now func() time.Time) instance.Catalogue {
	t.Helper()
	c, err := instance.Open(spec, instance.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ids(t *testing.T, c instance.Catalogue, account string) string {
	t.Helper()
	list, err := c.List(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for one := range list.All() {
		names = append(names, one.Region+"/"+one.ID)
	}
	return strings.Join(names, " ")
}

func TestAnAccountListsItsOwnInstancesInOrder(t *testing.T) {
	c := open(t, " \n"+two, nil)
	for account, want := range map[string]string{
		"acme": "cn-hangzhou/cri-1 cn-hangzhou/cri-2 cn-shanghai/a",
		"beta": "cn-hangzhou/cri-9", "none": "", "nobody": "", "": "", "ACME": "",
	} {
		if got := ids(t, c, account); got != want {
			t.Errorf("%q lists %q, want %q", account, got, want)
		}
	}
	list, err := c.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	page, err := list.Page(instance.Query{})
	if err != nil {
		t.Fatal(err)
	}
	page.Instances[0] = instance.Instance{}
	if got := ids(t, c, "acme"); !strings.HasPrefix(got, "cn-hangzhou/cri-1 ") {
		t.Error("one caller's change of the list is seen by the next")
	}
	got, err := c.Find(t.Context(), "acme", "cn-hangzhou", "cri-2")
	want := instance.Instance{
		Type: instance.Enterprise, Region: "cn-hangzhou", ID: "cri-2", Name: "生产",
	}
	if err != nil || got != want {
		t.Errorf("found %+v and %v, want %+v", got, err, want)
	}
}

func TestA15_AnotherAccountsInstanceDoesNotExist(t *testing.T) {
	c := open(t, two, nil)
	for _, q := range [][3]string{
		{"acme", "cn-hangzhou", "cri-9"},  // beta's
		{"acme", "cn-hangzhou", "cri-99"}, // of no account
		{"acme", "cn-shanghai", "cri-1"},
		{"acme", "", "cn-hangzhou/cri-1"},
		{"nobody", "cn-hangzhou", "cri-1"},
		{"", "cn-hangzhou", "cri-1"},
	} {
		got, err := c.Find(t.Context(), q[0], q[1], q[2])
		if err != instance.ErrUnknown || got != (instance.Instance{}) {
			t.Errorf("%q: got %+v and %v", q, got, err)
		}
	}
	if !problem.Is(instance.ErrUnknown, problem.InstanceUnknown) {
		t.Error("the user's problem isn't instance_unknown")
	}
}

func TestAWrongCatalogueIsRefusedAtStartWithAllMistakes(t *testing.T) {
	_, err := instance.Open(`{
		"acme": [
			{"type": "basic", "region": "r", "id": "a", "name": ""},
			{"type": "personal", "region": "r/s", "id": "", "name": "\u0007"},
			{"type": "personal", "region": "r", "id": "b", "name": ""},
			{"type": "enterprise", "region": "r", "id": "b", "name": "again"},
			{"type": "enterprise", "region": "", "id": "..", "name": ""}
		],
		" ": [],
		"acme": []
	}`, instance.Options{})
	if err == nil {
		t.Fatal("accepted")
	}
	want := []string{
		`account "acme", instance 1: the type is neither enterprise nor personal`,
		`account "acme", instance 2: the region is missing, too long, or holds a slash or a space`,
		`account "acme", instance 2: the id is missing, too long, or not a name`,
		`account "acme", instance 2: the name is too long or can't be printed`,
		`account "acme", instance 4: the same region and id are there before`,
		`account "acme", instance 5: the region is missing, too long, or holds a slash or a space`,
		`account "acme", instance 5: the id is missing, too long, or not a name`,
		`an account's name is blank`,
		`account "acme" is there twice`,
	}
	for i := range want {
		want[i] = "BINDERY_INSTANCES: " + want[i]
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, spec := range []string{
		``, `[]`, `{`, `{"a"`, `{"a":[}`, `{"a":[]} {}`, `{"a":[]}x`, `{"a":[],}`, `{"a":{}}`,
		`{"a":[{"type":"personal","region":"r","id":"x","name":"","owner":"me"}]}`,
		`{"a":[{"type":"personal","region":"r","id":7,"name":""}]}`,
		"ftp://catalogue.example/", "https://", "file://host/path", "/etc/passwd", "https://[x",
	} {
		if _, err := instance.Open(spec, instance.Options{}); err == nil {
			t.Errorf("%q is accepted", spec)
		} else if !strings.HasPrefix(err.Error(), "BINDERY_INSTANCES: ") {
			t.Errorf("%q: the error doesn't say what is wrong: %v", spec, err)
		}
	}
}

// published is a catalogue at an address, with a clock that tests set.
type published struct {
	at     atomic.Int64
	asked  atomic.Int32
	answer atomic.Value // a string; "" is an error
}

func publish(t testing.TB, first string) (*published, string) {
	t.Helper()
	p := &published{}
	p.answer.Store(first)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		body := p.answer.Load().(string)
		if body == "" {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return p, server.URL + "/instances.json?key=canary"
}

func (p *published) now() time.Time { return time.Unix(1_700_000_000+p.at.Load(), 0) }

func one(id string) string {
	return fmt.Sprintf(`{"acme":[{"type":"personal","region":"r","id":%q,"name":""}]}`, id)
}

func TestACatalogueAtAnAddressIsReadAgainAfterFiveMinutes(t *testing.T) {
	p, address := publish(t, one("a"))
	c := open(t, address, p.now)
	if p.asked.Load() != 0 {
		t.Error("it was read before it was needed")
	}
	steps := []struct {
		later  int64
		answer string
		want   string
		asked  int32
	}{
		{0, one("a"), "r/a", 1},
		{299, one("b"), "r/a", 1},
		{1, one("b"), "r/b", 2},
		{300, "", "r/b", 3},                                    // unavailable: the old one is used
		{10, "", "r/b", 3},                                     // and it isn't read at every call
		{60, `{"acme":[{}]}`, "r/b", 4},                        // wrong
		{60, strings.Repeat(" ", 64<<20) + one("c"), "r/b", 5}, // too long
		{60, one("c"), "r/c", 6},
	}
	for i, step := range steps {
		p.at.Add(step.later)
		p.answer.Store(step.answer)
		if got := ids(t, c, "acme"); got != step.want || p.asked.Load() != step.asked {
			t.Errorf("step %d: %q after %d reads, want %q after %d", i, got, p.asked.Load(),
				step.want, step.asked)
		}
	}
}

func TestACatalogueThatCannotBeReadIsNotAnEmptyOne(t *testing.T) {
	for _, answer := range []string{"", "<html>", `{"acme":[{"type":"x"}]}`} {
		p, address := publish(t, answer)
		c := open(t, address, p.now)
		_, listing := c.List(t.Context(), "acme")
		_, finding := c.Find(t.Context(), "acme", "r", "a")
		for _, err := range []error{listing, finding} {
			if !problem.Is(err, problem.InstancesUnknown) || errors.Is(err, instance.ErrUnknown) {
				t.Errorf("%q: got %v", answer, err)
			} else if strings.Contains(err.Error(), "canary") {
				t.Errorf("%q: the error shows the address: %v", answer, err)
			}
		}
		if p.asked.Load() != 1 {
			t.Errorf("%q: read %d times for two questions, want once", answer, p.asked.Load())
		}
		p.answer.Store(one("a"))
		p.at.Add(5)
		if got := ids(t, c, "acme"); got != "r/a" {
			t.Errorf("%q: later it lists %q", answer, got)
		}
	}
}

func TestAReadThatFailsIsInTheLog(t *testing.T) {
	for answer, want := range map[string]string{
		"":              "status 500",
		`{"acme":[{}]}`: "instance 1: the type is neither",
		one("a")[:40]:   "unexpected EOF",
		one("a") + "{":  "something follows",
	} {
		p, address := publish(t, answer)
		var log testkit.Log
		c, err := instance.Open(address, instance.Options{Now: p.now, Log: log.Logger()})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.List(t.Context(), "acme")
		_, _ = c.List(t.Context(), "acme")
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) ||
			!strings.Contains(got, "ERROR") || strings.Contains(got, "canary") {
			t.Errorf("the log has %.300q, want one error with %q", got, want)
		}
	}
}

func TestACatalogueOverItsLimitsIsRefused(t *testing.T) {
	for answer, want := range map[string]string{
		strings.Repeat(" ", 64<<20) + one("c"): "it is longer than 64 MB",
		manyInstancesJSON(200_001):             "there are more than 200000 instances",
	} {
		file := filepath.Join(t.TempDir(), "instances.json")
		if err := os.WriteFile(file, []byte(answer), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := instance.Open("file://"+file, instance.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %.300v, want %q", err, want)
		}
	}
}

func TestAnErrorShowsAHundredMistakes(t *testing.T) {
	_, err := instance.Open(`{"acme":[`+strings.Repeat("{},", 100)+`{}]}`, instance.Options{})
	lines := strings.Split(fmt.Sprint(err), "\n")
	testkit.Want(t, "lines", len(lines), 101)
	// An empty entry has three mistakes, and all but the first are the same.
	testkit.Want(t, "the last line", lines[100], "BINDERY_INSTANCES: and 303 more")
}

func TestAFileIsReadAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instances.json")
	for text, want := range map[string]string{
		one("a")[:20]: "BINDERY_INSTANCES: ", `{"acme":[{}]}`: "instance 1: the type",
		strings.Repeat(" ", 64<<20) + "{}": "BINDERY_INSTANCES: it is longer than 64 MB",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := instance.Open("file://"+path, instance.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q", text, err, want)
		}
	}
}

func TestACatalogueMayBeAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my instances.json")
	address := "file://" + strings.ReplaceAll(path, " ", "%20")
	c := open(t, address, nil)
	if _, err := c.List(t.Context(), "acme"); !problem.Is(err, problem.InstancesUnknown) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(path, []byte(one("a")), 0o600); err != nil {
		t.Fatal(err)
	}
	c = open(t, address, nil)
	if got := ids(t, c, "acme"); got != "r/a" {
		t.Errorf("lists %q", got)
	}
}
